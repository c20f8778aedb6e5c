//! What SES takes as a mail's content, and what it says of what is not there.

use aws_sdk_sesv2::operation::send_email::builders::SendEmailFluentBuilder;
use aws_sdk_sesv2::types::{
    Attachment, AttachmentContentDisposition, Body, Content, Destination, EmailContent, EmailTemplateContent,
    ListManagementOptions, Message, RawMessage, SubscriptionStatus, Template, Topic,
};
use aws_smithy_types::Blob;

use super::fixtures::*;

fn mail(ses: &aws_sdk_sesv2::Client, content: EmailContent) -> SendEmailFluentBuilder {
    ses.send_email()
        .from_email_address("a@example.com")
        .destination(Destination::builder().to_addresses("x@example.org").build())
        .content(content)
}

fn file(name: &str, content: &[u8]) -> Attachment {
    Attachment::builder()
        .file_name(name)
        .content_type("application/pdf")
        .raw_content(Blob::new(content))
        .build()
        .unwrap()
}

fn with_files(files: Vec<Attachment>) -> EmailContent {
    let text = |text: &str| Content::builder().data(text).build().unwrap();
    let body = Body::builder().text(text("Hello")).build();
    let message = Message::builder().subject(text("Hi")).body(body).set_attachments(Some(files));
    EmailContent::builder().simple(message.build()).build()
}

fn by_template(template: Template) -> EmailContent {
    EmailContent::builder().template(template).build()
}

#[tokio::test]
async fn attachments_are_in_the_inbox() {
    let world = World::start().await;
    let tenant = world.classic();
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    let logo = Attachment::builder()
        .file_name("logo.png")
        .content_type("image/png")
        .content_id("logo")
        .content_disposition(AttachmentContentDisposition::Inline)
        .raw_content(Blob::new(b"png"));
    mail(&ses, with_files(vec![file("a.pdf", b"%PDF"), logo.build().unwrap()])).send().await.unwrap();
    let inbox = world.inbox(&tenant);
    let attachments = inbox[0]["attachments"].as_array().unwrap();
    assert_eq!(attachments[0]["name"], "a.pdf");
    assert_eq!((attachments[0]["size"].as_u64(), &attachments[0]["content"]), (Some(4), &json!("JVBERg==")));
    assert_eq!(attachments[1]["content_id"], "logo");
    assert_eq!(attachments[1]["disposition"], "INLINE");
}

#[tokio::test]
async fn a_file_that_ses_does_not_take_is_refused() {
    let world = World::start().await;
    let ses = client!(aws_sdk_sesv2, world, world.classic().credentials());
    let (code, text) = said(mail(&ses, with_files(vec![file("a.EXE", b"x")])).send().await);
    assert_eq!((code.as_str(), text.as_str()), ("BadRequestException", "Illegal filename 'a.EXE'."));
    let large = vec![file("a.pdf", &vec![0; 31 * 1024 * 1024])];
    let (code, text) = said(mail(&ses, with_files(large)).send().await);
    assert_eq!(code, "BadRequestException");
    assert!(text.starts_with("Message length is more than 41943040 bytes long: '"), "{text}");
}

#[tokio::test]
async fn raw_content_is_in_the_inbox_as_it_was_sent() {
    let world = World::start().await;
    let tenant = world.classic();
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    let raw = RawMessage::builder().data(Blob::new("Subject: Hi\r\n\r\nHello")).build().unwrap();
    let request = mail(&ses, EmailContent::builder().raw(raw).build());
    request.feedback_forwarding_email_address("bounces@example.com").send().await.unwrap();
    let inbox = world.inbox(&tenant);
    assert_eq!(inbox[0]["raw"], "U3ViamVjdDogSGkNCg0KSGVsbG8=");
    assert_eq!((&inbox[0]["to"], &inbox[0]["return_path"]), (&json!(["x@example.org"]), &json!("bounces@example.com")));
}

