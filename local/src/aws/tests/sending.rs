//! Amazon SES.

use aws_sdk_sesv2::types::{Destination, EmailContent, MessageTag, RawMessage};

use super::fixtures::*;

#[tokio::test]
async fn an_accepted_mail_is_in_the_inbox_with_all_it_said() {
    let world = World::start().await;
    let tenant = world.classic();
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    let sent = ses
        .send_email()
        .from_email_address("Jane <jane@example.com>")
        .destination(Destination::builder().to_addresses("a@example.org").bcc_addresses("b@example.org").build())
        .reply_to_addresses("r@example.com")
        .email_tags(MessageTag::builder().name("campaign").value("spring").build().unwrap())
        .content(simple())
        .send()
        .await
        .unwrap();
    let inbox = world.inbox(&tenant);
    assert_eq!(inbox.len(), 1);
    assert_eq!(inbox[0]["message_id"], sent.message_id().unwrap());
    assert_eq!(inbox[0]["account_id"], tenant.account_id);
    assert_eq!(inbox[0]["access_key_id"], tenant.access_key_id);
    assert_eq!(inbox[0]["from"], "Jane <jane@example.com>");
    assert_eq!(inbox[0]["to"], json!(["a@example.org"]));
    assert_eq!(inbox[0]["bcc"], json!(["b@example.org"]));
    assert_eq!(inbox[0]["reply_to"], json!(["r@example.com"]));
    assert_eq!(inbox[0]["subject"], "Hi");
    assert_eq!(inbox[0]["text"], "Hello");
    assert_eq!(inbox[0]["tags"], json!({"campaign": "spring"}));

    let account = ses.get_account().send().await.unwrap();
    let quota = account.send_quota().unwrap();
    assert_eq!((quota.max_send_rate(), quota.max24_hour_send()), (14.0, 50_000.0));
    assert_eq!(quota.sent_last24_hours(), 2.0);
}

#[tokio::test]
async fn an_unverified_sender_is_refused_as_aws_words_it() {
    let world = World::start().await;
    let ses = client!(aws_sdk_sesv2, world, world.classic().credentials());
    let (code, message) = said(send(&ses, "invalid@invalid", &["a@example.org"]).await);
    assert_eq!(code, "MessageRejected");
    assert_eq!(
        message,
        "Email address is not verified. The following identities failed the check in region US-EAST-1: invalid@invalid"
    );
}

#[tokio::test]
async fn in_the_sandbox_recipients_have_to_be_verified() {
    let world = World::start().await;
    let policy: Value = serde_json::from_str(CLASSIC).unwrap();
    let tenant = world.tenant(json!({"policies": [policy], "identities": ["example.com"], "sandbox": true}));
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    let (code, message) = said(send(&ses, "a@example.com", &["x@example.org", "b@example.com"]).await);
    assert_eq!(code, "MessageRejected");
    assert!(message.ends_with("in region US-EAST-1: x@example.org"), "{message}");
    send(&ses, "a@example.com", &["b@example.com"]).await.unwrap();
    let account = ses.get_account().send().await.unwrap();
    assert!(!account.production_access_enabled());
    assert_eq!(account.send_quota().unwrap().max_send_rate(), 1.0);
    for _ in 0..199 {
        send(&ses, "a@example.com", &["b@example.com"]).await.unwrap();
    }
    let (code, message) = said(send(&ses, "a@example.com", &["b@example.com"]).await);
    assert_eq!((code.as_str(), message.as_str()), ("LimitExceededException", "Daily message quota exceeded."));
}

#[tokio::test]
async fn sending_is_authorized_on_the_identity_and_on_the_configuration_set() {
    let world = World::start().await;
    let tenant = world.tenant(json!({
        "account_id": "111122223333",
        "identities": ["example.com", "other.example"],
        "policies": [{"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "ses:SendEmail", "Resource": [
                "arn:aws:ses:*:111122223333:identity/example.com",
                "arn:aws:ses:*:111122223333:configuration-set/ours-*",
            ]},
            {"Effect": "Allow", "Action": "ses:CreateConfigurationSet", "Resource": "*"},
        ]}],
    }));
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    send(&ses, "a@example.com", &["x@example.org"]).await.unwrap();

    let (code, message) = said(send(&ses, "a@other.example", &["x@example.org"]).await);
    assert_eq!(code, "AccessDeniedException");
    assert_eq!(
        message,
        format!(
            "User `{}' is not authorized to perform `ses:SendEmail' on resource \
             `arn:aws:ses:us-east-1:111122223333:identity/other.example'",
            tenant.user_arn
        )
    );

    for set in ["ours-events", "theirs"] {
        ses.create_configuration_set().configuration_set_name(set).send().await.unwrap();
    }
    let with_set = |set: &str| {
        ses.send_email()
            .from_email_address("a@example.com")
            .destination(Destination::builder().to_addresses("x@example.org").build())
            .configuration_set_name(set)
            .content(simple())
            .send()
    };
    with_set("ours-events").await.unwrap();
    assert_eq!(world.inbox(&tenant).last().unwrap()["configuration_set"], "ours-events");
    let (code, message) = said(with_set("theirs").await);
    assert_eq!(code, "AccessDeniedException");
    assert!(message.ends_with("`arn:aws:ses:us-east-1:111122223333:configuration-set/theirs'"), "{message}");
    assert_eq!(super::fixtures::code(with_set("ours-missing").await), "NotFoundException");
}

#[tokio::test]
async fn raw_content_is_another_action() {
    let world = World::start().await;
    let tenant = world.tenant(json!({
        "identities": ["example.com"],
        "policies": [{"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "ses:SendEmail", "Resource": "*"},
        ]}],
    }));
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    let raw = RawMessage::builder().data(aws_smithy_types::Blob::new("Subject: Hi\r\n\r\nHello")).build().unwrap();
    let refused = ses
        .send_email()
        .from_email_address("a@example.com")
        .destination(Destination::builder().to_addresses("x@example.org").build())
        .content(EmailContent::builder().raw(raw).build())
        .send()
        .await;
    let (code, message) = said(refused);
    assert_eq!(code, "AccessDeniedException");
    assert!(message.contains("`ses:SendRawEmail'"), "{message}");
}

#[tokio::test]
async fn account_operations_have_no_resource_and_what_is_not_granted_is_denied() {
    let world = World::start().await;
    let grant = |resource: &str| {
        world.tenant(json!({
            "identities": ["example.com"],
            "policies": [{"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": ["ses:GetAccount", "ses:ListEmailIdentities"], "Resource": resource},
            ]}],
        }))
    };
    let ses = client!(aws_sdk_sesv2, world, grant("*").credentials());
    ses.get_account().send().await.unwrap();
    let listed = ses.list_email_identities().send().await.unwrap();
    assert_eq!(listed.email_identities()[0].identity_name(), Some("example.com"));
    let (code, message) = said(ses.delete_email_identity().email_identity("example.com").send().await);
    assert_eq!(code, "AccessDeniedException");
    assert!(message.contains("ses:DeleteEmailIdentity on resource: arn:aws:ses:us-east-1:"), "{message}");

    let ses = client!(aws_sdk_sesv2, world, grant("arn:aws:ses:*:*:identity/*").credentials());
    assert_eq!(super::fixtures::code(ses.get_account().send().await), "AccessDeniedException");
    // An operation that nothing here maps is denied to everybody but the root.
    let ses = client!(aws_sdk_sesv2, world, world.classic().credentials());
    assert_eq!(super::fixtures::code(ses.list_contact_lists().send().await), "AccessDeniedException");
}
