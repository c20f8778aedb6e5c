//! A person says that a key is dead whose deletion nothing proves.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, Tables, eventually, string_of};
use operator::{ApiResponse, Tenant};

fn attestation(tenant: &Tenant) -> Value {
    json!({
        "access_key_id": tenant.access_key_id, "attested_by": "Jo of the security desk",
        "reason": "the tenant showed the deletion in CloudTrail",
    })
}

async fn attest(stack: &Stack, order_id: &str, body: &Value) -> ApiResponse {
    stack.api(Method::POST, &format!("/revocations/{order_id}/attestation"), Some(body)).await.unwrap()
}

/// A key that its tenant deleted, which nothing proves.
async fn unproven(stack: &Stack) -> (Tenant, String, String) {
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.delete_key_as_admin(&tenant).await;
    let order_id = stack.revoke_key(&tenant).await;
    stack.key_in_state(&order_id, "refused_unproven").await;
    (tenant, provider_id, order_id)
}

#[tokio::test]
async fn an_attested_key_is_revoked_on_that_persons_word_and_leaves_no_secret() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id, order_id) = unproven(&stack).await;
    assert_eq!(tables.sealed_lanes(&tenant).await, ["revoke"]);

    let response = attest(&stack, &order_id, &attestation(&tenant)).await;
    assert_eq!(response.status, 200, "{}", response.text);
    assert_eq!(response.body["done"], true, "{}", response.text);
    let said = &response.body["keys"][0]["receipt"]["attestation"];
    assert_eq!(said["attested_by"], "Jo of the security desk");
    assert_eq!(said["reason"], "the tenant showed the deletion in CloudTrail");
    assert!(said["signed_by"].as_str().unwrap().starts_with("arn:aws:iam::123456789012:"), "{said}");

    let event = stack.provider_event("Provider Revoked", &provider_id).await;
    assert_eq!(event["detail"]["proof"], "attested");
    // Shredded by the worker, before it notifies.
    let lanes = tables.sealed_lanes(&tenant).await;
    assert!(lanes.is_empty(), "{lanes:?}");
    assert!(event["detail"]["residual_access"]["sessions_possible_until"].is_string(), "{event}");
    let key = stack.key_in_state(&order_id, "revoked").await;
    assert_eq!(key["receipt"]["deleted_by"], "attested");
    assert!(key["receipt"]["deleted_at"].is_null() && key["next_attempt_at"].is_null(), "{key}");
    assert_eq!(stack.provider_status(&provider_id).await, "revoked");
    assert_eq!(tables.audit_trail(&provider_id).await, ["onboarded", "revoking", "refused_unproven", "revoked"]);
    let audit = tables.audit_items(&provider_id).await.pop().unwrap();
    assert_eq!(
        (string_of(&audit, "by"), string_of(&audit, "reason")),
        (said["signed_by"].as_str().unwrap().to_owned(), "attested".to_owned())
    );

    // The same once more changes nothing; somebody else's word comes too late.
    let again = attest(&stack, &order_id, &attestation(&tenant)).await;
    assert_eq!((again.status.as_u16(), &again.body["keys"][0]["receipt"]), (200, &key["receipt"]), "{}", again.text);
    let mut other = attestation(&tenant);
    other["attested_by"] = json!("somebody else");
    assert_eq!(attest(&stack, &order_id, &other).await.status, 409);
    assert_eq!(tables.audit_trail(&provider_id).await.len(), 4);
    assert_eq!(stack.provider_events("Provider Revoked", &provider_id).await.len(), 1);
}

