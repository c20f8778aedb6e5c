//! Faults of a tenant's account.

use std::time::Duration;

use super::fixtures::*;

#[tokio::test]
async fn a_reset_before_leaves_nothing_and_a_reset_after_leaves_the_mail() {
    let world = World::start().await;
    let tenant = world.classic();
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    world.faults(&tenant, json!({"reset_before": 1})).await;
    let error = send(&ses, "a@example.com", &["x@example.org"]).await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert!(world.inbox(&tenant).is_empty());
    world.faults(&tenant, json!({"reset_after": 1})).await;
    let error = send(&ses, "a@example.com", &["x@example.org"]).await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert_eq!(world.inbox(&tenant).len(), 1);
    send(&ses, "a@example.com", &["x@example.org"]).await.unwrap();
    assert_eq!(world.inbox(&tenant).len(), 2);
}

#[tokio::test]
async fn the_send_rate_is_enforced_when_asked_for() {
    let world = World::start().await;
    let policy: Value = serde_json::from_str(CLASSIC).unwrap();
    // So low that no pause of this machine lets a second mail through.
    let tenant = world.tenant(json!({"policies": [policy], "identities": ["example.com"], "max_send_rate": 0.001}));
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    for _ in 0..10 {
        send(&ses, "a@example.com", &["x@example.org"]).await.unwrap();
    }
    world.faults(&tenant, json!({"enforce_max_send_rate": true})).await;
    send(&ses, "a@example.com", &["x@example.org"]).await.unwrap();
    for _ in 0..10 {
        let error = send(&ses, "a@example.com", &["x@example.org"]).await.unwrap_err();
        assert_eq!(error.raw_response().unwrap().status().as_u16(), 429);
        let refused = said::<(), _>(Err(error));
        assert_eq!(refused, ("TooManyRequestsException".to_owned(), "Maximum sending rate exceeded.".to_owned()));
    }
    world.faults(&tenant, json!({"throttle_chance": 1})).await;
    assert_eq!(code(send(&ses, "a@example.com", &["x@example.org"]).await), "TooManyRequestsException");
    world.faults(&tenant, json!({"server_error": 1})).await;
    assert_eq!(code(send(&ses, "a@example.com", &["x@example.org"]).await), "InternalFailure");
    send(&ses, "a@example.com", &["x@example.org"]).await.unwrap();
}

#[tokio::test]
async fn a_quarantined_key_can_send_but_not_delete_itself() {
    let world = World::start().await;
    let tenant = world.classic();
    world.faults(&tenant, json!({"quarantine": true})).await;
    let iam = client!(aws_sdk_iam, world, tenant.credentials());
    let delete = || iam.delete_access_key().access_key_id(&tenant.access_key_id).send();
    let (code, message) = said(delete().await);
    assert_eq!(code, "AccessDenied");
    assert!(message.ends_with("user mailer with an explicit deny in an identity-based policy"), "{message}");
    iam.get_user().send().await.unwrap();
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    send(&ses, "a@example.com", &["x@example.org"]).await.unwrap();
    ses.get_account().send().await.unwrap();
    world.faults(&tenant, json!({})).await;
    delete().await.unwrap();
}

#[tokio::test]
async fn a_deleted_key_is_honoured_for_a_while() {
    let world = World::start().await;
    let tenant = world.classic();
    world.faults(&tenant, json!({"deleted_key_honoured_ms": 600_000})).await;
    let iam = client!(aws_sdk_iam, world, tenant.credentials());
    let sts = client!(aws_sdk_sts, world, tenant.credentials());
    let delete = || iam.delete_access_key().access_key_id(&tenant.access_key_id).send();
    delete().await.unwrap();
    sts.get_caller_identity().send().await.unwrap();
    assert_eq!(code(delete().await), "NoSuchEntity");
    world.faults(&tenant, json!({"deleted_key_honoured_ms": 0})).await;
    assert_eq!(code(sts.get_caller_identity().send().await), "InvalidClientTokenId");
    assert_eq!(code(delete().await), "InvalidClientTokenId");
}

#[tokio::test]
async fn a_deactivated_key_is_refused_and_comes_back() {
    let world = World::start().await;
    let tenant = world.classic();
    let sts = client!(aws_sdk_sts, world, tenant.credentials());
    world.faults(&tenant, json!({"deactivate_key": true})).await;
    assert_eq!(code(sts.get_caller_identity().send().await), "InvalidClientTokenId");
    world.faults(&tenant, json!({})).await;
    sts.get_caller_identity().send().await.unwrap();
}

