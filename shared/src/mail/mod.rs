//! A mail as callers hand it over, and what makes one valid.

mod attachment;
mod content;
mod digest;
mod encoded_word;
mod field;
mod first_seen;
mod header;
mod ids;
mod mailbox;
mod raw;
#[cfg(test)]
mod schema_tests;
mod subscription;
mod template;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::http::{FieldError, decode};
use crate::id::{MailId, ProviderId, TenantId};
use crate::queue::MAX_BODY_BYTES;
use jiff::{SignedDuration, Timestamp};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use self::attachment::AttachmentDocument;
use self::field::showable;
use self::first_seen::MAX_FIRST_SEEN_BYTES;
use self::subscription::{ListManagementDocument, ListUnsubscribeDocument};
use self::template::TemplateDocument;

pub use self::attachment::{FileSource, MAX_FILE_BYTES, MailAttachment, StoredFile};
pub use self::content::{MailContent, TextContent};
pub use self::digest::{DigestMatch, UNPARSED_DIGEST, compare, digest};
pub use self::first_seen::{with_first_seen, with_first_seen_if_mail};
pub use self::ids::MailIds;
pub use self::mailbox::Mailbox;
pub use self::raw::RawContent;
pub use self::subscription::ListManagement;
pub use self::template::{TemplateContent, TemplateReference};

/// Tags whose values SES puts at the beginning of the Feedback-ID header, by which receivers report complaints (AWS's
/// announcement of 11 June 2024; SES developer guide, "Monitor email sending using event publishing"). Other names have no
/// colon; with these, SES accepts the mail (localstack/localstack#11243).
const FEEDBACK_ID_TAGS: [&str; 2] = ["ses:feedback-id-a", "ses:feedback-id-b"];

/// The longest name and value of a tag. The API reference says 256, and SES "Tag name cannot exceed 255 characters."
/// (recorded by localstack, tests/aws/services/ses/test_ses.snapshot.json).
const MAX_TAG_CHARS: usize = 255;

/// The most recipients of one mail, To, Cc and Bcc together (SES developer guide, "Service quotas").
const MAX_RECIPIENTS: usize = 50;

/// What a mail is as a JSON Schema (draft 2020-12), as far as a schema can say it.
pub const SCHEMA: &str = include_str!("schema.json");

/// The most providers of one mail: a batch reads all of them in one request.
const MAX_PROVIDERS: usize = 3;

/// The longest that a mail waits for a preferred provider's quota: the quota's window.
const MAX_PATIENCE_S: u32 = 24 * 60 * 60;

/// How long a mail may wait.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How far a caller's clock may be ahead of SQS's.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// What happens to a mail if it is unknown whether SES accepted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDoubt {
    /// It is sent once more: at most two copies.
    #[default]
    Resend,
    /// It is not sent again: at most one copy.
    Hold,
}

/// Which mail goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// In the order in which it was handed over.
    #[default]
    Normal,
    /// Within seconds, though others wait, as far as four fifths of the rate allow.
    High,
}

