//! What AWS answers, in its own words.

use anyhow::{Result, ensure};
use serde_json::Value;

/// What was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AwsAnswer {
    /// The HTTP status.
    pub(super) status: u16,
    /// AWS's error code; empty for a success.
    pub(super) code: String,
    /// AWS's message, without what it may append to a denial.
    pub(super) message: String,
    /// The body as received. It may hold a secret.
    pub(super) body: String,
}

impl AwsAnswer {
    /// Reads an answer of any of the services.
    pub(super) fn new(status: u16, typed: &str, body: String) -> Self {
        if (200..300).contains(&status) {
            return Self { status, code: String::new(), message: String::new(), body };
        }
        let json: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
        let field = |names: &[&str]| names.iter().find_map(|name| json.get(name)?.as_str()).map(str::to_owned);
        let code = Some(typed.to_owned())
            .filter(|typed| !typed.is_empty())
            .or_else(|| field(&["__type", "code"]))
            .or_else(|| element(&body, "Code").map(str::to_owned))
            .unwrap_or_default();
        let code = code.rsplit('#').next().and_then(|code| code.split(':').next()).unwrap_or_default().to_owned();
        let message = field(&["message", "Message", "detail", "title"])
            .or_else(|| element(&body, "Message").map(unescape))
            .unwrap_or_default();
        Self { status, code, message: without_tail(&message), body }
    }

    /// Whether it is a success.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether AWS says that the caller may not.
    pub(super) fn is_denied(&self) -> bool {
        self.code.starts_with("AccessDenied")
    }

    /// Whether AWS does not know the key that signed.
    pub(super) fn is_unknown_key(&self) -> bool {
        ["InvalidClientTokenId", "UnrecognizedClient"].iter().any(|code| self.code.starts_with(code))
    }

    /// Whether asking again may help.
    pub(super) fn is_passing(&self) -> bool {
        self.status >= 500
            || self.status == 429
            || ["Throttling", "RequestLimitExceeded", "TooManyRequests"].iter().any(|code| self.code.starts_with(code))
    }

    /// The success that was hoped for.
    ///
    /// # Errors
    /// What AWS said instead.
    pub(super) fn successful(self, what: &str) -> Result<Self> {
        ensure!(self.is_success(), "{what}: {}", self.said());
        Ok(self)
    }

    /// What was said, for people: status, code and message.
    pub(super) fn said(&self) -> String {
        let said = [self.status.to_string(), self.code.clone(), self.message.clone()];
        said.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// The text of the first element of this name.
    pub(super) fn element(&self, name: &str) -> Option<String> {
        element(&self.body, name).map(unescape)
    }

    /// The contents of the `member` elements of the first list of this name. Lists within them are not told apart, and the
    /// answers that a drill reads have none.
    pub(super) fn members(&self, list: &str) -> Vec<&str> {
        element(&self.body, list)
            .map(|list| {
                list.split("<member>").skip(1).filter_map(|rest| Some(rest.split_once("</member>")?.0)).collect()
            })
            .unwrap_or_default()
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// What stands between the first start and the next end tag of this name.
pub(super) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

fn unescape(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

/// A message as far as it is for everybody: since 2026 AWS may append a policy's ARN, a console link and an authorization id to
/// a denial.
fn without_tail(message: &str) -> String {
    const ENDS: [&str; 6] = [
        "identity-based policy",
        "service control policy",
        "resource control policy",
        "permissions boundary",
        "resource-based policy",
        "session policy",
    ];
    let end = match message.split_once("because no ") {
        Some((head, reason)) => {
            reason.find(" action").map(|end| head.len() + "because no ".len() + end + " action".len())
        }
        None => message.find("explicit deny").and_then(|start| {
            ENDS.iter().filter_map(|words| Some(start + message.get(start..)?.find(words)? + words.len())).min()
        }),
    };
    end.and_then(|end| message.get(..end)).unwrap_or(message).chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_in_each_services_form_and_without_its_tail() {
        let text = "User: arn:aws:iam::1:user/u is not authorized to perform: iam:GetUser on resource: user u";
        let implicit = format!("{text} because no identity-based policy allows the iam:GetUser action");
        let explicit = format!("{text} with an explicit deny in an identity-based policy");
        let tail = ": arn:aws:iam::1:policy/secret https://console.aws.amazon.com authorization 1234";
        let cases = [
            (
                "",
                format!(
                    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>{implicit}{tail}</Message></Error></ErrorResponse>"
                ),
                "AccessDenied",
                implicit.as_str(),
            ),
            (
                "",
                format!(r#"{{"__type":"com.amazonaws.x#AccessDeniedException","Message":"{explicit}{tail}"}}"#),
                "AccessDeniedException",
                explicit.as_str(),
            ),
            ("NotFoundException:http", r#"{"message":"no such"}"#.to_owned(), "NotFoundException", "no such"),
            ("", "<Code>A</Code><Message>a &lt;b&gt; &amp;lt;</Message>".to_owned(), "A", "a <b> &lt;"),
            ("", "<html>".to_owned(), "", ""),
        ];
        for (typed, body, code, message) in cases {
            let answer = AwsAnswer::new(403, typed, body);
            assert_eq!((answer.code.as_str(), answer.message.as_str()), (code, message));
        }
        // What a success holds is nobody's error text.
        assert_eq!(AwsAnswer::new(200, "", "<SecretAccessKey>MARKER</SecretAccessKey>".to_owned()).said(), "200");
    }
}
