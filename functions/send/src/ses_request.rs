//! A mail as a request to SES.

use aws_sdk_sesv2::error::BuildError;
use aws_sdk_sesv2::operation::send_email::builders::SendEmailFluentBuilder;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageHeader, MessageTag};

use shared::mail::{Mail, Mailbox};

/// Sets everything that SES gets of the mail. The pattern has no `..`: a new field of [`Mail`] does not compile until it
/// is decided here whether SES gets it, and in `digest` whether it is content.
///
/// # Errors
/// The SDK requires a value that is missing.
pub(crate) fn fill(request: SendEmailFluentBuilder, mail: &Mail) -> Result<SendEmailFluentBuilder, BuildError> {
    let Mail {
        tenant_id: _,
        provider_id: _,
        mail_id: _,
        first_seen: _,
        carries_first_seen: _,
        on_doubt: _,
        priority: _,
        expires_at: _,
        from,
        to,
        cc,
        bcc,
        reply_to,
        subject,
        text,
        html,
        headers,
        tags,
        configuration_set,
    } = mail;
    let destination = Destination::builder()
        .set_to_addresses(addresses(to))
        .set_cc_addresses(addresses(cc))
        .set_bcc_addresses(addresses(bcc))
        .build();
    let body = Body::builder()
        .set_text(text.as_deref().map(utf8).transpose()?)
        .set_html(html.as_deref().map(utf8).transpose()?)
        .build();
    let headers = headers.iter().map(|(name, value)| MessageHeader::builder().name(name).value(value).build());
    let message = Message::builder().subject(utf8(subject)?).body(body).set_headers(unless_empty(headers)?).build();
    let tags = tags.iter().map(|(name, value)| MessageTag::builder().name(name).value(value).build());
    Ok(request
        .from_email_address(from.header())
        .destination(destination)
        .set_reply_to_addresses(addresses(reply_to))
        .content(EmailContent::builder().simple(message).build())
        .set_email_tags(unless_empty(tags)?)
        .set_configuration_set_name(configuration_set.clone()))
}

fn addresses(mailboxes: &[Mailbox]) -> Option<Vec<String>> {
    (!mailboxes.is_empty()).then(|| mailboxes.iter().map(Mailbox::header).collect())
}

fn utf8(text: &str) -> Result<Content, BuildError> {
    Content::builder().data(text).charset("UTF-8").build()
}