#[tokio::test]
async fn a_template_is_filled_in_and_a_missing_one_is_not_found() {
    let world = World::start().await;
    let tenant = world.classic();
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    let content = EmailTemplateContent::builder().subject("Hi {{name}}").html("<p>{{name}}</p>").build();
    ses.create_email_template().template_name("welcome").template_content(content).send().await.unwrap();

    let template = |name: &str, data: &str| Template::builder().template_name(name).template_data(data).build();
    let (code, text) = said(mail(&ses, by_template(template("none", "{}"))).send().await);
    assert_eq!((code.as_str(), text.as_str()), ("NotFoundException", "Template none does not exist"));
    let data = said(mail(&ses, by_template(template("welcome", "[]"))).send().await);
    assert_eq!(data.0, "BadRequestException");

    mail(&ses, by_template(template("welcome", r#"{"name":"Jane"}"#))).send().await.unwrap();
    let arn = format!("arn:aws:ses:us-east-1:{}:template/welcome", tenant.account_id);
    let by_arn = Template::builder().template_arn(arn).template_data("{}").build();
    mail(&ses, by_template(by_arn)).send().await.unwrap();
    let inbox = world.inbox(&tenant);
    assert_eq!((&inbox[0]["subject"], &inbox[0]["html"]), (&json!("Hi Jane"), &json!("<p>Jane</p>")));
    assert_eq!((&inbox[0]["template"], &inbox[0]["rendering_failure"]), (&json!("welcome"), &Value::Null));
    // SES has accepted it, and says by an event only that it does not go out.
    assert_eq!(inbox[1]["rendering_failure"], "Attribute 'name' is not present in the rendering data.");
    assert_eq!(inbox[1]["subject"], Value::Null);
}

#[tokio::test]
async fn a_template_needs_an_action_of_its_own_on_the_identity_and_the_template() {
    let world = World::start().await;
    let statement = json!({
        "Effect": "Allow", "Action": ["ses:SendEmail", "ses:SendTemplatedEmail"],
        "Resource": "arn:aws:ses:*:111122223334:identity/*",
    });
    let tenant = world.tenant(json!({
        "account_id": "111122223334", "identities": ["example.com"],
        "policies": [{"Version": "2012-10-17", "Statement": [statement]}],
    }));
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    let (code, text) = said(mail(&ses, by_template(Template::builder().template_name("t").build())).send().await);
    assert_eq!(code, "AccessDeniedException");
    assert!(
        text.contains("`ses:SendTemplatedEmail' on resource `arn:aws:ses:us-east-1:111122223334:template/t'"),
        "{text}"
    );
}

#[tokio::test]
async fn a_contact_list_and_its_topic_have_to_be_there() {
    let world = World::start().await;
    let tenant = world.classic();
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    let topic = Topic::builder()
        .topic_name("news")
        .display_name("News")
        .default_subscription_status(SubscriptionStatus::OptIn)
        .build()
        .unwrap();
    ses.create_contact_list().contact_list_name("all").topics(topic).send().await.unwrap();
    let with = |list: &str, topic: &str| {
        let options = ListManagementOptions::builder().contact_list_name(list).topic_name(topic).build().unwrap();
        mail(&ses, simple()).list_management_options(options).send()
    };
    let (code, text) = said(with("none", "news").await);
    assert_eq!((code.as_str(), text.as_str()), ("NotFoundException", "List with name: none doesn't exist."));
    assert_eq!(said(with("all", "sports").await).0, "BadRequestException");
    with("all", "news").await.unwrap();
    let options = json!({"ContactListName": "all", "TopicName": "news"});
    assert_eq!(world.inbox(&tenant)[0]["list_management"], options);
}

#[tokio::test]
async fn a_tenant_of_ses_has_to_own_what_the_mail_uses() {
    let world = World::start().await;
    let tenant = world.classic();
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    let send = || mail(&ses, simple()).tenant_name("shop").send();
    assert_eq!(code(send().await), "NotFoundException");
    ses.create_tenant().tenant_name("shop").send().await.unwrap();
    let identity = format!("arn:aws:ses:us-east-1:{}:identity/example.com", tenant.account_id);
    let (code, text) = said(send().await);
    assert_eq!(
        (code.as_str(), text),
        ("AccessDeniedException", format!("Tenant not associated with resources [{identity}]."))
    );
    ses.create_tenant_resource_association().tenant_name("shop").resource_arn(&identity).send().await.unwrap();
    send().await.unwrap();
    assert_eq!(world.inbox(&tenant)[0]["tenant_name"], "shop");
}

#[tokio::test]
async fn a_multi_region_endpoint_takes_asymmetric_signatures() {
    let world = World::start().await;
    let tenant = world.classic();
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    assert_eq!(code(mail(&ses, simple()).endpoint_id("abcdef12.g3h").send().await), "NotFoundException");
    let route = aws_sdk_sesv2::types::RouteDetails::builder().region("eu-west-1").build().unwrap();
    let details = aws_sdk_sesv2::types::Details::builder().routes_details(route).build().unwrap();
    let made = ses.create_multi_region_endpoint().endpoint_name("both").details(details).send().await.unwrap();
    let id = made.endpoint_id().unwrap();
    mail(&ses, simple()).endpoint_id(id).send().await.unwrap();
    assert_eq!(world.inbox(&tenant)[0]["endpoint_id"], id);
    let other = Credentials::new(&tenant.access_key_id, "wrong", None, None, "test");
    let ses = client!(aws_sdk_sesv2, world, other);
    assert_eq!(code(mail(&ses, simple()).endpoint_id(id).send().await), "InvalidSignatureException");
}
