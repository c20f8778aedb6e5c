//! A mail as callers hand it over, and what makes one valid.

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use shared::http::{FieldError, decode};
use shared::id::{MailId, ProviderId, TenantId};
use shared::tenant;

use crate::header;
use crate::letter::{FIRST_SEEN_BYTES, MOST_BYTES};
use crate::mailbox::Mailbox;
use crate::refusal::{Ids, Refusal, Refused};

/// Most recipients of one mail, To, Cc and Bcc together (SES developer guide, "Service quotas").
const MOST_RECIPIENTS: usize = 50;

/// How long a mail may wait at most.
const LONGEST_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How far a caller's clock may be ahead of SQS's.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// What happens to a mail when nobody can say whether SES took it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnDoubt {
    /// It is sent once more: at most two copies.
    #[default]
    Resend,
    /// It is not: at most one copy.
    Hold,
}

/// A valid mail. Addresses and content, so it has no `Debug`.
pub(crate) struct Mail {
    /// The tenant, which has to be the provider's.
    pub(crate) tenant_id: TenantId,
    /// The provider it goes out through.
    pub(crate) provider_id: ProviderId,
    /// The caller's idempotency key.
    pub(crate) mail_id: MailId,
    /// When it was first handed over.
    pub(crate) first_seen: Timestamp,
    /// Whether the message itself says so; every copy has to.
    pub(crate) carries_first_seen: bool,
    /// What to do in doubt.
    pub(crate) on_doubt: OnDoubt,
    /// When it is of no use any more.
    pub(crate) expires_at: Option<Timestamp>,
    /// From.
    pub(crate) from: Mailbox,
    /// To.
    pub(crate) to: Vec<Mailbox>,
    /// Cc.
    pub(crate) cc: Vec<Mailbox>,
    /// Bcc.
    pub(crate) bcc: Vec<Mailbox>,
    /// Reply-To.
    pub(crate) reply_to: Vec<Mailbox>,
    /// Subject.
    pub(crate) subject: String,
    /// The plain-text body; never empty.
    pub(crate) text: Option<String>,
    /// The HTML body; never empty.
    pub(crate) html: Option<String>,
    /// Further header fields, by name.
    pub(crate) headers: Vec<(String, String)>,
    /// Message tags, by name.
    pub(crate) tags: Vec<(String, String)>,
    /// The configuration set.
    pub(crate) configuration_set: Option<String>,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// What a message says. A field that may be absent may be `null` as well.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "version")]
    _version: u32,
    tenant_id: String,
    provider_id: String,
    mail_id: String,
    first_seen: Option<Timestamp>,
    from: String,
    to: Option<Vec<String>>,
    cc: Option<Vec<String>>,
    bcc: Option<Vec<String>>,
    reply_to: Option<Vec<String>>,
    subject: String,
    text: Option<String>,
    html: Option<String>,
    headers: Option<Pairs>,
    tags: Option<Pairs>,
    configuration_set: Option<String>,
    on_doubt: Option<OnDoubt>,
    expires_at: Option<Timestamp>,
}

impl Mail {
    /// Reads a message's body. `sent_at` is when SQS got the message.
    ///
    /// Nothing in here depends on the clock, so that a message is refused every time or never.
    ///
    /// # Errors
    /// What is wrong, by the field's name, with the ids that could be read.
    pub(crate) fn parse(body: &str, sent_at: Timestamp) -> Result<Self, Box<Refused>> {
        Self::of_body(body, sent_at)
            .map_err(|error| Box::new(Refused { refusal: Refusal::of_field(error), ids: Ids::of_body(body) }))
    }

    /// When it is of no use any more, whatever the caller said.
    pub(crate) fn expiry(&self) -> Timestamp {
        let longest = self.first_seen + LONGEST_LIFE;
        self.expires_at.map_or(longest, |expires_at| expires_at.min(longest))
    }

    /// How many recipients it counts for with SES.
    pub(crate) fn recipients(&self) -> u32 {
        u32::try_from(self.to.len() + self.cc.len() + self.bcc.len()).unwrap_or(u32::MAX)
    }

    /// The mail as SES takes it.
    pub(crate) fn message(&self) -> tenant::Mail {
        let written = |mailboxes: &[Mailbox]| mailboxes.iter().map(Mailbox::header).collect();
        tenant::Mail {
            from: self.from.header(),
            to: written(&self.to),
            cc: written(&self.cc),
            bcc: written(&self.bcc),
            reply_to: written(&self.reply_to),
            subject: self.subject.clone(),
            text: self.text.clone(),
            html: self.html.clone(),
            headers: self.headers.clone(),
            tags: self.tags.clone(),
            configuration_set: self.configuration_set.clone(),
        }
    }

    fn of_body(body: &str, sent_at: Timestamp) -> Result<Self, FieldError> {
        // A later version has fields that this one does not know; what is wrong with it is its version.
        if let Ok(Versioned { version }) = decode::<Versioned>(body.as_bytes())
            && version != 1
        {
            return Err(FieldError::new("version", "must be 1"));
        }
        let document: Document = decode(body.as_bytes())?;
        // It might have to go back into the queue, and then it has to fit. A copy that was put back is as long as it was
        // and its `first_seen`.
        if body.len() > MOST_BYTES + document.first_seen.map_or(0, |_| FIRST_SEEN_BYTES) {
            return Err(FieldError::new("body", format!("must be at most {MOST_BYTES} bytes")));
        }
        Self::of_document(document, sent_at)
    }

