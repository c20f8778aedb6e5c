//! A mail as a request to SES.

use aws_sdk_sesv2::error::BuildError;
use aws_sdk_sesv2::operation::send_email::builders::SendEmailFluentBuilder;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageHeader, MessageTag};

use crate::mail::Mail;
use crate::mailbox::Mailbox;

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
    use aws_sdk_sesv2::config::{BehaviorVersion, Config};
    use aws_sdk_sesv2::operation::send_email::SendEmailInput;
    use serde_json::json;

    use super::*;
    use crate::fixtures::sample_with;

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