#[tokio::test]
async fn only_a_key_of_the_order_that_is_refused_and_unproven_can_be_attested() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, _) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, &json!({ "quarantine": true })).await;
    let order_id = stack.revoke_key(&tenant).await;
    stack.key_in_state(&order_id, "revocation_blocked{quarantined}").await;
    let blocked = attest(&stack, &order_id, &attestation(&tenant)).await;
    assert_eq!((blocked.status.as_u16(), &blocked.body["key_status"]), (409, &json!("revocation_blocked")));
    assert_eq!(tables.sealed_lanes(&tenant).await, ["revoke"]);

    let with = |name: &str, value: Value| {
        let mut body = attestation(&tenant);
        body[name] = value;
        body
    };
    for (body, field) in [
        (with("access_key_id", json!("AKIAQNZGKIQY56JQ7WML")), "access_key_id"),
        (with("access_key_id", json!("SECRET")), "access_key_id"),
        (with("attested_by", json!("")), "attested_by"),
        (with("reason", Value::Null), "reason"),
        (with("more", json!("SECRET")), "more"),
    ] {
        let refused = attest(&stack, &order_id, &body).await;
        assert_eq!(refused.status, 400, "{body}: {}", refused.text);
        assert_eq!(refused.body["field"], field, "{body}: {}", refused.text);
    }
    let nothing = attest(&stack, "rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV", &attestation(&tenant)).await;
    assert_eq!(nothing.status, 404, "{}", nothing.text);

    stack.set_faults(&tenant, &json!({})).await;
    let second = stack.revoke_key(&tenant).await;
    stack.key_in_state(&second, "revoked").await;
    assert_eq!(attest(&stack, &order_id, &attestation(&tenant)).await.status, 409);
    assert_eq!(stack.get_order(&order_id).await["keys"][0]["receipt"]["deleted_by"], "deleted");
}

#[tokio::test]
async fn an_attestation_whose_writer_is_killed_is_whole_or_not_there_and_can_be_repeated() {
    let stack = Stack::with_arguments(&[]).await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id, order_id) = unproven(&stack).await;
    for delay_ms in [0, 2, 5, 10, 20, 40] {
        let body = attestation(&tenant);
        let killed = async {
            tokio::time::sleep(std::time::Duration::from_millis(delay_ms)).await;
            stack.kill_processes("revoke").await;
        };
        tokio::join!(attest(&stack, &order_id, &body), killed);
        // The lane goes after the state. It is read first: the worker may shred it in between.
        let lanes = tables.sealed_lanes(&tenant).await;
        let key = tables.key_item(&tenant).await;
        assert!(string_of(&key, "status") == "revoked" || lanes == ["revoke"], "{delay_ms}: {lanes:?}");
    }
    let response = attest(&stack, &order_id, &attestation(&tenant)).await;
    assert_eq!((response.status.as_u16(), &response.body["done"]), (200, &json!(true)), "{}", response.text);
    stack.provider_event("Provider Revoked", &provider_id).await;
    assert!(tables.sealed_lanes(&tenant).await.is_empty());
    assert_eq!(tables.audit_trail(&provider_id).await, ["onboarded", "revoking", "refused_unproven", "revoked"]);
}

#[tokio::test]
async fn an_attestation_shows_the_counts_of_all_keys_of_the_order() {
    let stack = Stack::shared().await;
    let (deleted, _) = stack.create_provider("attesting").await;
    let (blocked, _) = stack.create_provider("attesting").await;
    stack.delete_key_as_admin(&deleted).await;
    stack.set_faults(&blocked, &json!({ "quarantine": true })).await;
    let body = json!({ "scope": { "tenant_id": "attesting" }, "reason": "leaked", "confirm": "attesting" });
    let order = stack.api(Method::POST, "/revocations", Some(&body)).await.unwrap();
    assert_eq!(order.status, 202, "{}", order.text);
    let order_id = order.body["order_id"].as_str().unwrap();
    eventually("one key unproven and one blocked", || async {
        let counts = stack.get_order(order_id).await["counts"]["by_status"].clone();
        (counts == json!({ "refused_unproven": 1, "revocation_blocked": 1 })).then_some(())
    })
    .await;
    let response = attest(&stack, order_id, &attestation(&deleted)).await;
    assert_eq!((response.status.as_u16(), &response.body["done"]), (200, &json!(false)), "{}", response.text);
    assert_eq!(response.body["counts"]["by_status"], json!({ "revoked": 1, "revocation_blocked": 1 }));
}
