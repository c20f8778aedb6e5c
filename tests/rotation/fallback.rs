//! A new key that is refused: the old one signs, and no mail is lost or sent twice.

use reqwest::Method;
use serde_json::json;

use crate::support::{FAST_REDELIVERY, Stack, Tables, classic_policy, mail, mail_with, policy_allowing};

/// Mails are sent although the new key is refused, the rotation says so, and it recovers or fails.
#[tokio::test]
async fn a_candidate_that_is_refused_costs_no_mail() {
    let stack = Stack::with_arguments(&[]).await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let new = stack.further_key(&tenant).await;
    let rotation_id = stack.begin_rotation(&provider_id, &new, 600).await;
    let key = format!("/tenants/{}/access-keys/{}", new.account_id, new.access_key_id);
    stack.local_api(Method::PUT, &key, Some(&json!({ "status": "Inactive" }))).await.unwrap();
    for id in ["first", "second"] {
        stack.enqueue_mail(&mail(&provider_id, id)).await.unwrap();
        stack.mail_in_state(&provider_id, id, &["sent"]).await;
        assert_eq!(stack.accepted_copies(&tenant, id).await, 1);
    }
    let rotation = stack.failing_rotation(&provider_id, &rotation_id, "key_refused").await;
    assert_eq!(rotation["phase"], "candidate", "{rotation}");
    let event = stack.provider_event("Rotation Failing", &provider_id).await;
    assert_eq!(event["detail"]["reason"], "key_refused");
    // It was tried once: it is held back for a minute.
    let tried = stack
        .send_requests(&tenant)
        .await
        .iter()
        .filter(|it| it["access_key_id"] == new.access_key_id.as_str())
        .count();
    assert_eq!(tried, 1);
    assert_eq!(stack.provider_status(&provider_id).await, "active");

    // Refused for an hour, it fails and dies.
    tables.set_rotation_time(&provider_id, "rotation.failing.since").await;
    assert!(tables.make_rotation_due(&provider_id, &rotation_id).await);
    stack.run_send_schedule().await;
    let rotation = stack.closed_rotation(&tables, &provider_id, &rotation_id).await;
    assert_eq!((&rotation["phase"], &rotation["reason"]), (&json!("failed"), &json!("key_refused")), "{rotation}");
    assert!(tables.sealed_lanes(&new).await.iter().all(|lane| lane == "revoke"));
    stack.enqueue_mail(&mail(&provider_id, "third")).await.unwrap();
    stack.mail_in_state(&provider_id, "third", &["sent"]).await;
}

#[tokio::test]
async fn a_candidate_that_may_not_send_recovers_once_its_policy_is_mended() {
    let stack = Stack::with_arguments(&FAST_REDELIVERY).await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let new = stack.other_user(&tenant, &json!({})).await;
    let rotation_id = stack.begin_rotation(&provider_id, &new, 600).await;
    stack.set_user_policies(&new, &[policy_allowing(&["iam:GetUser", "iam:DeleteAccessKey", "ses:GetAccount"])]).await;
    stack.enqueue_mail(&mail(&provider_id, "first")).await.unwrap();
    stack.mail_in_state(&provider_id, "first", &["sent"]).await;
    stack.failing_rotation(&provider_id, &rotation_id, "denied").await;
    // A probe does not show that mail may pass.
    assert!(tables.make_rotation_due(&provider_id, &rotation_id).await);
    stack.run_send_schedule().await;
    assert_eq!(stack.get_rotation(&provider_id, &rotation_id).await["phase"], "candidate");

    stack.set_user_policies(&new, &[classic_policy()]).await;
    tables.set_rotation_time(&provider_id, "rotation.failing.retry_at").await;
    // This process holds the key back for a minute; another one does not know of it.
    stack.kill_processes("send").await;
    stack.enqueue_mail(&mail(&provider_id, "second")).await.unwrap();
    stack.mail_in_state(&provider_id, "second", &["sent"]).await;
    let rotation = stack.rotation_in_phase(&provider_id, &rotation_id, "promoted").await;
    assert!(rotation.get("failing").is_none(), "{rotation}");
    assert_eq!(stack.accepted_copies(&tenant, "first").await + stack.accepted_copies(&tenant, "second").await, 2);
}

#[tokio::test]
async fn a_promoted_key_that_is_refused_during_the_grace_falls_back_to_the_old_one() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let new = stack.further_key(&tenant).await;
    let rotation_id = stack.begin_rotation(&provider_id, &new, 600).await;
    stack.enqueue_mail(&mail(&provider_id, "first")).await.unwrap();
    stack.rotation_in_phase(&provider_id, &rotation_id, "promoted").await;
    let key = format!("/tenants/{}/access-keys/{}", new.account_id, new.access_key_id);
    stack.local_api(Method::PUT, &key, Some(&json!({ "status": "Inactive" }))).await.unwrap();
    for id in ["second", "third"] {
        stack.enqueue_mail(&mail(&provider_id, id)).await.unwrap();
        stack.mail_in_state(&provider_id, id, &["sent"]).await;
        assert_eq!(stack.accepted_copies(&tenant, id).await, 1);
    }
    let rotation = stack.failing_rotation(&provider_id, &rotation_id, "key_refused").await;
    assert_eq!(rotation["phase"], "promoted", "{rotation}");
    assert_eq!(stack.provider_status(&provider_id).await, "active");
}

/// Where it is unknown whether SES took the mail, the other key does not sign it.
#[tokio::test]
async fn a_doubt_is_no_reason_to_sign_with_the_other_key() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let new = stack.further_key(&tenant).await;
    stack.begin_rotation(&provider_id, &new, 600).await;
    stack.set_faults(&tenant, &json!({ "on": ["ses:SendEmail"], "reset_after": 1 })).await;
    let held = mail_with(&provider_id, "held", &json!({ "on_doubt": "hold" }));
    stack.enqueue_mail(&held).await.unwrap();
    stack.mail_in_state(&provider_id, "held", &["in_doubt"]).await;
    assert!(stack.accepted_copies(&tenant, "held").await <= 1);
    let signed_by_old = stack
        .send_requests(&tenant)
        .await
        .iter()
        .filter(|request| request["access_key_id"] == tenant.access_key_id.as_str())
        .count();
    assert_eq!(signed_by_old, 0);
}