/// A valid mail. It contains addresses and content, so it has no `Debug`.
pub struct Mail {
    /// The tenant, which has to own the provider.
    pub tenant_id: TenantId,
    /// The provider that sends it.
    pub provider_id: ProviderId,
    /// The providers that may send it, in the order of preference. [`Mail::provider_id`] is one of them, at first the first.
    pub provider_ids: Vec<ProviderId>,
    /// How long after it was handed over it waits for a preferred provider whose daily quota is used up, in seconds.
    pub patience_s: u32,
    /// The caller's idempotency key.
    pub mail_id: MailId,
    /// When it was first handed over.
    pub first_seen: Timestamp,
    /// Whether the message itself has `first_seen`; every copy must have it.
    pub carries_first_seen: bool,
    /// What to do in doubt.
    pub on_doubt: OnDoubt,
    /// Which mail goes first.
    pub priority: Priority,
    /// After this time the mail is useless.
    pub expires_at: Option<Timestamp>,
    /// From.
    pub from: Mailbox,
    /// To.
    pub to: Vec<Mailbox>,
    /// Cc.
    pub cc: Vec<Mailbox>,
    /// Bcc.
    pub bcc: Vec<Mailbox>,
    /// Reply-To.
    pub reply_to: Vec<Mailbox>,
    /// What it says.
    pub content: MailContent,
    /// Files that go with it.
    pub attachments: Vec<MailAttachment>,
    /// Further header fields, by name; those that say how to unsubscribe too.
    pub headers: Vec<(String, String)>,
    /// Message tags, by name.
    pub tags: Vec<(String, String)>,
    /// The configuration set.
    pub configuration_set: Option<String>,
    /// The contact list of SES that recipients unsubscribe from.
    pub list_management: Option<ListManagement>,
    /// The tenant of SES that it is sent for.
    pub tenant_name: Option<String>,
    /// The multi-region endpoint of SES that it is sent through.
    pub endpoint_id: Option<String>,
    /// Where bounces and complaints go.
    pub return_path: Option<Mailbox>,
    /// It is not sent before this time.
    pub not_before: Option<Timestamp>,
}

/// The version alone, of a document that may have unknown fields.
#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

/// The body of a message. An optional field may also be `null`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MailDocument {
    version: u32,
    tenant_id: String,
    provider_id: Option<String>,
    provider_ids: Option<Vec<String>>,
    patience_s: Option<u32>,
    mail_id: String,
    first_seen: Option<Timestamp>,
    from: String,
    to: Option<Vec<String>>,
    cc: Option<Vec<String>>,
    bcc: Option<Vec<String>>,
    reply_to: Option<Vec<String>>,
    subject: Option<String>,
    text: Option<String>,
    html: Option<String>,
    raw: Option<String>,
    template: Option<TemplateDocument>,
    attachments: Option<Vec<AttachmentDocument>>,
    headers: Option<StringPairs>,
    list_unsubscribe: Option<ListUnsubscribeDocument>,
    list_management: Option<ListManagementDocument>,
    tags: Option<StringPairs>,
    configuration_set: Option<String>,
    tenant_name: Option<String>,
    endpoint_id: Option<String>,
    return_path: Option<String>,
    on_doubt: Option<OnDoubt>,
    priority: Option<Priority>,
    not_before: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

impl Priority {
    /// The group of the fair queue for mail of this priority: it does not wait behind the others of its provider.
    pub fn group(self, provider_id: &ProviderId) -> String {
        match self {
            Self::Normal => provider_id.to_string(),
            Self::High => format!("{provider_id}#high"),
        }
    }
}

impl Mail {
    /// Parses the body of a message. `sent_at` is when SQS accepted the message.
    ///
    /// The result does not depend on the clock, so a message is rejected every time or never.
    ///
    /// # Errors
    /// What is wrong, and the field's name as far as it says nothing about people; `body` for no mail at all. Never a value.
    pub fn parse(body: &str, sent_at: Timestamp) -> Result<Self, FieldError> {
        Self::from_body(body, sent_at).map_err(|error| FieldError { field: showable(&error.field), ..error })
    }

    /// When the mail expires, at the latest 30 days after it was first handed over.
    pub fn expiry(&self) -> Timestamp {
        let latest = self.first_seen + MAX_AGE;
        self.expires_at.map_or(latest, |expires_at| expires_at.min(latest))
    }

    /// What denials of it are remembered by, as it ends ARNs: its sender, its configuration set and its template, in lower case.
    pub fn resource_names(&self) -> Vec<String> {
        let set = self.configuration_set.as_ref().map(|name| format!("configuration-set/{name}").to_ascii_lowercase());
        let template = match &self.content {
            MailContent::Template(template) => {
                Some(format!("template/{}", template.reference.name()).to_ascii_lowercase())
            }
            MailContent::Text(_) | MailContent::Raw(_) => None,
        };
        std::iter::once(self.sender_resource()).chain(set).chain(template).collect()
    }

