//! An email template with its variables filled in, as far as mail of this project needs it: `{{name}}`, and `{{{name}}}`.

use fakecloud_ses::EmailTemplate;
use serde_json::Value;

/// A template's parts, filled in.
#[derive(Debug, PartialEq)]
pub(super) struct RenderedMail {
    /// Subject.
    pub(super) subject: Option<String>,
    /// Plain text.
    pub(super) text: Option<String>,
    /// HTML.
    pub(super) html: Option<String>,
}

/// Fills in a template.
///
/// # Errors
/// What a Rendering Failure event says
/// (<https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-examples.html>).
pub(super) fn render(template: &EmailTemplate, data: &str) -> Result<RenderedMail, String> {
    let data: Value = serde_json::from_str(data).unwrap_or(Value::Null);
    let fill = |part: &Option<String>| part.as_deref().map(|part| fill_in(part, &data)).transpose();
    Ok(RenderedMail {
        subject: fill(&template.subject)?,
        text: fill(&template.text_body)?,
        html: fill(&template.html_body)?,
    })
}

fn fill_in(part: &str, data: &Value) -> Result<String, String> {
    let mut filled = String::with_capacity(part.len());
    let mut rest = part;
    while let Some((before, opened)) = rest.split_once("{{") {
        let (open, close) = if opened.starts_with('{') { (1, "}}}") } else { (0, "}}") };
        let Some((name, after)) = opened[open..].split_once(close) else { break };
        filled.push_str(before);
        match name.trim().split('.').fold(data, |data, name| &data[name]) {
            Value::Null => return Err(format!("Attribute '{}' is not present in the rendering data.", name.trim())),
            Value::String(text) => filled.push_str(text),
            other => filled.push_str(&other.to_string()),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_are_filled_in_and_a_missing_one_is_named() {
        let data = json!({"name": "Jane", "order": {"id": 7}});
        assert_eq!(fill_in("Hi {{name}}, {{ order.id }}{{{name}}}", &data).as_deref(), Ok("Hi Jane, 7Jane"));
        assert_eq!(fill_in("no variable }} {{", &data).as_deref(), Ok("no variable }} {{"));
        let missing = fill_in("{{name}} {{order.date}}", &data).unwrap_err();
        assert_eq!(missing, "Attribute 'order.date' is not present in the rendering data.");
    }
}
