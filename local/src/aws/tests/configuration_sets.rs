//! Amazon SES: configuration sets and what identities still need.

use aws_sdk_sesv2::types::{
    DeliveryOptions, DkimStatus, MailFromDomainStatus, SuppressionListReason, SuppressionOptions, Tag, TlsPolicy,
};

use super::fixtures::*;

fn tag() -> Tag {
    Tag::builder().key("sendingbee").value("prv").build().unwrap()
}

#[tokio::test]
async fn a_set_is_made_with_its_options_and_tags_read_changed_and_deleted() {
    let world = World::start().await;
    let ses = client!(aws_sdk_sesv2, world, world.classic().credentials());
    let create = |name: &str| {
        ses.create_configuration_set()
            .configuration_set_name(name)
            .delivery_options(DeliveryOptions::builder().tls_policy(TlsPolicy::Require).build())
            .suppression_options(
                SuppressionOptions::builder()
                    .suppressed_reasons(SuppressionListReason::Bounce)
                    .suppressed_reasons(SuppressionListReason::Complaint)
                    .build(),
            )
            .tags(tag())
            .send()
    };
    create("ours-1").await.unwrap();
    let (code, text) = said(create("ours-1").await);
    assert_eq!(
        (code.as_str(), text.as_str()),
        ("AlreadyExistsException", "Configuration set <ours-1> already exists.")
    );
    for name in ["", "a b", "a.b", &"x".repeat(65)] {
        assert_eq!(super::fixtures::code(create(name).await), "BadRequestException", "{name}");
    }
    let get = |name: &str| ses.get_configuration_set().configuration_set_name(name).send();
    let set = get("ours-1").await.unwrap();
    assert_eq!(set.delivery_options().unwrap().tls_policy(), Some(&TlsPolicy::Require));
    assert_eq!(set.suppression_options().unwrap().suppressed_reasons().len(), 2);
    assert_eq!(set.tags(), [tag()]);

    ses.put_configuration_set_delivery_options()
        .configuration_set_name("ours-1")
        .tls_policy(TlsPolicy::Optional)
        .send()
        .await
        .unwrap();
    ses.put_configuration_set_suppression_options().configuration_set_name("ours-1").send().await.unwrap();
    let set = get("ours-1").await.unwrap();
    assert!(set.delivery_options().is_none() && set.suppression_options().is_none(), "{set:?}");

    let delete = || ses.delete_configuration_set().configuration_set_name("ours-1").send();
    delete().await.unwrap();
    let (code, text) = said(delete().await);
    assert_eq!((code.as_str(), text.as_str()), ("NotFoundException", "Configuration set <ours-1> does not exist."));
    assert_eq!(super::fixtures::code(get("ours-1").await), "NotFoundException");
}

#[tokio::test]
async fn what_is_done_with_a_set_is_authorized_on_its_arn_and_tags_are_an_action_of_their_own() {
    let world = World::start().await;
    let tenant = world.tenant(json!({
        "account_id": "111122223333",
        "policies": [{"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "ses:CreateConfigurationSet", "Resource": "*"},
            {"Effect": "Allow", "Action": "ses:*", "Resource": "*",
             "Condition": {"StringEquals": {"aws:ResourceTag/sendingbee": "prv"}}},
        ]}],
    }));
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    let create = |name: &str| ses.create_configuration_set().configuration_set_name(name);
    create("plain").send().await.unwrap();
    let (code, text) = said(create("tagged").tags(tag()).send().await);
    assert_eq!(code, "AccessDeniedException");
    let arn = |name: &str| format!("arn:aws:ses:us-east-1:111122223333:configuration-set/{name}");
    assert!(text.contains(&format!("ses:TagResource on resource: {}", arn("tagged"))), "{text}");

    let (code, text) = said(ses.delete_configuration_set().configuration_set_name("plain").send().await);
    assert_eq!(code, "AccessDeniedException");
    assert!(text.contains(&format!("ses:DeleteConfigurationSet on resource: {}", arn("plain"))), "{text}");
    let classic = world.tenant(
        json!({"account_id": "111122223333", "user_name": "other", "policies": [serde_json::from_str::<Value>(CLASSIC).unwrap()]}),
    );
    let owner = client!(aws_sdk_sesv2, world, classic.credentials());
    owner.create_configuration_set().configuration_set_name("tagged").tags(tag()).send().await.unwrap();
    ses.delete_configuration_set().configuration_set_name("tagged").send().await.unwrap();
}

