//! `POST /providers/{provider_id}/test-mails`: a mail to SES's mailbox simulator, or to an address, through the queue that all mail
//! takes. What became of it is told by `GET /providers/{provider_id}/mails/{mail_id}`, as of any mail.

use http::HeaderValue;
use http::header::LOCATION;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::http::{Problem, Request, RequestLog, Response, body, invalid, respond};
use shared::id::{MailId, ProviderId};
use shared::record::Provider;

use super::{check_not_stopped, provider_id};
use crate::Verify;
use crate::hand_over::{MailMessage, location};

/// The recipients that SES itself simulates, by the word for what becomes of the mail. They may be written to from the
/// sandbox too, and count neither for the daily quota nor for the account's reputation
/// (<https://docs.aws.amazon.com/ses/latest/DeveloperGuide/mailbox-simulator.html>).
const SIMULATED: [(&str, &str); 4] = [
    ("success", "success@simulator.amazonses.com"),
    ("bounce", "bounce@simulator.amazonses.com"),
    ("complaint", "complaint@simulator.amazonses.com"),
    ("suppressed", "suppressionlist@simulator.amazonses.com"),
];

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

/// What the provider does not say of the mail.
#[derive(Serialize)]
struct TestMailContent<'a> {
    mail_id: &'a MailId,
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
        let simulated = SIMULATED.iter().find(|(word, _)| *word == self.to).map(|(_, address)| (*address).to_owned());
        let from = self.from.ok_or_else(|| {
            invalid(
                "from",
                "is missing: an address of an identity that is verified in the account, which nobody here knows",
            )
        })?;
        let mail_id = self.mail_id.map(|id| MailId::parse(&id)).transpose();
        let mail_id = mail_id.map_err(|error| invalid("mail_id", error.to_string()))?;
        let trimmed = |text: &str| text.trim().to_owned();
        Ok(TestMail { to: simulated.unwrap_or_else(|| trimmed(&self.to)), from: trimmed(&from), mail_id })
    }
}

impl TestMail {
    /// The mail as any other is handed over.
    fn message(&self, provider: &Provider, mail_id: &MailId, now: Timestamp) -> Result<MailMessage, Problem> {
        let content = TestMailContent {
            mail_id,
            from: &self.from,
            to: [&self.to],
            subject: "Test mail",
            text: "This is a test: your provider can send mail.",
        };
        let text = serde_json::to_string(&content).map_err(|_| Problem::internal())?;
        MailMessage::new(&text, provider, now).map_err(|error| match error.field.as_str() {
            "to[0]" => invalid("to", "must be success, bounce, complaint, suppressed, or an address"),
            "from" => invalid("from", "must be an address of an identity that is verified in the account"),
            _ => Problem::bad_request(&error),
        })
    }
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
        let message = mail.message(&provider, &mail_id, self.ambient.now())?;
        if let Some(Err(error)) = self.enqueue_mails(&[&message]).await.into_iter().next() {
            return Err(Problem::unavailable().caused_by(&error));
        }
        log.outcome("enqueued");
        let view = TestMailView { provider_id: &provider_id, mail_id: &mail_id, from: &mail.from, to: &mail.to };
        let mut response = respond(202, &view);
        if let Ok(location) = HeaderValue::from_str(&location(&provider_id, &mail_id)) {
            response.headers.insert(LOCATION, location);
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::encodings::Body;
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures;

    fn check(request: Value) -> Result<TestMail, String> {
        let checked = serde_json::from_value::<TestMailRequest>(request).unwrap().check().and_then(|mail| {
            let mail_id = MailId::parse("m").map_err(|_| Problem::internal())?;
            mail.message(&fixtures::provider(), &mail_id, Timestamp::UNIX_EPOCH).map(|_| mail)
        });
        checked.map_err(|problem| {
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
    fn the_sample_request_is_one() {
        let request: Request =
            serde_json::from_str(include_str!("../../../../events/verify-create-test-mail.json")).unwrap();
        let mail = body::<TestMailRequest>(&request).unwrap().check().unwrap();
        assert_eq!(mail.to, "bounce@simulator.amazonses.com");
    }
}
