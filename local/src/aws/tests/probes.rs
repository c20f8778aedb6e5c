//! What the product asks a tenant's account for to learn what a key may do, by the product's own client.

use aws_smithy_http_client::Builder;
use shared::id::AccessKeyId;
use shared::runtime::Environment;
use shared::tenant::{Clients, Credential, DeniedBy, FailureKind, ListProbe, Region, SecretAccessKey};

use super::fixtures::*;

fn clients(world: &World) -> Clients {
    let environment = Environment::from_variables(&[("TENANT_AWS_ENDPOINT_URL", world.stand_in.endpoint())]);
    Clients::new(&environment, &Builder::new().build_http())
}

fn credential(tenant: &Tenant) -> Credential {
    Credential {
        access_key_id: AccessKeyId::from_pasted(&tenant.access_key_id).unwrap(),
        secret_access_key: SecretAccessKey::from_pasted(&tenant.secret_access_key).unwrap(),
        region: Region::parse("us-east-1").unwrap(),
    }
}

fn allow(action: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
}

#[tokio::test]
async fn every_list_is_denied_to_who_may_not_and_empty_for_who_may() {
    let world = World::start().await;
    let clients = clients(&world);
    let (classic, mighty) = (world.classic(), world.tenant(json!({"policies": [allow("*")]})));
    for probe in ListProbe::ALL {
        let failure = clients.probe_list(&credential(&classic), probe).await.unwrap_err();
        let FailureKind::Denied(denial) = &failure.kind else { panic!("{probe:?}: {failure:?}") };
        assert_eq!(denial.action.as_deref(), Some(probe.action()));
        assert_eq!(
            (denial.by, denial.not_allowed_by),
            (DeniedBy::NoAllow, Some(DeniedBy::IdentityPolicy)),
            "{probe:?}"
        );
        clients.probe_list(&credential(&mighty), probe).await.unwrap();
    }
}

#[tokio::test]
async fn a_service_that_is_not_subscribed_says_so_in_its_own_words() {
    let world = World::start().await;
    let (clients, tenant) = (clients(&world), world.tenant(json!({"policies": [allow("*")]})));
    let all = ["s3", "secretsmanager", "lambda", "ec2", "kms", "dynamodb"];
    world.faults(&tenant, json!({"not_subscribed": all})).await;
    for probe in ListProbe::ALL {
        let failure = clients.probe_list(&credential(&tenant), probe).await.unwrap_err();
        let expected = match probe {
            ListProbe::Buckets => "NotSignedUp",
            ListProbe::Regions => "OptInRequired",
            _ => "SubscriptionRequiredException",
        };
        assert_eq!(failure.code.as_deref(), Some(expected), "{failure:?}");
    }
}

#[tokio::test]
async fn an_unknown_key_is_refused_in_each_service_s_words() {
    let world = World::start().await;
    let (clients, tenant) = (clients(&world), world.classic());
    world.faults(&tenant, json!({"deactivate_key": true})).await;
    for probe in ListProbe::ALL {
        let failure = clients.probe_list(&credential(&tenant), probe).await.unwrap_err();
        assert!(matches!(failure.kind, FailureKind::KeyRefused), "{probe:?}: {failure:?}");
    }
}

#[tokio::test]
async fn writes_on_what_cannot_exist_find_nothing_where_they_are_allowed() {
    let world = World::start().await;
    let (mighty, classic) = (world.tenant(json!({"policies": [allow("iam:*")]})), world.classic());
    let iam = client!(aws_sdk_iam, world, mighty.credentials());
    let update =
        iam.update_access_key().user_name("mailer").access_key_id("AKIAIOSFODNN7EXAMPLE").status("Inactive".into());
    assert_eq!(code(update.send().await), "NoSuchEntity");
    let arn = "arn:aws:iam::aws:policy/NoSuchPolicy";
    let (refusal, text) = said(iam.attach_user_policy().user_name("mailer").policy_arn(arn).send().await);
    assert_eq!(
        (refusal.as_str(), text),
        ("NoSuchEntity", format!("Policy {arn} does not exist or is not attachable."))
    );
    let (refusal, text) = said(iam.add_user_to_group().user_name("mailer").group_name("none").send().await);
    assert_eq!((refusal.as_str(), text.as_str()), ("NoSuchEntity", "The group with name none cannot be found."));
    let (refusal, text) = said(iam.update_login_profile().user_name("mailer").send().await);
    assert_eq!((refusal.as_str(), text.as_str()), ("NoSuchEntity", "Login Profile for User mailer cannot be found."));
    let keys = iam.list_access_keys().send().await.unwrap();
    assert_eq!(keys.access_key_metadata()[0].access_key_id(), Some(mighty.access_key_id.as_str()));

    let iam = client!(aws_sdk_iam, world, classic.credentials());
    let (refusal, text) = said(iam.add_user_to_group().user_name("mailer").group_name("none").send().await);
    assert_eq!(refusal, "AccessDenied");
    assert!(text.contains("iam:AddUserToGroup on resource: group none because no identity-based policy"), "{text}");
}

#[tokio::test]
async fn a_session_of_a_user_carries_the_user_s_policies_and_outlives_the_key() {
    let world = World::start().await;
    let tenant = world.classic();
    let made = client!(aws_sdk_sts, world, tenant.credentials()).get_session_token().send().await.unwrap();
    let made = made.credentials.unwrap();
    assert!(made.access_key_id().starts_with("ASIA"));
    let token = Some(made.session_token().to_owned());
    let session = Credentials::new(made.access_key_id(), made.secret_access_key(), token, None, "test");
    let iam = client!(aws_sdk_iam, world, tenant.credentials());
    iam.delete_access_key().access_key_id(&tenant.access_key_id).send().await.unwrap();
    assert_eq!(code(iam.get_user().send().await), "InvalidClientTokenId");

    let ses = client!(aws_sdk_sesv2, world, session.clone());
    send(&ses, "a@example.com", &["x@example.org"]).await.unwrap();
    let sts = client!(aws_sdk_sts, world, session.clone());
    assert_eq!(sts.get_caller_identity().send().await.unwrap().arn(), Some(tenant.user_arn.as_str()));
    assert_eq!(code(sts.get_session_token().send().await), "AccessDenied");
    let iam = client!(aws_sdk_iam, world, session);
    assert_eq!(code(iam.get_user().send().await), "InvalidClientTokenId");
}

#[tokio::test]
async fn a_deny_of_sessions_strikes_sessions_alone() {
    let world = World::start().await;
    let no_sessions = json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Null": {"aws:TokenIssueTime": "false"}}});
    let mail = json!({"Effect": "Allow", "Action": "ses:*", "Resource": "*"});
    let policy = json!({"Version": "2012-10-17", "Statement": [mail, no_sessions]});
    let tenant = world.tenant(json!({"policies": [policy], "identities": ["example.com"]}));
    client!(aws_sdk_sesv2, world, tenant.credentials()).get_account().send().await.unwrap();
    let made = client!(aws_sdk_sts, world, tenant.credentials()).get_session_token().send().await.unwrap();
    let made = made.credentials.unwrap();
    let token = Some(made.session_token().to_owned());
    let session = Credentials::new(made.access_key_id(), made.secret_access_key(), token, None, "test");
    let ses = client!(aws_sdk_sesv2, world, session);
    let (refusal, text) = said(send(&ses, "a@example.com", &["x@example.org"]).await);
    assert_eq!(refusal, "AccessDeniedException");
    assert!(text.contains(":identity/example.com with an explicit deny in an identity-based policy"), "{text}");
}
