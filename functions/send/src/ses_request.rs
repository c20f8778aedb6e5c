//! A mail as a request to SES.

use aws_sdk_sesv2::error::BuildError;
use aws_sdk_sesv2::operation::send_email::builders::SendEmailFluentBuilder;
use aws_sdk_sesv2::primitives::Blob;
use aws_sdk_sesv2::types::{
    Attachment, AttachmentContentDisposition, AttachmentContentTransferEncoding, Body, Content, Destination,
    EmailContent, ListManagementOptions, Message, MessageHeader, MessageTag, RawMessage, Template,
};

use shared::mail::{
    FileSource, ListManagement, Mail, MailAttachment, MailContent, Mailbox, TemplateReference, TextContent,
};

use crate::files::LoadedFiles;

/// Sets everything that SES gets of the mail. The pattern has no `..`: a new field of [`Mail`] does not compile until it
/// is decided here whether SES gets it, and in `digest` whether it is content.
///
/// # Errors
/// The SDK requires a value that is missing.
pub(crate) fn fill(
    request: SendEmailFluentBuilder,
    mail: &Mail,
    files: &LoadedFiles,
) -> Result<SendEmailFluentBuilder, BuildError> {
    let Mail {
        tenant_id: _,
        provider_id: _,
        provider_ids: _,
        patience_s: _,
        mail_id: _,
        first_seen: _,
        carries_first_seen: _,
        on_doubt: _,
        priority: _,
        expires_at: _,
        not_before: _,
        from,
        to,
        cc,
        bcc,
        reply_to,
        content,
        attachments,
        headers,
        tags,
        configuration_set,
        list_management,
        tenant_name,
        endpoint_id,
        return_path,
    } = mail;
    let destination = Destination::builder()
        .set_to_addresses(addresses(to))
        .set_cc_addresses(addresses(cc))
        .set_bcc_addresses(addresses(bcc))
        .build();
    let headers = headers.iter().map(|(name, value)| MessageHeader::builder().name(name).value(value).build());
    let headers = unless_empty(headers)?;
    let files = attachments.iter().enumerate().map(|(place, attachment)| file(attachment, files.bytes(place)));
    let files = unless_empty(files)?;
    let content = match content {
        MailContent::Text(content) => EmailContent::builder().simple(
            Message::builder()
                .subject(utf8(&content.subject)?)
                .body(body(content)?)
                .set_headers(headers)
                .set_attachments(files)
                .build(),
        ),
        MailContent::Raw(content) => {
            EmailContent::builder().raw(RawMessage::builder().data(Blob::new(content.data.as_slice())).build()?)
        }
        MailContent::Template(content) => {
            let template = match &content.reference {
                TemplateReference::Name(name) => Template::builder().template_name(name),
                TemplateReference::Arn(arn) => Template::builder().template_arn(arn),
            };
            let template = template.template_data(&content.data).set_headers(headers).set_attachments(files);
            EmailContent::builder().template(template.build())
        }
    };
    let tags = tags.iter().map(|(name, value)| MessageTag::builder().name(name).value(value).build());
    Ok(request
        .from_email_address(from.header())
        .destination(destination)
        .set_reply_to_addresses(addresses(reply_to))
        .content(content.build())
        .set_email_tags(unless_empty(tags)?)
        .set_configuration_set_name(configuration_set.clone())
        .set_list_management_options(list_management.as_ref().map(list_options).transpose()?)
        .set_tenant_name(tenant_name.clone())
        .set_endpoint_id(endpoint_id.clone())
        .set_feedback_forwarding_email_address(return_path.as_ref().map(Mailbox::header)))
}

fn addresses(mailboxes: &[Mailbox]) -> Option<Vec<String>> {
    (!mailboxes.is_empty()).then(|| mailboxes.iter().map(Mailbox::header).collect())
}

fn body(content: &TextContent) -> Result<Body, BuildError> {
    Ok(Body::builder()
        .set_text(content.text.as_deref().map(utf8).transpose()?)
        .set_html(content.html.as_deref().map(utf8).transpose()?)
        .build())
}

/// Always in base64: the default is `SEVEN_BIT` (SES developer guide, "Working with email attachments in SES"), which not every
/// file is. `stored` are the bytes of a file of the bucket; that they are missing is the builder's error.
fn file(attachment: &MailAttachment, stored: Option<&[u8]>) -> Result<Attachment, BuildError> {
    let MailAttachment { name, content_type, content_id, source } = attachment;
    let bytes = match source {
        FileSource::Message(bytes) => Some(bytes.as_slice()),
        FileSource::Bucket(_) => stored,
    };
    let disposition = match content_id {
        Some(_) => AttachmentContentDisposition::Inline,
        None => AttachmentContentDisposition::Attachment,
    };
    Attachment::builder()
        .file_name(name)
        .content_type(content_type)
        .set_content_id(content_id.clone())
        .content_disposition(disposition)
        .content_transfer_encoding(AttachmentContentTransferEncoding::Base64)
        .set_raw_content(bytes.map(Blob::new))
        .build()
}

