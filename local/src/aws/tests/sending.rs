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

#[tokio::test]
async fn a_verified_identity_covers_subdomains_plus_addresses_and_any_case_of_its_domain() {
    let world = World::start().await;
    let policy: Value = serde_json::from_str(CLASSIC).unwrap();
    let tenant = world.tenant(json!({"policies": [policy], "identities": ["Example.com", "jane@example.org"]}));
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    for from in ["a@news.example.com", "a@EXAMPLE.com", "jane+shop@example.org", "Jane <jane@EXAMPLE.ORG>"] {
        send(&ses, from, &["x@example.net"]).await.unwrap();
    }
    for from in ["a@example.org", "Jane@example.org", "a@notexample.com"] {
        assert_eq!(code(send(&ses, from, &["x@example.net"]).await), "MessageRejected", "{from}");
    }
    let (_, text) = said(send(&ses, "Joe Doe <joe@example.org>", &["x@example.net"]).await);
    assert!(text.ends_with("in region US-EAST-1: Joe Doe <joe@example.org>"), "{text}");
}

#[tokio::test]
async fn the_sandbox_takes_the_simulator_and_asks_for_the_recipient_s_identity_too() {
    let world = World::start().await;
    let identity = |name: &str| format!("arn:aws:ses:us-east-1:{OPERATOR}:identity/{name}").replace(OPERATOR, "*");
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "ses:SendEmail", "Resource": identity("example.com")},
    ]});
    let tenant =
        world.tenant(json!({"policies": [policy], "identities": ["example.com", "example.org"], "sandbox": true}));
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    send(&ses, "a@example.com", &["bounce+label@simulator.amazonses.com"]).await.unwrap();
    send(&ses, "a@example.com", &["b@example.com"]).await.unwrap();
    let (refusal, text) = said(send(&ses, "a@example.com", &["x@example.org"]).await);
    assert_eq!(refusal, "AccessDeniedException");
    assert!(text.ends_with(":identity/example.org'"), "{text}");
}

#[tokio::test]
async fn the_return_path_has_to_be_verified_too() {
    let world = World::start().await;
    let tenant = world.classic();
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    let to = aws_sdk_sesv2::types::Destination::builder().to_addresses("x@example.org").build();
    let mail = ses.send_email().from_email_address("a@example.com").destination(to).content(simple());
    let (refusal, text) = said(mail.feedback_forwarding_email_address("invalid@invalid").send().await);
    assert_eq!(refusal, "MessageRejected");
    assert!(text.ends_with("in region US-EAST-1: invalid@invalid"), "{text}");
}

#[tokio::test]
async fn what_a_mail_is_made_of_is_checked_first() {
    let world = World::start().await;
    let tenant = world.classic();
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    let (refusal, text) = said(send(&ses, "nobody", &["x@example.org"]).await);
    assert_eq!((refusal.as_str(), text.as_str()), ("BadRequestException", "Missing final '@domain'"));
    ses.create_configuration_set().configuration_set_name("set").send().await.unwrap();
    ses.put_configuration_set_sending_options()
        .configuration_set_name("set")
        .sending_enabled(false)
        .send()
        .await
        .unwrap();
    let to = aws_sdk_sesv2::types::Destination::builder().to_addresses("x@example.org").build();
    let mail = ses.send_email().from_email_address("a@example.com").destination(to).content(simple());
    let (refusal, text) = said(mail.configuration_set_name("set").send().await);
    assert_eq!(refusal, "SendingPausedException");
    assert!(text.contains("configuration set set"), "{text}");
    send(&ses, "a@example.com", &["x@example.org"]).await.unwrap();
}

#[tokio::test]
async fn policies_of_an_identity_are_made_read_and_removed() {
    let world = World::start().await;
    let tenant = world.classic();
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}, "Action": "ses:SendEmail",
         "Resource": format!("arn:aws:ses:us-east-1:{}:identity/example.com", tenant.account_id)},
    ]});
    let make = ses.create_email_identity_policy().email_identity("example.com").policy_name("foreign");
    make.policy(document.to_string()).send().await.unwrap();
    let read = || ses.get_email_identity_policies().email_identity("example.com").send();
    assert_eq!(read().await.unwrap().policies().unwrap().len(), 1);
    ses.delete_email_identity_policy().email_identity("example.com").policy_name("foreign").send().await.unwrap();
    assert_eq!(read().await.unwrap().policies().map_or(0, |policies| policies.len()), 0);
    let listed = ses.list_email_identities().send().await.unwrap();
    assert_eq!(listed.email_identities()[0].identity_name(), Some("example.com"));
}