#[tokio::test]
async fn an_identity_is_one_of_its_region() {
    let world = World::start().await;
    let policy: Value = serde_json::from_str(CLASSIC).unwrap();
    let tenant = world.tenant(json!({
        "policies": [policy], "identities": ["here.example", "both.example"],
        "identities_elsewhere": {"eu-west-1": ["there.example", "both.example"]},
    }));
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    let in_region = |region: &str| {
        let region = aws_sdk_sesv2::config::Region::new(region.to_owned());
        aws_sdk_sesv2::Config::builder().region(region)
    };
    for (region, expected) in [
        ("us-east-1", &["both.example", "here.example"][..]),
        ("eu-west-1", &["both.example", "there.example"]),
        ("eu-west-2", &[]),
    ] {
        let listed = ses.list_email_identities().customize().config_override(in_region(region)).send().await.unwrap();
        let mut names: Vec<_> = listed.email_identities().iter().map(|one| one.identity_name().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, expected, "{region}");
        let read = ses.get_email_identity().email_identity("there.example").customize();
        let read = read.config_override(in_region(region)).send().await;
        assert_eq!(read.is_ok(), region == "eu-west-1", "{region}");
    }
    send(&ses, "a@here.example", &["b@example.org"]).await.unwrap();
    assert_eq!(code(send(&ses, "a@there.example", &["b@example.org"]).await), "MessageRejected");
}

#[tokio::test]
async fn an_identity_that_is_not_verified_waits_for_its_dns_records() {
    let world = World::start().await;
    let policy: Value = serde_json::from_str(CLASSIC).unwrap();
    let tenant = world
        .tenant(json!({"policies": [policy], "identities": ["old.example"], "unverified_identities": ["new.example"]}));
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    ses.put_email_identity_mail_from_attributes()
        .email_identity("new.example")
        .mail_from_domain("bounce.new.example")
        .send()
        .await
        .unwrap();
    let get = |name: &str| ses.get_email_identity().email_identity(name).send();
    let pending = get("new.example").await.unwrap();
    let dkim = pending.dkim_attributes().unwrap();
    assert!(!pending.verified_for_sending_status());
    assert_eq!((dkim.status(), dkim.tokens().len()), (Some(&DkimStatus::Pending), 3));
    assert_eq!(dkim.signing_hosted_zone(), Some("dkim.amazonses.com"));
    let mail_from = pending.mail_from_attributes().unwrap();
    assert_eq!(mail_from.mail_from_domain(), "bounce.new.example");
    assert_eq!(mail_from.mail_from_domain_status(), &MailFromDomainStatus::Pending);

    let verified = get("old.example").await.unwrap();
    assert!(verified.verified_for_sending_status());
    assert_eq!(verified.dkim_attributes().unwrap().status(), Some(&DkimStatus::NotStarted));
    assert_eq!(verified.mail_from_attributes().unwrap().mail_from_domain(), "");

    let listed = ses.list_email_identities().send().await.unwrap();
    let mut sending: Vec<_> = listed
        .email_identities()
        .iter()
        .map(|listed| (listed.identity_name().unwrap(), listed.sending_enabled()))
        .collect();
    sending.sort_unstable();
    assert_eq!(sending, [("new.example", false), ("old.example", true)]);
    assert_eq!(code(send(&ses, "a@new.example", &["x@example.org"]).await), "MessageRejected");
}
