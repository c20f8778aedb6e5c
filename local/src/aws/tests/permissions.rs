//! The kinds of policies that may deny, and the condition keys that they look at.

use super::fixtures::*;

fn policy(statements: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn allow(action: &str) -> Value {
    json!({"Effect": "Allow", "Action": action, "Resource": "*"})
}

fn deny(action: &str) -> Value {
    json!({"Effect": "Deny", "Action": action, "Resource": "*"})
}

#[tokio::test]
async fn a_denial_names_the_kind_of_policy_that_denies() {
    let world = World::start().await;
    let mail = policy(json!([allow("ses:*")]));
    let cases = [
        (
            json!({"scp": [policy(json!([allow("*"), deny("ses:*")]))]}),
            "with an explicit deny in a service control policy",
        ),
        (json!({"scp": [policy(json!([allow("s3:*")]))]}), "with an explicit deny in a service control policy"),
        (
            json!({"boundary": policy(json!([allow("*"), deny("ses:Send*")]))}),
            "with an explicit deny in a permissions boundary",
        ),
        (
            json!({"boundary": policy(json!([allow("ses:GetAccount")]))}),
            "because no permissions boundary allows the ses:SendEmail action",
        ),
    ];
    for (mut tenant, reason) in cases {
        tenant["policies"] = json!([mail]);
        tenant["identities"] = json!(["example.com"]);
        let tenant = world.tenant(tenant);
        let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
        let (refusal, text) = said(send(&ses, "a@example.com", &["x@example.org"]).await);
        assert_eq!(refusal, "AccessDeniedException");
        assert!(text.ends_with(&format!(":identity/example.com {reason}")), "{text}");
    }
}

#[tokio::test]
async fn a_denied_mail_names_the_sender_s_identity_even_where_nothing_is_allowed() {
    let world = World::start().await;
    let tenant = world.tenant(json!({"policies": [], "identities": ["example.com"]}));
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    let (refusal, text) = said(send(&ses, "a@example.com", &["x@example.org"]).await);
    assert_eq!(refusal, "AccessDeniedException");
    assert!(text.ends_with(&format!(":{}:identity/example.com'", tenant.account_id)), "{text}");
}

#[tokio::test]
async fn each_version_of_the_quarantine_denies_what_aws_s_document_says() {
    let world = World::start().await;
    let mighty = policy(json!([allow("*")]));
    let tenant = world.tenant(json!({"policies": [mighty], "identities": ["example.com"]}));
    let (iam, ses) =
        (client!(aws_sdk_iam, world, tenant.credentials()), client!(aws_sdk_sesv2, world, tenant.credentials()));
    let absent = "AKIAIOSFODNN7EXAMPLE";
    for (version, deletes, adds) in [
        ("V1", "NoSuchEntity", "NoSuchEntity"),
        ("V2", "NoSuchEntity", "AccessDenied"),
        ("V3", "AccessDenied", "AccessDenied"),
    ] {
        world.faults(&tenant, json!({"quarantine": version})).await;
        let update = iam.update_access_key().access_key_id(absent).status("Inactive".into()).send().await;
        let (refusal, text) = said(update);
        assert_eq!(refusal, "AccessDenied", "{version}");
        assert!(text.ends_with("with an explicit deny in an identity-based policy"), "{text}");
        let deleted = code(iam.delete_access_key().access_key_id(absent).send().await);
        if version != "V2" {
            assert_eq!(deleted, deletes, "{version}");
        }
        assert_eq!(
            code(iam.add_user_to_group().user_name("mailer").group_name("none").send().await),
            adds,
            "{version}"
        );
        send(&ses, "a@example.com", &["x@example.org"]).await.unwrap();
    }
    world.faults(&tenant, json!({})).await;
    let update = iam.update_access_key().access_key_id(absent).status("Inactive".into());
    assert_eq!(code(update.send().await), "NoSuchEntity");
}

#[tokio::test]
async fn iam_is_in_us_east_1_and_ses_where_it_is_asked() {
    let world = World::start().await;
    let only = |region: &str| {
        policy(json!([{"Effect": "Allow", "Action": ["iam:GetUser", "ses:GetAccount"], "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": region}}}]))
    };
    for (region, user, account) in [("us-east-1", true, false), ("eu-west-1", false, true)] {
        let tenant = world.tenant(json!({"policies": [only(region)]}));
        let away = aws_types::region::Region::new("eu-west-1");
        let iam = client!(aws_sdk_iam, world, tenant.credentials());
        let iam = aws_sdk_iam::Client::from_conf(iam.config().to_builder().region(away.clone()).build());
        let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
        let ses = aws_sdk_sesv2::Client::from_conf(ses.config().to_builder().region(away).build());
        assert_eq!(iam.get_user().send().await.is_ok(), user, "{region}");
        assert_eq!(ses.get_account().send().await.is_ok(), account, "{region}");
    }
}

#[tokio::test]
async fn the_condition_keys_of_ses_are_there() {
    let world = World::start().await;
    let when = |condition: Value| {
        let statement = json!({"Effect": "Allow", "Action": "ses:*", "Resource": "*", "Condition": condition});
        policy(json!([statement]))
    };
    for (condition, is_allowed) in [
        (json!({"StringEquals": {"ses:ApiVersion": "2"}}), true),
        (json!({"StringEquals": {"ses:ApiVersion": "1"}}), false),
        (json!({"StringEquals": {"ses:FromAddress": "a@example.com"}}), true),
        (json!({"StringEquals": {"ses:FromAddress": "b@example.com"}}), false),
        (json!({"StringEquals": {"ses:FromDisplayName": "Jane"}}), true),
        (json!({"ForAllValues:StringLike": {"ses:Recipients": ["*@example.org"]}}), true),
        (json!({"ForAllValues:StringLike": {"ses:Recipients": ["*@example.net"]}}), false),
        (json!({"StringEquals": {"ses:FeedbackAddress": "bounces@example.com"}}), false),
    ] {
        let tenant = world.tenant(json!({"policies": [when(condition.clone())], "identities": ["example.com"]}));
        let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
        let sent = send(&ses, "Jane <a@example.com>", &["x@example.org"]).await;
        assert_eq!(sent.is_ok(), is_allowed, "{condition}");
    }
}