    /// The sender's address as an identity, as it ends ARNs, in lower case. Raw content and templates need actions of their own
    /// of it (service authorization reference, `SendRawEmail`, `SendTemplatedEmail`), so that their denial says nothing about
    /// other mail.
    pub fn sender_resource(&self) -> String {
        let kind = match &self.content {
            MailContent::Text(_) => "identity",
            MailContent::Raw(_) => "raw:identity",
            MailContent::Template(_) => "template:identity",
        };
        format!("{kind}/{}", self.from.address()).to_ascii_lowercase()
    }

    /// The files that are in the stack's bucket, and their places among the attachments.
    pub fn stored_files(&self) -> impl Iterator<Item = (usize, &StoredFile)> {
        self.attachments.iter().enumerate().filter_map(|(place, attachment)| match &attachment.source {
            FileSource::Bucket(file) => Some((place, file)),
            FileSource::Message(_) => None,
        })
    }

    /// The group of the fair queue that the mail and its copies go to: one of high priority does not wait behind the others of its
    /// provider.
    pub fn group(&self) -> String {
        self.priority.group(&self.provider_id)
    }

    /// The number of recipients that SES counts.
    pub fn recipients(&self) -> u32 {
        u32::try_from(self.to.len() + self.cc.len() + self.bcc.len()).unwrap_or(u32::MAX)
    }

    fn from_body(body: &str, sent_at: Timestamp) -> Result<Self, FieldError> {
        let document = match decode::<MailDocument>(body.as_bytes()) {
            Ok(document) if document.version == 1 => document,
            // A later version may have fields that are unknown here; the error must name its version and not these fields.
            read => match decode::<VersionOnly>(body.as_bytes()) {
                Ok(VersionOnly { version }) if version != 1 => return Err(FieldError::new("version", "must be 1")),
                _ => read?,
            },
        };
        // The mail may have to be requeued, and then its copy must fit. A copy is longer than the original by `first_seen`.
        if body.len() > MAX_BODY_BYTES + document.first_seen.map_or(0, |_| MAX_FIRST_SEEN_BYTES) {
            return Err(FieldError::new("body", format!("must be at most {MAX_BODY_BYTES} bytes")));
        }
        Self::from_document(document, sent_at)
    }

