//! Breach reports in each phase of a rotation.

use operator::{ApiResponse, Tenant};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, Tables, eventually, key_scope, mail};

/// Reports a scope while a new key is verified. Returns the answer to its rotation.
async fn report_during_verification(scope: impl FnOnce(&Tenant, &Tenant, &str) -> Value) -> (InRotation, ApiResponse) {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (old, provider_id) = stack.create_provider("acme").await;
    let new = stack.further_key(&old).await;
    stack.set_faults(&old, &json!({ "on": ["iam:GetUser"], "latency_ms": 2_500 })).await;
    let report = async {
        eventually("the verification of the new key", || async {
            let requests = stack.requests(&old).await;
            requests.iter().any(|it| it["access_key_id"] == new.access_key_id.as_str()).then_some(())
        })
        .await;
        let mut body = json!({ "scope": scope(&old, &new, &provider_id), "reason": "stolen" });
        if let Some(account_id) = body["scope"]["account_id"].as_str().map(str::to_owned) {
            body["confirm"] = json!(account_id);
        }
        let order = stack.api(Method::POST, "/revocations", Some(&body)).await.unwrap();
        assert_eq!(order.status, 202, "{}", order.text);
    };
    let (answer, ()) = tokio::join!(stack.rotate(&provider_id, &new, None), report);
    stack.set_faults(&old, &json!({})).await;
    (InRotation { stack, tables, provider_id, rotation_id: String::new(), old, new }, answer)
}

#[tokio::test]
async fn a_key_that_is_verified_while_an_order_comes_is_not_stored_behind_its_back() {
    let account = report_during_verification(|old, _, _| json!({ "account_id": old.account_id })).await;
    let provider = report_during_verification(|_, _, provider_id| json!({ "provider_id": provider_id })).await;
    let old_key = report_during_verification(|old, _, _| key_scope(old)).await;
    for (_, answer) in [&account, &provider, &old_key] {
        // The provider is stopped when it is looked at, or it was a moment ago, or a fence has moved.
        assert!([409, 503].contains(&answer.status.as_u16()), "{}", answer.text);
    }
    let new_key = report_during_verification(|_, new, _| key_scope(new)).await;
    assert_eq!(new_key.1.status, 422, "{}", new_key.1.text);
    for (rotation, answer) in [&account, &provider, &old_key, &new_key] {
        assert!(rotation.tables.sealed_lanes(&rotation.new).await.is_empty(), "{}", answer.text);
        let provider = rotation.stack.get_provider(&rotation.provider_id).await.body;
        assert!(provider.get("rotation").is_none(), "{provider}");
    }
    assert_eq!(new_key.0.stack.provider_status(&new_key.0.provider_id).await, "active");
    for (rotation, _) in [&account, &provider, &old_key] {
        eventually("the death of the old key", || async {
            (!rotation.stack.has_key(&rotation.old).await).then_some(())
        })
        .await;
    }
}

/// A provider in rotation, with its old and its new key.
struct InRotation {
    stack: Stack,
    tables: Tables,
    provider_id: String,
    rotation_id: String,
    old: Tenant,
    new: Tenant,
}

impl InRotation {
    async fn begin(phase: &str) -> Self {
        let stack = Stack::shared().await;
        let tables = Tables::new(&stack).await;
        let (old, provider_id) = stack.create_provider("acme").await;
        let new = stack.further_key(&old).await;
        let rotation_id = stack.begin_rotation(&provider_id, &new, 3600).await;
        if phase == "promoted" {
            stack.enqueue_mail(&mail(&provider_id, "promoting")).await.unwrap();
            stack.rotation_in_phase(&provider_id, &rotation_id, "promoted").await;
        }
        Self { stack, tables, provider_id, rotation_id, old, new }
    }

