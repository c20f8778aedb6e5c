//! How long the old key stays: not at all, or not because it is dead.

use reqwest::Method;
use serde_json::json;

use crate::support::{Stack, Tables, assert_receipt, eventually, mail};

#[tokio::test]
async fn without_a_grace_the_old_key_dies_right_after_the_promotion() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let new = stack.further_key(&tenant).await;
    let rotation_id = stack.begin_rotation(&provider_id, &new, 0).await;
    stack.enqueue_mail(&mail(&provider_id, "first")).await.unwrap();
    stack.mail_in_state(&provider_id, "first", &["sent"]).await;
    stack.rotation_in_phase(&provider_id, &rotation_id, "promoted").await;
    // It is due already: nothing but the sweep is needed.
    let rotation = eventually("the end of the rotation", || async {
        stack.run_sweep().await;
        let rotation = stack.get_rotation(&provider_id, &rotation_id).await;
        rotation["closed_at"].is_string().then_some(rotation)
    })
    .await;
    assert_eq!(rotation["phase"], "completed", "{rotation}");
    let order = stack.get_order(rotation["orders"][0].as_str().unwrap()).await;
    assert_eq!((&order["reason"], &order["reported_by"]), (&json!("rotated"), &json!(rotation_id)), "{order}");
    let key = stack.key_in_state(order["order_id"].as_str().unwrap(), "revoked").await;
    assert_receipt(&key, "deleted");
    assert_eq!(key["retired"], true, "{key}");
    assert!(stack.has_key(&new).await && !stack.has_key(&tenant).await);
    assert_eq!(stack.provider_status(&provider_id).await, "active");
    assert_eq!(tables.sealed_lanes(&new).await, ["revoke", "send"]);
}

#[tokio::test]
async fn a_new_key_serves_at_once_where_the_tenant_deleted_the_old_one() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.delete_key_as_admin(&tenant).await;
    // As `send` leaves it after AWS has refused the key for a minute.
    tables.suspend_provider(&provider_id, "key_rejected").await;
    stack.enqueue_mail(&mail(&provider_id, "waiting")).await.unwrap();
    let new = stack.further_key(&tenant).await;
    let response = stack.rotate(&provider_id, &new, None).await;
    assert_eq!(response.status, 201, "{}", response.text);
    assert_eq!(response.body["phase"], "completed", "{}", response.text);
    assert_eq!(response.body["promoted_by"], "old_key_dead", "{}", response.text);
    assert_eq!(stack.provider_status(&provider_id).await, "active");
    let resumed = stack.provider_event("Provider Resumed", &provider_id).await;
    assert_eq!(resumed["detail"]["reason"], "key_rejected");
    stack.enqueue_mail(&mail(&provider_id, "first")).await.unwrap();
    stack.mail_in_state(&provider_id, "first", &["sent"]).await;
    let rotation_id = response.body["rotation_id"].as_str().unwrap();
    let rotation = stack.closed_rotation(&tables, &provider_id, rotation_id).await;
    // Somebody else deleted it, so nothing proves that it cannot come back.
    let order_id = rotation["orders"][0].as_str().unwrap();
    stack.key_in_state(order_id, "refused_unproven").await;
    assert_eq!(stack.provider_status(&provider_id).await, "active");
}

#[tokio::test]
async fn a_provider_whose_key_was_revoked_comes_back_with_another() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let order_id = stack.revoke_key(&tenant).await;
    let new = stack.other_user(&tenant, &json!({})).await;
    stack.key_in_state(&order_id, "revoked").await;
    assert_eq!(stack.provider_status(&provider_id).await, "revoked");
    let rotation_id = stack.begin_rotation(&provider_id, &new, 600).await;
    assert_eq!(stack.provider_status(&provider_id).await, "active");
    stack.enqueue_mail(&mail(&provider_id, "first")).await.unwrap();
    stack.mail_in_state(&provider_id, "first", &["sent"]).await;
    let rotation = stack.closed_rotation(&tables, &provider_id, &rotation_id).await;
    assert_eq!(rotation["orders"], json!([order_id]), "{rotation}");
    assert_eq!(stack.provider_status(&provider_id).await, "active");
}

#[tokio::test]
async fn a_rotation_is_cancelled_before_its_promotion_and_its_new_key_dies() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let new = stack.further_key(&tenant).await;
    let rotation_id = stack.begin_rotation(&provider_id, &new, 600).await;
    let path = format!("/providers/{provider_id}/rotations/{rotation_id}");
    for _ in 0..2 {
        let cancelled = stack.api(Method::DELETE, &path, None).await.unwrap();
        assert_eq!((cancelled.status.as_u16(), &cancelled.body["phase"]), (202, &json!("cancelled")), "{cancelled:?}");
    }
    stack.enqueue_mail(&mail(&provider_id, "first")).await.unwrap();
    stack.mail_in_state(&provider_id, "first", &["sent"]).await;
    let rotation = stack.closed_rotation(&tables, &provider_id, &rotation_id).await;
    assert_eq!(rotation["phase"], "cancelled", "{rotation}");
    stack.key_in_state(rotation["orders"][0].as_str().unwrap(), "revoked").await;
    assert!(stack.has_key(&tenant).await && !stack.has_key(&new).await);
    assert!(tables.sealed_lanes(&new).await.is_empty());
    assert_eq!(stack.provider_status(&provider_id).await, "active");
    let failed = stack.provider_event("Rotation Failed", &provider_id).await;
    assert_eq!(failed["detail"]["reason"], "cancelled");

    // Promoted, it cannot be cancelled any more.
    let third = stack.further_key(&tenant).await;
    let rotation_id = stack.begin_rotation(&provider_id, &third, 600).await;
    stack.enqueue_mail(&mail(&provider_id, "second")).await.unwrap();
    stack.rotation_in_phase(&provider_id, &rotation_id, "promoted").await;
    let path = format!("/providers/{provider_id}/rotations/{rotation_id}");
    let late = stack.api(Method::DELETE, &path, None).await.unwrap();
    assert_eq!((late.status.as_u16(), &late.body["phase"]), (409, &json!("promoted")), "{late:?}");
}