    fn from_document(mut document: MailDocument, sent_at: Timestamp) -> Result<Self, FieldError> {
        let tenant_id = TenantId::parse(&document.tenant_id).map_err(FieldError::from_display("tenant_id"))?;
        let provider_ids = parse_provider_ids(document.provider_id.as_deref(), document.provider_ids.as_deref())?;
        let provider_id = provider_ids.first().cloned().ok_or_else(|| FieldError::new("provider_id", "is missing"))?;
        if document.patience_s.is_some_and(|patience_s| patience_s > MAX_PATIENCE_S) {
            return Err(FieldError::new("patience_s", format!("must be at most {MAX_PATIENCE_S}")));
        }
        let mail_id = MailId::parse(&document.mail_id).map_err(FieldError::from_display("mail_id"))?;
        let from = Mailbox::parse(&document.from).map_err(FieldError::from_display("from"))?;
        let to = parse_mailboxes("to", document.to.as_deref())?;
        let cc = parse_mailboxes("cc", document.cc.as_deref())?;
        let bcc = parse_mailboxes("bcc", document.bcc.as_deref())?;
        let reply_to = parse_mailboxes("reply_to", document.reply_to.as_deref())?;
        match to.len() + cc.len() + bcc.len() {
            0 => return Err(FieldError::new("to", "is empty, and so are `cc` and `bcc`")),
            1..=MAX_RECIPIENTS => {}
            _ => {
                let problem = format!("must be at most {MAX_RECIPIENTS} recipients together with `cc` and `bcc`");
                return Err(FieldError::new("to", problem));
            }
        }
        if reply_to.len() > MAX_RECIPIENTS {
            return Err(FieldError::new("reply_to", format!("must be at most {MAX_RECIPIENTS} addresses")));
        }
        let (content, from) = content::take(&mut document, from)?;
        let attachments = attachment::parse(document.attachments, &tenant_id)?;
        check_inline(&attachments, &content)?;
        let mut headers = document.headers.unwrap_or_default();
        subscription::add_header_fields(document.list_unsubscribe, &mut headers.0)?;
        header::check(&headers.0)?;
        let list_management = document.list_management.map(subscription::parse_list).transpose()?;
        let tags = document.tags.unwrap_or_default();
        check_tags(&tags.0)?;
        if !document.configuration_set.as_deref().is_none_or(|name| is_word(name, 64)) {
            return Err(FieldError::new("configuration_set", "must be 1 to 64 letters, digits, `-` and `_`"));
        }
        // SES v2 API, `CreateTenant`, `TenantName`.
        if !document.tenant_name.as_deref().is_none_or(|name| is_word(name, 64)) {
            return Err(FieldError::new("tenant_name", "must be 1 to 64 letters, digits, `-` and `_`"));
        }
        if !document.endpoint_id.as_deref().is_none_or(is_endpoint_id) {
            return Err(FieldError::new(
                "endpoint_id",
                "must be the id of a multi-region endpoint, such as `abcdef12.g3h`",
            ));
        }
        let return_path = document.return_path.as_deref().map(parse_return_path).transpose()?;
        let first_seen = document.first_seen.unwrap_or(sent_at);
        // A mail handed over in the future would live longer than 30 days.
        if first_seen > sent_at + CLOCK_TOLERANCE {
            return Err(FieldError::new("first_seen", "is in the future; leave it out"));
        }
        check_not_before(document.not_before, document.expires_at, first_seen)?;
        Ok(Self {
            tenant_id,
            provider_id,
            provider_ids,
            patience_s: document.patience_s.unwrap_or(0),
            mail_id,
            first_seen,
            carries_first_seen: document.first_seen.is_some(),
            on_doubt: document.on_doubt.unwrap_or_default(),
            priority: document.priority.unwrap_or_default(),
            expires_at: document.expires_at,
            from,
            to,
            cc,
            bcc,
            reply_to,
            content,
            attachments,
            headers: headers.sorted(),
            tags: tags.sorted(),
            configuration_set: document.configuration_set,
            list_management,
            tenant_name: document.tenant_name,
            endpoint_id: document.endpoint_id,
            return_path,
            not_before: document.not_before,
        })
    }
}

/// The providers of a mail: the one that it names, or several in the order of preference.
fn parse_provider_ids(one: Option<&str>, several: Option<&[String]>) -> Result<Vec<ProviderId>, FieldError> {
    let several = match (one, several) {
        (Some(_), Some(_)) => return Err(FieldError::new("provider_ids", "must not be there beside `provider_id`")),
        (one, None) => {
            let id = one.ok_or_else(|| FieldError::new("provider_id", "is missing, and so is `provider_ids`"))?;
            return Ok(vec![ProviderId::parse(id).map_err(FieldError::from_display("provider_id"))?]);
        }
        (None, Some(several)) => several,
    };
    if several.is_empty() || several.len() > MAX_PROVIDERS {
        return Err(FieldError::new("provider_ids", format!("must be 1 to {MAX_PROVIDERS} providers")));
    }
    let mut provider_ids = Vec::with_capacity(several.len());
    for (index, id) in several.iter().enumerate() {
        let field = format!("provider_ids[{index}]");
        let id = ProviderId::parse(id).map_err(FieldError::from_display(field.clone()))?;
        if provider_ids.contains(&id) {
            return Err(FieldError::new(field, "is there twice"));
        }
        provider_ids.push(id);
    }
    Ok(provider_ids)
}