    fn of_document(document: Document, sent_at: Timestamp) -> Result<Self, FieldError> {
        let tenant_id = TenantId::parse(&document.tenant_id).map_err(FieldError::from_display("tenant_id"))?;
        let provider_id = ProviderId::parse(&document.provider_id).map_err(FieldError::from_display("provider_id"))?;
        let mail_id = MailId::parse(&document.mail_id).map_err(FieldError::from_display("mail_id"))?;
        let from = Mailbox::parse(&document.from).ok_or_else(|| no_mailbox("from".to_owned()))?;
        let to = mailboxes("to", document.to)?;
        let cc = mailboxes("cc", document.cc)?;
        let bcc = mailboxes("bcc", document.bcc)?;
        let reply_to = mailboxes("reply_to", document.reply_to)?;
        match to.len() + cc.len() + bcc.len() {
            0 => return Err(FieldError::new("to", "is empty, and so are `cc` and `bcc`")),
            1..=MOST_RECIPIENTS => {}
            _ => {
                let problem = format!("must be at most {MOST_RECIPIENTS} recipients together with `cc` and `bcc`");
                return Err(FieldError::new("to", problem));
            }
        }
        if reply_to.len() > MOST_RECIPIENTS {
            return Err(FieldError::new("reply_to", format!("must be at most {MOST_RECIPIENTS} addresses")));
        }
        check_subject(&document.subject)?;
        let text = document.text.filter(|text| !text.is_empty());
        let html = document.html.filter(|html| !html.is_empty());
        if text.is_none() && html.is_none() {
            return Err(FieldError::new("text", "is empty, and so is `html`"));
        }
        let headers = document.headers.unwrap_or_default();
        header::check(&headers.0)?;
        let tags = document.tags.unwrap_or_default();
        check_tags(&tags.0)?;
        if !document.configuration_set.as_deref().is_none_or(|name| is_word(name, 64)) {
            return Err(FieldError::new("configuration_set", "must be 1 to 64 letters, digits, `-` and `_`"));
        }
        let first_seen = document.first_seen.unwrap_or(sent_at);
        // A mail handed over in the future would outlive the 30 days.
        if first_seen > sent_at + CLOCK_TOLERANCE {
            return Err(FieldError::new("first_seen", "is in the future; leave it out"));
        }
        Ok(Self {
            tenant_id,
            provider_id,
            mail_id,
            first_seen,
            carries_first_seen: document.first_seen.is_some(),
            on_doubt: document.on_doubt.unwrap_or_default(),
            expires_at: document.expires_at,
            from,
            to,
            cc,
            bcc,
            reply_to,
            subject: document.subject,
            text,
            html,
            headers: headers.sorted(),
            tags: tags.sorted(),
            configuration_set: document.configuration_set,
        })
    }
}

fn mailboxes(field: &str, texts: Option<Vec<String>>) -> Result<Vec<Mailbox>, FieldError> {
    texts
        .unwrap_or_default()
        .iter()
        .enumerate()
        .map(|(index, text)| Mailbox::parse(text).ok_or_else(|| no_mailbox(format!("{field}[{index}]"))))
        .collect()
}

fn no_mailbox(field: String) -> FieldError {
    FieldError::new(field, "must be one address, such as `a@example.com` or `Jane Doe <a@example.com>`")
}

/// Readers of mail decode encoded words (RFC 2047) wherever a subject has them, and what comes out may be anything. SES
/// encodes a subject itself where it has to, so nobody needs them here.
fn check_subject(subject: &str) -> Result<(), FieldError> {
    if subject.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(FieldError::new("subject", "must be one line without control characters"));
    }
    if subject.split_whitespace().any(holds_encoded_word) {
        return Err(FieldError::new("subject", "must be plain text, not encoded words (`=?…?=`)"));
    }
    Ok(())
}

/// `=?charset?encoding?text?=`, which has no blanks in it (RFC 2047, section 2).
fn holds_encoded_word(word: &str) -> bool {
    word.split_once("=?").and_then(|(_, rest)| rest.rsplit_once("?=")).is_some_and(|(parts, _)| parts.contains('?'))
}

/// SES v2 API, `MessageTag`.
fn check_tags(tags: &[(String, String)]) -> Result<(), FieldError> {
    for (index, (name, value)) in tags.iter().enumerate() {
        if !is_word(name, 256) || !is_word(value, 256) {
            let problem = "must have names and values of 1 to 256 letters, digits, `-` and `_`";
            return Err(FieldError::new("tags", problem));
        }
        if tags.iter().take(index).any(|(other, _)| other == name) {
            return Err(FieldError::new("tags", "has a name twice"));
        }
    }
    Ok(())
}

fn is_word(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// An object of strings, with every entry kept: a map would silently drop one of two with the same name.
#[derive(Default)]
struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn sorted(mut self) -> Vec<(String, String)> {
        self.0.sort();
        self.0
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Pairs;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}
