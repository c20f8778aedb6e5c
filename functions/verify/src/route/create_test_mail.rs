//! `POST /providers/{provider_id}/test-mails`: a mail to SES's mailbox simulator, or to an address, through the queue that all mail
//! takes. What became of it is told by `GET /providers/{provider_id}/mails/{mail_id}`, as of any mail.

use std::time::Duration;

use http::HeaderValue;
use http::header::LOCATION;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::http::{Problem, Request, RequestLog, Response, body, invalid, respond};
use shared::id::{MailId, ProviderId, TenantId};
use shared::queue::Outgoing;
use shared::record::Provider;

use super::{check_not_stopped, provider_id};
use crate::Verify;

/// The recipients that SES itself simulates, by the word for what becomes of the mail. They may be written to from the
/// sandbox too, and count neither for the daily quota nor for the account's reputation
/// (<https://docs.aws.amazon.com/ses/latest/DeveloperGuide/mailbox-simulator.html>).
const SIMULATED: [(&str, &str); 4] = [
    ("success", "success@simulator.amazonses.com"),
    ("bounce", "bounce@simulator.amazonses.com"),
    ("complaint", "complaint@simulator.amazonses.com"),
    ("suppressed", "suppressionlist@simulator.amazonses.com"),
];

/// The longest address that SES takes, with its name (`send` checks what is in it).
const MAX_ADDRESS_BYTES: usize = 320;

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestMailRequest {
    to: String,
    from: Option<String>,
    mail_id: Option<String>,
}

/// What is to be sent, checked.
#[derive(Debug, PartialEq, Eq)]
struct TestMail {
    to: String,
    from: String,
    mail_id: Option<MailId>,
}

/// A mail as `send` takes it: version 1 of the message.
#[derive(Serialize)]
struct MailMessage<'a> {
    version: u32,
    tenant_id: &'a TenantId,
    provider_id: &'a ProviderId,
    mail_id: &'a MailId,
    first_seen: Timestamp,
    from: &'a str,
    to: [&'a str; 1],
    subject: &'static str,
    text: &'static str,
}

/// The answer.
#[derive(Serialize)]
struct TestMailView<'a> {
    provider_id: &'a ProviderId,
    mail_id: &'a MailId,
    from: &'a str,
    to: &'a str,
}

impl TestMailRequest {
    fn check(self) -> Result<TestMail, Problem> {
        let to = match SIMULATED.iter().find(|(word, _)| *word == self.to) {
            Some((_, address)) => (*address).to_owned(),
            None => address("to", &self.to, "must be success, bounce, complaint, suppressed, or an address")?,
        };
        let from = self.from.ok_or_else(|| {
            invalid(
                "from",
                "is missing: an address of an identity that is verified in the account, which nobody here knows",
            )
        })?;
        let from = address("from", &from, "must be an address of an identity that is verified in the account")?;
        let mail_id = self.mail_id.map(|id| MailId::parse(&id)).transpose();
        let mail_id = mail_id.map_err(|error| invalid("mail_id", error.to_string()))?;
        Ok(TestMail { to, from, mail_id })
    }
}

/// An address at first sight, with its name or without. `send` parses it: what is no address ends in the dead-letter queue.
fn address(field: &'static str, text: &str, problem: &'static str) -> Result<String, Problem> {
    let text = text.trim();
    let parts = text.rsplit_once('@').filter(|(local, domain)| {
        !local.is_empty() && domain.contains('.') && !domain.starts_with('.') && !domain.contains(char::is_whitespace)
    });
    if parts.is_none() || text.len() > MAX_ADDRESS_BYTES || text.chars().any(char::is_control) {
        return Err(invalid(field, problem));
    }
    Ok(text.to_owned())
}

impl Verify {
    /// Hands a test mail over. With a `mail_id` it can be repeated: the ledger sends a mail once.
    pub(crate) async fn create_test_mail(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let provider_id = provider_id(request)?;
        log.provider(&provider_id);
        let mail = body::<TestMailRequest>(request)?.check()?;
        let provider = self.providers.provider(&provider_id).await?.ok_or_else(|| Problem::not_found("provider"))?;
        log.tenant(&provider.tenant_id);
        check_not_stopped(&provider, log)?;
        let given = mail.mail_id.clone();
        let mail_id = match given {
            Some(mail_id) => mail_id,
            None => MailId::parse(&format!("test-{}", self.ambient.ulid())).map_err(|_| Problem::internal())?,
        };
        self.enqueue_test_mail(&provider, &mail, &mail_id).await?;
        log.outcome("enqueued");
        let view = TestMailView { provider_id: &provider_id, mail_id: &mail_id, from: &mail.from, to: &mail.to };
        let mut response = respond(202, &view);
        if let Ok(location) = HeaderValue::from_str(&location(&provider_id, &mail_id)) {
            response.headers.insert(LOCATION, location);
        }
        Ok(response)
    }

