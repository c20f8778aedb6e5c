//! What a mail says: text that SES makes a message of, a message, or a template's variables.

use crate::http::FieldError;
use crate::mail::encoded_word;
use crate::mail::header::is_line_breaking;
use crate::mail::raw::{self, RawContent};
use crate::mail::template::{self, TemplateContent};
use crate::mail::{MailDocument, Mailbox};

/// What a mail says. It has no `Debug`.
pub enum MailContent {
    /// Text that SES makes a message of.
    Text(TextContent),
    /// A message in MIME.
    Raw(RawContent),
    /// A template of the account.
    Template(TemplateContent),
}

/// Text that SES makes a message of. It has no `Debug`.
pub struct TextContent {
    /// Subject.
    pub subject: String,
    /// The plain-text body; never empty.
    pub text: Option<String>,
    /// The HTML body; never empty.
    pub html: Option<String>,
}

impl MailContent {
    /// Text and its subject, where that is what the mail says.
    pub fn as_text(&self) -> Option<&TextContent> {
        match self {
            Self::Text(text) => Some(text),
            Self::Raw(_) | Self::Template(_) => None,
        }
    }
}

/// Takes the content out of a message. A message in MIME has a From of its own, which then is the mail's.
pub(super) fn take(document: &mut MailDocument, from: Mailbox) -> Result<(MailContent, Mailbox), FieldError> {
    match (document.raw.take(), document.template.take()) {
        (None, None) => {
            let Some(subject) = document.subject.take() else {
                return Err(FieldError::new("subject", "is missing"));
            };
            let text = document.text.take().filter(|text| !text.is_empty());
            let html = document.html.take().filter(|html| !html.is_empty());
            let subject = parse_subject(&subject)?;
            if text.is_none() && html.is_none() {
                return Err(FieldError::new("text", "is empty, and so is `html`"));
            }
            Ok((MailContent::Text(TextContent { subject, text, html }), from))
        }
        (Some(base64), None) => {
            refuse_beside("raw", document, &["headers", "reply_to", "attachments", "list_unsubscribe"])?;
            let (content, from) = raw::parse(&base64, &from)?;
            Ok((MailContent::Raw(content), from))
        }
        (None, Some(template)) => {
            refuse_beside("template", document, &[])?;
            Ok((MailContent::Template(template::parse(template)?), from))
        }
        (Some(_), Some(_)) => Err(FieldError::new("raw", "is given, and so is `template`; one of them is enough")),
    }
}

/// Refuses fields that would not be in the mail that `content` says.
fn refuse_beside(content: &str, document: &MailDocument, others: &[&str]) -> Result<(), FieldError> {
    let given = [
        ("subject", document.subject.is_some()),
        ("text", document.text.as_ref().is_some_and(|text| !text.is_empty())),
        ("html", document.html.as_ref().is_some_and(|html| !html.is_empty())),
        ("headers", document.headers.as_ref().is_some_and(|headers| !headers.0.is_empty())),
        ("reply_to", document.reply_to.as_ref().is_some_and(|reply_to| !reply_to.is_empty())),
        ("attachments", document.attachments.as_ref().is_some_and(|files| !files.is_empty())),
        ("list_unsubscribe", document.list_unsubscribe.is_some()),
    ];
    let is_refused = |name: &str| matches!(name, "subject" | "text" | "html") || others.contains(&name);
    match given.into_iter().find(|(name, is_given)| *is_given && is_refused(name)) {
        Some((name, _)) => Err(FieldError::new(name, format!("is given, and so is `{content}`, which has its own"))),
        None => Ok(()),
    }
}

/// The subject with its encoded words (RFC 2047) decoded: a caller that encodes subjects means the decoded text, and SES
/// encodes it again if necessary. A mail program must find no encoded word in what is left: what it decodes to would not have
/// been checked.
fn parse_subject(text: &str) -> Result<String, FieldError> {
    let error = |problem: &str| FieldError::new("subject", problem);
    if text.chars().any(is_line_breaking) {
        return Err(error("must be one line without control characters"));
    }
    let subject = encoded_word::decode(text).map_err(FieldError::from_display("subject"))?;
    if subject.chars().any(is_line_breaking) {
        return Err(error("has an encoded word (`=?…?=`) that decodes to control characters or line breaks"));
    }
    if encoded_word::may_be_decoded(&subject) {
        return Err(error("has an encoded word (`=?…?=`) inside another word or another encoded word"));
    }
    Ok(subject)
}