#[tokio::test]
async fn an_account_that_its_owner_pauses_stays_so_whatever_faults_come_and_go() {
    let world = World::start().await;
    let tenant = world.classic();
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    world.faults(&tenant, json!({"quarantine": true})).await;
    ses.put_account_sending_attributes().sending_enabled(false).send().await.unwrap();
    for faults in [json!({"quarantine": true}), json!({"latency_ms": 1}), json!({})] {
        world.faults(&tenant, faults).await;
        assert!(!ses.get_account().send().await.unwrap().sending_enabled());
        let (refusal, text) = said(send(&ses, "a@example.com", &["x@example.org"]).await);
        assert_eq!(refusal, "MessageRejected");
        assert!(text.starts_with("Sending paused for this account."), "{text}");
    }
    ses.put_account_sending_attributes().sending_enabled(true).send().await.unwrap();
    send(&ses, "a@example.com", &["x@example.org"]).await.unwrap();
    let other = world.tenant(json!({"policies": [], "identities": ["example.com"]}));
    let other = client!(aws_sdk_sesv2, world, other.credentials());
    let paused = other.put_account_sending_attributes().sending_enabled(false).send().await;
    assert_eq!(code(paused), "AccessDeniedException");
}

#[tokio::test]
async fn a_paused_and_a_suspended_account_refuse_mail() {
    let world = World::start().await;
    let tenant = world.classic();
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    world.faults(&tenant, json!({"paused": true})).await;
    let (refusal, text) = said(send(&ses, "a@example.com", &["x@example.org"]).await);
    assert_eq!(refusal, "MessageRejected");
    assert!(
        text.starts_with("Sending paused for this account. For more information, please check the inbox"),
        "{text}"
    );
    world.faults(&tenant, json!({"sending_paused": "SendingPausedException"})).await;
    assert_eq!(code(send(&ses, "a@example.com", &["x@example.org"]).await), "SendingPausedException");
    assert!(!ses.get_account().send().await.unwrap().sending_enabled());
    world.faults(&tenant, json!({"enforcement": "SHUTDOWN"})).await;
    assert_eq!(code(send(&ses, "a@example.com", &["x@example.org"]).await), "AccountSuspendedException");
    assert_eq!(ses.get_account().send().await.unwrap().enforcement_status(), Some("SHUTDOWN"));
    world.faults(&tenant, json!({"enforcement": "PROBATION", "console_login": true})).await;
    send(&ses, "a@example.com", &["x@example.org"]).await.unwrap();
    let iam = client!(aws_sdk_iam, world, tenant.credentials());
    assert!(iam.get_user().send().await.unwrap().user.unwrap().password_last_used().is_some());
}

#[tokio::test]
async fn a_mail_can_be_taken_without_an_answer_or_with_a_500() {
    let world = World::start().await;
    let tenant = world.classic();
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    world.faults(&tenant, json!({"server_error_after": 1, "no_answer": 1})).await;
    assert_eq!(code(send(&ses, "a@example.com", &["x@example.org"]).await), "InternalFailure");
    let unanswered = send(&ses, "a@example.com", &["x@example.org"]);
    tokio::time::timeout(Duration::from_secs(3), unanswered).await.expect_err("there is no answer");
    assert_eq!(world.inbox(&tenant).len(), 2);
    send(&ses, "a@example.com", &["x@example.org"]).await.unwrap();
    let calls = world.stand_in.calls(Some(&tenant.account_id));
    let answers: Vec<_> = calls.iter().map(|call| (call.status, call.error.as_deref())).collect();
    assert_eq!(
        answers,
        [(Some(500), Some("InternalFailure")), (None, Some("NoAnswer")), (Some(200), None)],
        "{calls:?}"
    );
}

#[tokio::test]
async fn latency_and_hanging_delay_the_answer_and_hit_only_what_they_name() {
    let world = World::start().await;
    let tenant = world.classic();
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    world.faults(&tenant, json!({"latency_ms": 30_000})).await;
    let answer = tokio::time::timeout(Duration::from_secs(20), ses.get_account().send()).await;
    answer.expect("only SendEmail waits").unwrap();
    world.faults(&tenant, json!({"latency_ms": 500, "hang_ms": 500})).await;
    let start = std::time::Instant::now();
    send(&ses, "a@example.com", &["x@example.org"]).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(1000), "{:?}", start.elapsed());
}

#[tokio::test]
async fn refused_connections_strike_the_tenants_endpoint_alone() {
    let world = World::start().await;
    let tenant = world.classic();
    let ses = aws_sdk_sesv2::Client::from_conf(
        client!(aws_sdk_sesv2, world, tenant.credentials())
            .config()
            .to_builder()
            .endpoint_url(world.stand_in.tenant_endpoint())
            .build(),
    );
    send(&ses, "a@example.com", &["x@example.org"]).await.unwrap();
    world.faults(&tenant, json!({"refuse_connections": true})).await;
    let error = send(&ses, "a@example.com", &["x@example.org"]).await.unwrap_err();
    let SdkError::DispatchFailure(failure) = &error else { panic!("{error:?}") };
    assert!(failure.is_io() && format!("{error:?}").contains("ConnectionRefused"), "{error:?}");
    client!(aws_sdk_sts, world, operator()).get_caller_identity().send().await.unwrap();
    // Nobody else is given the port meanwhile.
    let address = world.stand_in.tenant_endpoint().strip_prefix("http://").unwrap();
    assert_eq!(std::net::TcpListener::bind(address).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    world.faults(&tenant, json!({})).await;
    send(&ses, "a@example.com", &["x@example.org"]).await.unwrap();
    assert_eq!(world.inbox(&tenant).len(), 2);
}