    /// Reports a scope, and waits until all keys of its order are dead.
    async fn report(&self, scope: &Value) {
        let order = self.stack.order_revocation(scope).await;
        assert_eq!(order.status, 202, "{}", order.text);
        let order_id = order.body["order_id"].as_str().unwrap();
        eventually(&format!("the end of {order_id}"), || async {
            let order = self.stack.get_order(order_id).await;
            (order["done"] == true).then_some(())
        })
        .await;
    }

    async fn assert_ends(&self, phase: &str) {
        let rotation = self.stack.closed_rotation(&self.tables, &self.provider_id, &self.rotation_id).await;
        assert_eq!(rotation["phase"], phase, "{rotation}");
    }

    /// Asserts which key lives and sends, and that the other one is dead and left nothing.
    async fn assert_survivor(&self, alive: &Tenant, dead: &Tenant) {
        let Self { stack, tables, provider_id, .. } = self;
        assert!(stack.has_key(alive).await && !stack.has_key(dead).await);
        assert!(tables.sealed_lanes(dead).await.is_empty());
        assert_eq!(tables.sealed_lanes(alive).await, ["revoke", "send"]);
        assert_eq!(stack.provider_status(provider_id).await, "active");
        stack.enqueue_mail(&mail(provider_id, "after")).await.unwrap();
        stack.mail_in_state(provider_id, "after", &["sent"]).await;
        let requests = stack.send_requests(alive).await;
        let last = requests.last().unwrap();
        assert_eq!(last["access_key_id"], alive.access_key_id.as_str(), "{last}");
        assert!(stack.provider_events("Provider Revoked", provider_id).await.is_empty());
        stack.provider_event("Retired Key Revoked", provider_id).await;
    }

    async fn assert_all_dead(&self) {
        let Self { stack, tables, provider_id, .. } = self;
        for key in [&self.old, &self.new] {
            assert!(!stack.has_key(key).await);
            assert!(tables.sealed_lanes(key).await.is_empty());
        }
        assert_eq!(stack.provider_status(provider_id).await, "revoked");
    }
}

#[tokio::test]
async fn a_report_of_the_old_key_leaves_the_new_one_which_serves_at_once() {
    for phase in ["candidate", "promoted"] {
        let rotation = InRotation::begin(phase).await;
        rotation.report(&key_scope(&rotation.old)).await;
        rotation.assert_survivor(&rotation.new, &rotation.old).await;
        rotation.assert_ends("completed").await;
    }
}

#[tokio::test]
async fn a_report_of_the_new_key_leaves_the_old_one() {
    for phase in ["candidate", "promoted"] {
        let rotation = InRotation::begin(phase).await;
        rotation.report(&key_scope(&rotation.new)).await;
        rotation.assert_survivor(&rotation.old, &rotation.new).await;
        rotation.assert_ends("failed").await;
    }
}

#[tokio::test]
async fn a_report_of_the_provider_or_its_account_stops_it_and_both_keys_die() {
    for phase in ["candidate", "promoted"] {
        let rotation = InRotation::begin(phase).await;
        rotation.report(&json!({ "provider_id": rotation.provider_id })).await;
        rotation.assert_all_dead().await;
        rotation.assert_ends("failed").await;
    }
    let rotation = InRotation::begin("candidate").await;
    let account_id = &rotation.old.account_id;
    let body = json!({ "scope": { "account_id": account_id }, "reason": "stolen", "confirm": account_id });
    let order = rotation.stack.api(Method::POST, "/revocations", Some(&body)).await.unwrap();
    assert_eq!(order.status, 202, "{}", order.text);
    assert_eq!(order.body["counts"]["keys"], 2, "{}", order.text);
    assert_eq!(rotation.stack.provider_status(&rotation.provider_id).await, "revoking");
    eventually("the death of both keys", || async {
        let alive = rotation.stack.has_key(&rotation.old).await || rotation.stack.has_key(&rotation.new).await;
        (!alive).then_some(())
    })
    .await;
    rotation.assert_ends("failed").await;
}
