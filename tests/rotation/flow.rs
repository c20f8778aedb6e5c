//! A key is replaced while mail flows, and where none does.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::support::{Stack, Tables, assert_receipt, mail, string_of};

#[tokio::test]
async fn a_key_is_replaced_under_mail_and_every_mail_arrives_once() {
    let stack = Stack::with_arguments(&[]).await;
    let tables = Tables::new(&stack).await;
    let tenant = stack.tenant_with(&json!({ "max_send_rate": 200 })).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    let new = stack.further_key(&tenant).await;
    let ids: Vec<String> = (0..400).map(|n| format!("mail-{n}")).collect();
    let enqueue = async {
        for chunk in ids.chunks(20) {
            let mails: Vec<_> = chunk.iter().map(|id| mail(&provider_id, id)).collect();
            stack.enqueue_mails(&mails).await;
            sleep(Duration::from_millis(250)).await;
        }
    };
    let rotate = async {
        sleep(Duration::from_secs(1)).await;
        let rotation_id = stack.begin_rotation(&provider_id, &new, 3600).await;
        let rotation = stack.rotation_in_phase(&provider_id, &rotation_id, "promoted").await;
        assert_eq!(rotation["promoted_by"], "mail", "{rotation}");
        stack.end_grace(&tables, &provider_id, &rotation_id).await;
        stack.closed_rotation(&tables, &provider_id, &rotation_id).await
    };
    let ((), rotation) = tokio::join!(enqueue, rotate);
    assert_eq!(rotation["phase"], "completed", "{rotation}");
    for id in &ids {
        let shown = stack.mail_in_state(&provider_id, id, &["sent", "rejected", "in_doubt", "expired"]).await;
        assert_eq!(shown["state"], "sent", "{shown}");
    }
    let mut copies: BTreeMap<String, u32> = BTreeMap::new();
    for accepted in stack.inbox(&tenant.account_id).await.unwrap() {
        *copies.entry(accepted["subject"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!((copies.len(), copies.values().max()), (400, Some(&1)));

    let order_id = rotation["orders"][0].as_str().unwrap();
    let key = stack.key_in_state(order_id, "revoked").await;
    assert_receipt(&key, "deleted");
    assert!(!stack.has_key(&tenant).await && stack.has_key(&new).await);
    assert!(tables.sealed_lanes(&tenant).await.is_empty());
    assert_eq!(tables.sealed_lanes(&new).await, ["revoke", "send"]);
    assert_eq!(stack.provider_status(&provider_id).await, "active");
    let retired = stack.provider_event("Retired Key Revoked", &provider_id).await;
    assert_eq!(retired["detail"]["access_key_id"], tenant.access_key_id.as_str());
    assert!(stack.provider_events("Provider Revoked", &provider_id).await.is_empty());
    for event in ["Rotation Started", "Rotation Promoted", "Rotation Completed"] {
        assert_eq!(stack.provider_events(event, &provider_id).await.len(), 1, "{event}");
    }
    let trail: Vec<_> = tables.audit_items(&provider_id).await.iter().map(|item| string_of(item, "event")).collect();
    let expected =
        ["onboarded", "rotation_started", "rotation_promoted", "key_revoking", "rotation_completed", "key_revoked"];
    assert_eq!(trail, expected);
    stack.enqueue_mail(&mail(&provider_id, "after")).await.unwrap();
    stack.mail_in_state(&provider_id, "after", &["sent"]).await;
}

#[tokio::test]
async fn a_new_key_of_a_provider_that_sends_nothing_is_promoted_by_a_probe_and_no_mail_is_sent() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let new = stack.other_user(&tenant, &json!({})).await;
    let rotation_id = stack.begin_rotation(&provider_id, &new, 600).await;
    stack.run_send_schedule().await;
    assert_eq!(stack.get_rotation(&provider_id, &rotation_id).await["phase"], "candidate", "mail has a minute");
    assert!(tables.make_rotation_due(&provider_id, &rotation_id).await);
    stack.run_send_schedule().await;
    let rotation = stack.rotation_in_phase(&provider_id, &rotation_id, "promoted").await;
    assert_eq!(rotation["promoted_by"], "probe", "{rotation}");
    assert!(stack.inbox(&tenant.account_id).await.unwrap().is_empty());

    let provider = stack.get_provider(&provider_id).await.body;
    assert_eq!(provider["user_arn"], new.user_arn.as_str(), "{provider}");
    assert_eq!(provider["rotation"]["phase"], "promoted", "{provider}");
    let shown = provider["access_key_id"].as_str().unwrap();
    assert!(new.access_key_id.ends_with(&shown[shown.len() - 4..]), "{provider}");
    assert!(provider["report"]["checks"].is_array(), "{provider}");
    stack.run_sweep().await;
    stack.provider_event("Rotation Promoted", &provider_id).await;
    // The old key is not touched before the grace is over.
    assert!(stack.has_key(&tenant).await);
    assert_eq!(tables.sealed_lanes(&tenant).await, ["revoke", "send"]);
    assert_eq!(stack.get_rotation(&provider_id, &rotation_id).await["phase"], "promoted");
}

#[tokio::test]
async fn an_earlier_rotation_is_shown_beside_the_latest() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let second = stack.other_user(&tenant, &json!({})).await;
    let first_id = stack.begin_rotation(&provider_id, &second, 0).await;
    assert!(tables.make_rotation_due(&provider_id, &first_id).await);
    stack.run_send_schedule().await;
    stack.rotation_in_phase(&provider_id, &first_id, "promoted").await;
    stack.closed_rotation(&tables, &provider_id, &first_id).await;
    let third = stack.other_user(&tenant, &json!({ "user_name": "mailer-3" })).await;
    let second_id = stack.begin_rotation(&provider_id, &third, 0).await;
    assert_ne!(first_id, second_id);
    let first = stack.get_rotation(&provider_id, &first_id).await;
    assert_eq!((&first["phase"], first["orders"].as_array().unwrap().len()), (&json!("completed"), 1), "{first}");
    assert_eq!(stack.get_provider(&provider_id).await.body["rotation"]["rotation_id"], second_id.as_str());
}
