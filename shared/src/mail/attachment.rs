//! Files that go with a mail: in the message, or in the stack's bucket.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::http::FieldError;
use crate::id::TenantId;
use crate::mail::encoded_word;
use crate::mail::header::is_line_breaking;

/// The most bytes of a mail's files together, as they are before SES encodes them: base64 in lines makes 38.3 MB of them, and
/// "up to the 40MB total message size limit" (SES developer guide, "Working with email attachments in SES") leaves room for
/// texts of 1 MiB, even where every character is encoded.
pub const MAX_FILE_BYTES: u64 = 28_000_000;

/// The most files of one mail: SES takes 500 parts of a message (SES developer guide, "Service quotas"), and a mail with more than
/// this is a mistake.
const MAX_ATTACHMENTS: usize = 100;

/// SES v2 API, `Attachment`.
const MAX_NAME_CHARS: usize = 255;
const MAX_PARAMETER_CHARS: usize = 78;

/// The longest key of an object (S3 user guide, "Naming Amazon S3 objects").
const MAX_KEY_BYTES: usize = 1024;

/// The longest entity tag: that of an object in parts has 32 digits, a hyphen and the number of parts, at most 10,000.
const MAX_VERSION_CHARS: usize = 64;

/// Extensions that SES takes under no circumstances (SES developer guide, "Amazon SES unsupported attachment types").
const DENIED_EXTENSIONS: &str = include_str!("denied_extensions.txt");

/// Characters that change the direction of what follows, so that `gpj.exe` reads `exe.jpg` (Unicode, UAX 9).
const DIRECTION_CHARS: [char; 11] = [
    '\u{061C}', '\u{200E}', '\u{200F}', '\u{202A}', '\u{202B}', '\u{202C}', '\u{202D}', '\u{202E}', '\u{2066}',
    '\u{2067}', '\u{2068}',
];

/// A file of a mail. It is content, so it has no `Debug`.
pub struct MailAttachment {
    /// The file's name, as the recipient sees it.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// What HTML refers to it by (`cid:…`), without angle brackets. With one it is shown inline.
    pub content_id: Option<String>,
    /// Where its bytes are.
    pub source: FileSource,
}

/// Where a file's bytes are.
pub enum FileSource {
    /// In the message.
    Message(Vec<u8>),
    /// In the stack's bucket.
    Bucket(StoredFile),
}

/// A file in the stack's bucket.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// The object's key, which begins with the tenant's id and a slash.
    pub key: String,
    /// Its entity tag, without quotes, if the file must not be another by then.
    pub version: Option<String>,
}

/// A file as a message has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttachmentDocument {
    name: String,
    content_type: String,
    content_id: Option<String>,
    content: Option<String>,
    s3: Option<StoredFileDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredFileDocument {
    key: String,
    version: Option<String>,
}

/// The files of a mail.
pub(super) fn parse(
    documents: Option<Vec<AttachmentDocument>>,
    tenant_id: &TenantId,
) -> Result<Vec<MailAttachment>, FieldError> {
    let documents = documents.unwrap_or_default();
    if documents.len() > MAX_ATTACHMENTS {
        return Err(FieldError::new("attachments", format!("must be at most {MAX_ATTACHMENTS} files")));
    }
    let mut attachments: Vec<MailAttachment> = Vec::with_capacity(documents.len());
    for (index, document) in documents.into_iter().enumerate() {
        let error = |field: &str, problem: &str| FieldError::new(format!("attachments[{index}].{field}"), problem);
        let attachment = parse_one(document, tenant_id).map_err(|(field, problem)| error(field, &problem))?;
        if attachments.iter().any(|other| other.name == attachment.name) {
            return Err(error("name", "is the name of another attachment"));
        }
        if attachment.content_id.is_some() && attachments.iter().any(|other| other.content_id == attachment.content_id)
        {
            return Err(error("content_id", "is that of another attachment"));
        }
        attachments.push(attachment);
    }
    Ok(attachments)
}