fn parse_mailboxes(field: &str, texts: Option<&[String]>) -> Result<Vec<Mailbox>, FieldError> {
    texts
        .unwrap_or_default()
        .iter()
        .enumerate()
        .map(|(index, text)| Mailbox::parse(text).map_err(FieldError::from_display(format!("{field}[{index}]"))))
        .collect()
}

/// SES sends bounces to an address, whatever name it has.
fn parse_return_path(text: &str) -> Result<Mailbox, FieldError> {
    match Mailbox::parse(text).map_err(FieldError::from_display("return_path"))? {
        mailbox if mailbox.name().is_some() => Err(FieldError::new("return_path", "must be an address without a name")),
        mailbox => Ok(mailbox),
    }
}

/// A mail that waits until it has expired would never be sent.
fn check_not_before(
    not_before: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    first_seen: Timestamp,
) -> Result<(), FieldError> {
    let Some(not_before) = not_before else { return Ok(()) };
    if expires_at.is_some_and(|expires_at| expires_at <= not_before) {
        return Err(FieldError::new("not_before", "must be before `expires_at`"));
    }
    if not_before >= first_seen + MAX_AGE {
        return Err(FieldError::new("not_before", "must be within 30 days after the mail was handed over"));
    }
    Ok(())
}

/// Only HTML can refer to an inline image; of a template it is not known whether it has any.
fn check_inline(attachments: &[MailAttachment], content: &MailContent) -> Result<(), FieldError> {
    let has_html = content.as_text().is_none_or(|text| text.html.is_some());
    match attachments.iter().position(|attachment| attachment.content_id.is_some()) {
        Some(index) if !has_html => {
            let problem = "is given, and there is no `html` that could refer to it";
            Err(FieldError::new(format!("attachments[{index}].content_id"), problem))
        }
        _ => Ok(()),
    }
}

/// A host name's labels: the id becomes a part of one (SES v2 endpoint rules, `EndpointId`).
fn is_endpoint_id(id: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    id.len() <= 63 && id.split('.').all(is_label)
}

/// SES v2 API, `MessageTag`. Of values, the reference leaves out `.` and `@`, which SES allows: "Invalid tag value <…>: only
/// alphanumeric ASCII characters, '_', '-', '.', '@' are allowed." (recorded by localstack, as above).
fn check_tags(tags: &[(String, String)]) -> Result<(), FieldError> {
    for (index, (name, value)) in tags.iter().enumerate() {
        if !is_word(name, MAX_TAG_CHARS) && !FEEDBACK_ID_TAGS.contains(&name.as_str()) {
            let problem = format!(
                "must have names of 1 to {MAX_TAG_CHARS} letters, digits, `-` and `_`; with a colon only `{}` and `{}`",
                FEEDBACK_ID_TAGS[0], FEEDBACK_ID_TAGS[1]
            );
            return Err(FieldError::new("tags", problem));
        }
        if !is_word(&value.replace(['.', '@'], "_"), MAX_TAG_CHARS) {
            let problem = format!("must have values of 1 to {MAX_TAG_CHARS} letters, digits, `-`, `_`, `.` and `@`");
            return Err(FieldError::new("tags", problem));
        }
        if tags.iter().take(index).any(|(other, _)| other == name) {
            return Err(FieldError::new("tags", "has a name twice"));
        }
    }
    Ok(())
}

fn is_word(text: &str, max_len: usize) -> bool {
    (1..=max_len).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// An object of strings that keeps every entry: a map would silently drop one of two with the same name.
#[derive(Default)]
struct StringPairs(Vec<(String, String)>);

impl StringPairs {
    fn sorted(mut self) -> Vec<(String, String)> {
        self.0.sort();
        self.0
    }
}

impl<'de> Deserialize<'de> for StringPairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;

        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = StringPairs;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StringPairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(StringPairs(pairs))
            }
        }

        deserializer.deserialize_map(PairsVisitor)
    }
}
