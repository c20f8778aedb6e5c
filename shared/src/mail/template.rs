//! A mail that SES makes of a template of the tenant's account.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::http::FieldError;

/// The longest name of a template here; SES states no limit.
const MAX_NAME_CHARS: usize = 128;

/// SES v2 API, `Template`, `TemplateData`.
const MAX_DATA_BYTES: usize = 262_144;

/// Content by a template. Its data are content, so it has no `Debug`.
pub struct TemplateContent {
    /// Which template.
    pub reference: TemplateReference,
    /// The variables' values, a JSON object in canonical form: names in order, without blanks.
    pub data: String,
}

/// Which template.
#[derive(Clone, PartialEq, Eq)]
pub enum TemplateReference {
    /// By its name in the account.
    Name(String),
    /// By its ARN.
    Arn(String),
}

/// A template as a message has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TemplateDocument {
    name: Option<String>,
    arn: Option<String>,
    data: Option<Map<String, Value>>,
}

/// The content.
pub(super) fn parse(document: TemplateDocument) -> Result<TemplateContent, FieldError> {
    let TemplateDocument { name, arn, data } = document;
    let reference = match (name, arn) {
        (Some(name), None) if is_template_name(&name) => TemplateReference::Name(name),
        (Some(_), None) => {
            let problem = format!("must be 1 to {MAX_NAME_CHARS} letters, digits, `-`, `_` and `.`");
            return Err(FieldError::new("template.name", problem));
        }
        (None, Some(arn)) if is_template_arn(&arn) => TemplateReference::Arn(arn),
        (None, Some(_)) => {
            return Err(FieldError::new(
                "template.arn",
                "must be `arn:<partition>:ses:<region>:<account>:template/<name>`",
            ));
        }
        (None, None) => return Err(FieldError::new("template.name", "is missing, and so is `arn`")),
        (Some(_), Some(_)) => {
            return Err(FieldError::new("template.name", "is given, and so is `arn`; one of them is enough"));
        }
    };
    let data = Value::Object(data.unwrap_or_default()).to_string();
    if data.len() > MAX_DATA_BYTES {
        return Err(FieldError::new("template.data", format!("must be at most {MAX_DATA_BYTES} bytes")));
    }
    Ok(TemplateContent { reference, data })
}

impl TemplateReference {
    /// The template's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Arn(arn) => arn.split_once(":template/").map_or("", |(_, name)| name),
        }
    }
}

fn is_template_name(name: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.')
}

fn is_template_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    match parts[..] {
        ["arn", partition, "ses", region, account, resource] => {
            is_word(partition)
                && is_word(region)
                && account.len() == 12
                && account.bytes().all(|b| b.is_ascii_digit())
                && resource.strip_prefix("template/").is_some_and(is_template_name)
        }
        _ => false,
    }
}