    async fn enqueue_test_mail(&self, provider: &Provider, mail: &TestMail, mail_id: &MailId) -> Result<(), Problem> {
        let message = message(provider, mail, mail_id, self.ambient.now());
        let body = serde_json::to_string(&message).map_err(|_| Problem::internal())?;
        let outgoing = Outgoing {
            subject: mail_id.as_str(),
            body: &body,
            group: provider.provider_id.as_str(),
            delay: Duration::ZERO,
            hops: None,
            lined_up: false,
        };
        self.send_queue.send(outgoing).await.map_err(|error| Problem::unavailable().caused_by(&error))
    }
}

fn message<'a>(provider: &'a Provider, mail: &'a TestMail, mail_id: &'a MailId, now: Timestamp) -> MailMessage<'a> {
    MailMessage {
        version: 1,
        tenant_id: &provider.tenant_id,
        provider_id: &provider.provider_id,
        mail_id,
        first_seen: now,
        from: &mail.from,
        to: [&mail.to],
        subject: "Test mail",
        text: "This is a test: your provider can send mail.",
    }
}

/// The route that tells the mail's fate. A mail id may hold any characters.
fn location(provider_id: &ProviderId, mail_id: &MailId) -> String {
    let mut path = format!("/providers/{provider_id}/mails/");
    for byte in mail_id.as_str().bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(char::from(byte)),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::encodings::Body;
    use serde_json::{Value, json};

    use super::*;

    fn check(request: Value) -> Result<TestMail, String> {
        serde_json::from_value::<TestMailRequest>(request).unwrap().check().map_err(|problem| {
            let Some(Body::Text(text)) = Response::from(problem).body else { panic!("no body") };
            serde_json::from_str::<Value>(&text).unwrap()["field"].as_str().unwrap().to_owned()
        })
    }

    #[test]
    fn a_test_mail_goes_to_a_simulated_recipient_or_an_address_and_what_is_missing_is_named() {
        let from = "Jane <jane@example.com>";
        for (to, address) in SIMULATED.into_iter().chain([(" ann@example.org", "ann@example.org")]) {
            let mail = check(json!({ "to": to, "from": from })).unwrap();
            assert_eq!(mail, TestMail { to: address.to_owned(), from: from.to_owned(), mail_id: None });
        }
        for (request, field) in [
            (json!({ "to": "sucess", "from": from }), "to"),
            (json!({ "to": "", "from": from }), "to"),
            (json!({ "to": "ann@localhost", "from": from }), "to"),
            (json!({ "to": "ann@example.org\nBcc: b@example.org", "from": from }), "to"),
            (json!({ "to": "success" }), "from"),
            (json!({ "to": "success", "from": "example.com" }), "from"),
            (json!({ "to": "success", "from": format!("{}@example.com", "x".repeat(320)) }), "from"),
            (json!({ "to": "success", "from": from, "mail_id": "" }), "mail_id"),
        ] {
            assert_eq!(check(request.clone()).unwrap_err(), field, "{request}");
        }
    }

    #[test]
    fn a_mail_id_of_any_characters_is_found_where_the_answer_says() {
        let provider_id = ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        for (mail_id, path) in [("test-1", "test-1"), ("a b/c?d%\u{e9}", "a%20b%2Fc%3Fd%25%C3%A9")] {
            let mail_id = MailId::parse(mail_id).unwrap();
            assert_eq!(location(&provider_id, &mail_id), format!("/providers/{provider_id}/mails/{path}"));
        }
    }

    #[test]
    fn the_sample_request_is_one() {
        let request: Request =
            serde_json::from_str(include_str!("../../../../events/verify-create-test-mail.json")).unwrap();
        let mail = body::<TestMailRequest>(&request).unwrap().check().unwrap();
        assert_eq!(mail.to, "bounce@simulator.amazonses.com");
    }
}