/// Empty lists are left out of the request.
fn unless_empty<T>(built: impl Iterator<Item = Result<T, BuildError>>) -> Result<Option<Vec<T>>, BuildError> {
    let values: Vec<T> = built.collect::<Result<_, _>>()?;
    Ok((!values.is_empty()).then_some(values))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aws_sdk_sesv2::config::{BehaviorVersion, Config, Credentials, Region};
    use aws_sdk_sesv2::operation::send_email::SendEmailInput;
    use serde::Deserialize;
    use serde_json::{Value, json};
    use shared::testing::fake_aws;
    use tokio::sync::mpsc;

    use super::*;
    use crate::fixtures::{changed, sample_with, time};
    use crate::rejection::RejectedMessage;

    /// A mail that the product once got wrong, with what is right: what SES gets, or why it is rejected.
    #[derive(Deserialize)]
    struct MailCase {
        id: String,
        why: String,
        mail: Value,
        sent: Option<BTreeMap<String, Value>>,
        rejected: Option<String>,
        problem: Option<String>,
    }

    /// The body of the request as the SDK writes it.
    async fn on_the_wire(mail: &Mail) -> Value {
        let (bodies, mut body) = mpsc::unbounded_channel();
        let http_client = fake_aws(move |request| {
            bodies.send(request.body).unwrap();
            async { (200, r#"{"MessageId":"m"}"#.to_owned()) }
        });
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("AKIASP2TPHJSQH3FJRUX", "s", None, None, "test"))
            .http_client(http_client);
        let client = aws_sdk_sesv2::Client::from_conf(config.build());
        fill(client.send_email(), mail).unwrap().send().await.unwrap();
        serde_json::from_str(&body.recv().await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn each_case_is_sent_or_rejected_as_it_should_be() {
        let cases: Vec<MailCase> = serde_json::from_str(include_str!("cases.json")).unwrap();
        for MailCase { id, why, mail, sent, rejected, problem } in cases {
            match Mail::parse(&changed(&mail), time("2026-11-23T10:00:00Z")) {
                Ok(mail) => {
                    assert_eq!(rejected, None, "{id}: {why}");
                    let body = on_the_wire(&mail).await;
                    for (path, expected) in sent.unwrap() {
                        assert_eq!(body.pointer(&path), Some(&expected), "{id}: {why}");
                    }
                }
                Err(error) => {
                    let error = RejectedMessage::new(error, "");
                    assert_eq!(Some(error.rejection.code().to_string()), rejected, "{id}: {why}");
                    assert_eq!(Some(error.rejection.problem), problem, "{id}: {why}");
                }
            }
        }
    }

    #[tokio::test]
    async fn names_and_texts_arrive_on_the_wire_as_they_were_handed_over() {
        let mail = sample_with(json!({
            "from": "\"Doe, \\\"Jane\\\" \\\\ <x@y.example>; (Sales)\" <jane@example.com>",
            "to": ["😀 Ann <ann@bücher.example>", "Bob O'Neil <bob@example.org>"],
            "cc": ["=?iso-8859-1?q?J=F6rg?= <joerg@example.org>"],
            "bcc": ["\"=?x?=\" <audit@example.net>"],
            "reply_to": ["\"help\"@straße.example"],
            "subject": "=?utf-8?q?Gr=C3=BC=C3=9Fe?= 😀 \"x\\y\"",
            "text": "a\r\n\u{2028}b",
            "headers": {"List-Unsubscribe": "<https://example.com/u?x=\"1\">, <mailto:u@example.com>"},
            "tags": {"ses:feedback-id-b": "spring", "customer": "a.b@c"},
        }));
        let body = on_the_wire(&mail).await;
        assert_eq!(body["FromEmailAddress"], r#""Doe, \"Jane\" \\ <x@y.example>; (Sales)" <jane@example.com>"#);
        assert_eq!(
            body["Destination"],
            json!({
                "ToAddresses": ["=?UTF-8?B?8J+YgCBBbm4=?= <ann@xn--bcher-kva.example>", "Bob O'Neil <bob@example.org>"],
                "CcAddresses": ["=?UTF-8?B?SsO2cmc=?= <joerg@example.org>"],
                "BccAddresses": ["=?UTF-8?B?PT94Pz0=?= <audit@example.net>"],
            })
        );
        assert_eq!(body["ReplyToAddresses"], json!(["help@xn--strae-oqa.example"]));
        let message = &body["Content"]["Simple"];
        assert_eq!(message["Subject"], json!({"Data": "Grüße 😀 \"x\\y\"", "Charset": "UTF-8"}));
        assert_eq!(message["Body"]["Text"], json!({"Data": "a\r\n\u{2028}b", "Charset": "UTF-8"}));
        let value = "<https://example.com/u?x=\"1\">, <mailto:u@example.com>";
        assert_eq!(message["Headers"], json!([{"Name": "List-Unsubscribe", "Value": value}]));
        let tags = json!([{"Name": "customer", "Value": "a.b@c"}, {"Name": "ses:feedback-id-b", "Value": "spring"}]);
        assert_eq!(body["EmailTags"], tags);
    }

    fn request(mail: &Mail) -> SendEmailInput {
        let config = Config::builder().behavior_version(BehaviorVersion::latest()).build();
        let request = aws_sdk_sesv2::Client::from_conf(config).send_email();
        fill(request, mail).unwrap().as_input().clone().build().unwrap()
    }

    #[test]
    fn ses_gets_the_content_of_the_mail_and_nothing_else() {
        let content = |text: &str| Content::builder().data(text).charset("UTF-8").build().unwrap();
        let body = Body::builder().text(content("Thank you.")).html(content("<p>Thank you.</p>")).build();
        let header = MessageHeader::builder().name("X-Campaign").value("spring").build().unwrap();
        let message = Message::builder().subject(content("Your order 1234")).body(body).headers(header).build();
        let expected = SendEmailInput::builder()
            .from_email_address("Jane <jane@example.com>")
            .destination(
                Destination::builder()
                    .to_addresses("a@example.org")
                    .cc_addresses("\"Doe, John\" <john@example.org>")
                    .bcc_addresses("audit@example.net")
                    .build(),
            )
            .reply_to_addresses("help@example.com")
            .content(EmailContent::builder().simple(message).build())
            .email_tags(MessageTag::builder().name("campaign").value("spring").build().unwrap())
            .configuration_set_name("transactional");
        let mail = sample_with(json!({
            "bcc": ["audit@example.net"], "reply_to": ["help@example.com"], "configuration_set": "transactional",
        }));
        assert_eq!(request(&mail), expected.build().unwrap());
    }

    #[test]
    fn an_empty_field_is_left_out_of_the_request() {
        let bare = json!({"cc": null, "html": null, "headers": null, "tags": null});
        let request = request(&sample_with(bare));
        let destination = request.destination().unwrap();
        assert_eq!((destination.cc_addresses.as_ref(), destination.bcc_addresses.as_ref()), (None, None));
        assert_eq!((request.reply_to_addresses.as_ref(), request.email_tags.as_ref()), (None, None));
        let message = request.content().unwrap().simple().unwrap();
        assert_eq!((message.headers.as_ref(), message.body().unwrap().html()), (None, None));
    }
}