fn parse_one(document: AttachmentDocument, tenant_id: &TenantId) -> Result<MailAttachment, (&'static str, String)> {
    let AttachmentDocument { name, content_type, content_id, content, s3 } = document;
    check_name(&name).map_err(|problem| ("name", problem))?;
    if !is_media_type(&content_type) {
        let problem = format!(
            "must be a media type such as `application/pdf`, at most {MAX_PARAMETER_CHARS} characters, and not `multipart/…`"
        );
        return Err(("content_type", problem));
    }
    if content_id.as_deref().is_some_and(|id| !is_content_id(id)) {
        let problem = format!(
            "must be 1 to {MAX_PARAMETER_CHARS} letters, digits, `.`, `_`, `-`, `+` and `@`, without angle brackets and `cid:`"
        );
        return Err(("content_id", problem));
    }
    let source = match (content, s3) {
        (Some(content), None) => FileSource::Message(decode(&content).map_err(|problem| ("content", problem))?),
        (None, Some(file)) => FileSource::Bucket(parse_stored(file, tenant_id)?),
        (None, None) => return Err(("content", "is missing, and so is `s3`".to_owned())),
        (Some(_), Some(_)) => return Err(("content", "is given, and so is `s3`; one of them is enough".to_owned())),
    };
    Ok(MailAttachment { name, content_type, content_id, source })
}

fn check_name(name: &str) -> Result<(), String> {
    let is_refused =
        |c: char| is_line_breaking(c) || DIRECTION_CHARS.contains(&c) || c == '\u{2069}' || "\"\\/".contains(c);
    let length = name.chars().count();
    if name.trim() != name || !(1..=MAX_NAME_CHARS).contains(&length) || name.chars().any(is_refused) {
        return Err(format!(
            "must be 1 to {MAX_NAME_CHARS} characters, without control characters, quotation marks, slashes, and blanks at its ends"
        ));
    }
    if encoded_word::may_be_decoded(name) {
        return Err("has an encoded word (`=?…?=`); write the name itself".to_owned());
    }
    // Windows ignores blanks and dots at the end of a name.
    let extension =
        name.trim_end_matches(['.', ' ']).rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.filter(|extension| DENIED_EXTENSIONS.split_whitespace().any(|denied| denied == extension)) {
        Some(extension) => Err(format!("ends in `.{extension}`, which SES takes no files with")),
        None => Ok(()),
    }
}

/// `type/subtype`, with parameters or without (RFC 2045, section 5.1).
fn is_media_type(text: &str) -> bool {
    let is_token =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b));
    let is_parameter = |text: &str| {
        let quoted = |value: &str| value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(str::to_owned);
        text.trim_start_matches(' ').split_once('=').is_some_and(|(name, value)| {
            is_token(name) && quoted(value).map_or_else(|| is_token(value), |value| value.split(' ').all(is_token))
        })
    };
    let mut parts = text.split(';');
    let media_type = parts.next().unwrap_or_default();
    text.len() <= MAX_PARAMETER_CHARS
        && !media_type.to_ascii_lowercase().starts_with("multipart/")
        && media_type.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
        && parts.all(is_parameter)
}

fn is_content_id(text: &str) -> bool {
    (1..=MAX_PARAMETER_CHARS).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+@".contains(&b))
}

/// Base64 as RFC 4648, section 4, has it, without line breaks.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, String> {
    match STANDARD.decode(text) {
        Ok(bytes) if bytes.is_empty() => Err("is empty".to_owned()),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err("is not base64 with padding and without line breaks".to_owned()),
    }
}

/// A tenant's mail takes that tenant's files only.
fn parse_stored(file: StoredFileDocument, tenant_id: &TenantId) -> Result<StoredFile, (&'static str, String)> {
    let StoredFileDocument { key, version } = file;
    let Some(prefix) = tenant_id.file_prefix() else {
        return Err(("s3", "is not for tenants whose id has a slash; use `content`".to_owned()));
    };
    let Some(name) = key.strip_prefix(&prefix) else {
        return Err(("s3.key", "must begin with the tenant's id and a slash".to_owned()));
    };
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..");
    if key.len() > MAX_KEY_BYTES || !name.split('/').all(is_segment) || key.chars().any(is_line_breaking) {
        let problem = format!(
            "must be at most {MAX_KEY_BYTES} bytes, without control characters and without empty parts, `.` and `..` between slashes"
        );
        return Err(("s3.key", problem));
    }
    let version = version.map(|version| version.trim_matches('"').to_owned());
    let is_tag = |tag: &str| {
        (1..=MAX_VERSION_CHARS).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if !version.as_deref().is_none_or(is_tag) {
        return Err(("s3.version", "must be the ETag that S3 gave the object".to_owned()));
    }
    Ok(StoredFile { key, version })
}