fn list_options(list: &ListManagement) -> Result<ListManagementOptions, BuildError> {
    ListManagementOptions::builder().contact_list_name(&list.contact_list).set_topic_name(list.topic.clone()).build()
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

    /// A client, and the bodies of its requests as the SDK writes them.
    fn wire_client() -> (aws_sdk_sesv2::Client, mpsc::UnboundedReceiver<String>) {
        let (bodies, body) = mpsc::unbounded_channel();
        let http_client = fake_aws(move |request| {
            bodies.send(request.body).unwrap();
            async { (200, r#"{"MessageId":"m"}"#.to_owned()) }
        });
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("AKIASP2TPHJSQH3FJRUX", "s", None, None, "test"))
            .http_client(http_client);
        (aws_sdk_sesv2::Client::from_conf(config.build()), body)
    }

    async fn on_the_wire(mail: &Mail) -> Value {
        on_the_wire_with(mail, &LoadedFiles::default()).await
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
        fill(request, mail, &LoadedFiles::default()).unwrap().as_input().clone().build().unwrap()
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

    fn wire_file(name: &str, content_type: &str, bytes: &str, id: Option<&str>) -> Value {
        let mut file = json!({
            "FileName": name, "ContentType": content_type, "ContentTransferEncoding": "BASE64", "RawContent": bytes,
            "ContentDisposition": if id.is_some() { "INLINE" } else { "ATTACHMENT" },
        });
        if let Some(id) = id {
            file["ContentId"] = json!(id);
        }
        file
    }

    async fn on_the_wire_with(mail: &Mail, files: &LoadedFiles) -> Value {
        let (client, mut body) = wire_client();
        fill(client.send_email(), mail, files).unwrap().send().await.unwrap();
        serde_json::from_str(&body.recv().await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn files_of_the_message_and_of_the_bucket_arrive_in_order() {
        let mail = sample_with(json!({"attachments": [
            {"name": "a.pdf", "content_type": "application/pdf", "s3": {"key": "acme/a.pdf"}},
            {"name": "logo.png", "content_type": "image/png", "content_id": "logo", "content": "cG5n"},
        ]}));
        let body = on_the_wire_with(&mail, &LoadedFiles::of(vec![(0, b"%PDF".to_vec())])).await;
        let expected = json!([
            wire_file("a.pdf", "application/pdf", "JVBERg==", None),
            wire_file("logo.png", "image/png", "cG5n", Some("logo")),
        ]);
        assert_eq!(body["Content"]["Simple"]["Attachments"], expected);
        let config = Config::builder().behavior_version(BehaviorVersion::latest()).build();
        let request = aws_sdk_sesv2::Client::from_conf(config).send_email();
        assert!(fill(request, &mail, &LoadedFiles::default()).is_err(), "a file of the bucket was left out");
    }

    #[tokio::test]
    async fn a_message_in_mime_goes_with_its_own_from_to_the_recipients_of_the_mail() {
        let message = "From: \"Doe, Jane\" <jane@example.com>\r\nTo: list@example.org\r\nSubject: Hi\r\n\r\nHello";
        let raw = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, message);
        let mail = sample_with(json!({
            "from": "jane@example.com", "raw": raw, "subject": null, "text": null, "html": null, "headers": null, "cc": null,
            "bcc": ["audit@example.net"], "return_path": "bounces@example.com", "tenant_name": "shop",
        }));
        let body = on_the_wire_with(&mail, &LoadedFiles::default()).await;
        assert_eq!(body["Content"], json!({"Raw": {"Data": raw}}));
        assert_eq!(body["FromEmailAddress"], "\"Doe, Jane\" <jane@example.com>");
        let destination = json!({"ToAddresses": ["a@example.org"], "BccAddresses": ["audit@example.net"]});
        assert_eq!(body["Destination"], destination);
        assert_eq!(body["FeedbackForwardingEmailAddress"], "bounces@example.com");
        assert_eq!(body["TenantName"], "shop");
    }

    #[tokio::test]
    async fn a_template_goes_with_its_data_headers_and_list() {
        let mail = sample_with(json!({
            "template": {"name": "welcome", "data": {"name": "Ann", "at": 1}}, "subject": null, "text": null, "html": null,
            "headers": {"X-A": "1"}, "list_unsubscribe": {"url": "https://example.com/u"},
            "list_management": {"contact_list": "all", "topic": "news"},
        }));
        let body = on_the_wire_with(&mail, &LoadedFiles::default()).await;
        let headers = json!([
            {"Name": "List-Unsubscribe", "Value": "<https://example.com/u>"},
            {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
            {"Name": "X-A", "Value": "1"},
        ]);
        let template =
            json!({"TemplateName": "welcome", "TemplateData": r#"{"at":1,"name":"Ann"}"#, "Headers": headers});
        assert_eq!(body["Content"], json!({"Template": template}));
        assert_eq!(body["ListManagementOptions"], json!({"ContactListName": "all", "TopicName": "news"}));
    }
}
