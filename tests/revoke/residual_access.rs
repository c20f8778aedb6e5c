//! What may outlive a key: a thief's sessions, a second key, identity policies for another account.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{Stack, Tables, assert_receipt, classic_policy, eventually, key_scope, seconds_between};
use operator::Tenant;

pub(super) const THIEF: &str = "987654321098";

/// Lets the thief's account send from the tenant's domain, as whoever has a key with the classic policy can.
pub(super) async fn let_thief_in(stack: &Stack, tenant: &Tenant, policy_name: &str) {
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": THIEF}, "Action": "ses:SendEmail",
        "Resource": format!("arn:aws:ses:{}:{}:identity/example.com", tenant.region, tenant.account_id),
    }]});
    let ses = aws_sdk_sesv2::Client::new(&stack.sdk_config(tenant));
    let create = ses.create_email_identity_policy().email_identity("example.com").policy_name(policy_name);
    create.policy(policy.to_string()).send().await.unwrap();
}

async fn order_with_removal(stack: &Stack, tenant: &Tenant) -> String {
    let body = json!({ "scope": key_scope(tenant), "reason": "leaked", "remove_identity_policies": true });
    let response = stack.api(Method::POST, "/revocations", Some(&body)).await.unwrap();
    assert_eq!(response.status, 202, "{}", response.text);
    assert_eq!(response.body["remove_identity_policies"], true);
    response.body["order_id"].as_str().unwrap().to_owned()
}

/// The policies of `example.com` that are left, as root sees them.
pub(super) async fn policies_left(stack: &Stack, tenant: &Tenant) -> Vec<String> {
    let request = json!({ "account_id": tenant.account_id, "principal": "root", "policies": [], "identities": [] });
    let root = stack.create_tenant(&request).await.unwrap();
    let ses = aws_sdk_sesv2::Client::new(&stack.sdk_config(&root));
    let policies = ses.get_email_identity_policies().email_identity("example.com").send().await.unwrap();
    let mut names: Vec<_> = policies.policies().unwrap().keys().cloned().collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_receipt_says_what_remains_and_what_is_not_known() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let_thief_in(&stack, &tenant, "thief").await;
    let order_id = stack.revoke_key(&tenant).await;
    let key = stack.key_in_state(&order_id, "revoked").await;
    assert_receipt(&key, "deleted");
    let receipt = &key["receipt"];
    assert_eq!(
        seconds_between(&receipt["refused"]["ses"]["at"], &receipt["sessions_possible_until"]),
        36.0 * 3600.0,
        "{key}"
    );
    // The classic policy does not let the key list keys.
    let residual = &receipt["residual_access"];
    assert_eq!(residual["other_keys"], json!({ "outcome": "denied" }), "{key}");
    assert_eq!(
        residual["identity_policies"],
        json!({ "outcome": "complete", "identities_read": 1, "foreign": [{
            "identity": "example.com", "policy_name": "thief", "account_ids": [THIEF], "removal": "not_ordered",
        }] }),
        "{key}"
    );
    assert_eq!(policies_left(&stack, &tenant).await, ["thief"]);
    let event = stack.provider_event("Provider Revoked", &provider_id).await;
    let expected = json!({
        "sessions_possible_until": receipt["sessions_possible_until"], "other_access_key_ids": null,
        "foreign_identity_policies": 1, "identity_policies_complete": true,
    });
    assert_eq!(event["detail"]["residual_access"], expected);
}

#[tokio::test]
async fn a_second_key_is_seen_where_the_policy_lets_the_key_look() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let request = json!({ "account_id": tenant.account_id, "principal": "root", "policies": [], "identities": [] });
    let iam = aws_sdk_iam::Client::new(&stack.sdk_config(&stack.create_tenant(&request).await.unwrap()));
    let mut policy = classic_policy();
    policy["Statement"][1]["Action"] = json!(["iam:GetUser", "iam:DeleteAccessKey", "iam:ListAccessKeys"]);
    let put = iam.put_user_policy().user_name("mailer").policy_name("policy-1").policy_document(policy.to_string());
    put.send().await.unwrap();
    let second = iam.create_access_key().user_name("mailer").send().await.unwrap();
    let second = second.access_key().unwrap().access_key_id().to_owned();

    let order_id = stack.revoke_key(&tenant).await;
    let key = stack.key_in_state(&order_id, "revoked").await;
    let other = &key["receipt"]["residual_access"]["other_keys"];
    assert_eq!(other, &json!({"outcome": "complete", "keys": [{"access_key_id": second, "active": true}]}), "{key}");
    let event = stack.provider_event("Provider Revoked", &provider_id).await;
    assert_eq!(event["detail"]["residual_access"]["other_access_key_ids"], json!([second]));
}

#[tokio::test]
async fn foreign_policies_are_removed_before_the_deletion_where_the_order_asks_for_it() {
    let stack = Stack::shared().await;
    let (tenant, _) = stack.create_provider("acme").await;
    let_thief_in(&stack, &tenant, "thief").await;
    let order_id = order_with_removal(&stack, &tenant).await;
    let key = stack.key_in_state(&order_id, "revoked").await;
    assert_receipt(&key, "deleted");
    assert_eq!(removals(&key), [("thief".to_owned(), "removed".to_owned())], "{key}");
    assert!(policies_left(&stack, &tenant).await.is_empty());
    assert_eq!(stack.get_order(&order_id).await["remove_identity_policies"], true);
}

#[tokio::test]
async fn a_survey_that_gets_no_answer_does_not_delay_the_deletion_by_more_than_seconds_between() {
    let stack = Stack::shared().await;
    let (tenant, _) = stack.create_provider("acme").await;
    let_thief_in(&stack, &tenant, "thief").await;
    let slow = json!({ "on": ["iam:ListAccessKeys", "ses:ListEmailIdentities"], "latency_ms": 60_000 });
    stack.set_faults(&tenant, &slow).await;
    let order_id = order_with_removal(&stack, &tenant).await;
    let key = stack.key_in_state(&order_id, "revoked").await;
    let ordered_at = &stack.get_order(&order_id).await["created_at"];
    assert!(seconds_between(ordered_at, &key["receipt"]["deleted_at"]) < 10.0, "{key}");
    assert!(key["receipt"]["residual_access"].is_null(), "{key}");
}

#[tokio::test]
async fn a_worker_killed_after_it_removed_policies_and_before_the_deletion_forgets_neither() {
    let stack = Stack::with_arguments(&["--parameter", "RevocationVisibilityTimeout=30"]).await;
    let tables = Tables::new(&stack).await;
    let (tenant, _) = stack.create_provider("acme").await;
    let_thief_in(&stack, &tenant, "thief").await;
    // STS is asked between the removal and the deletion.
    stack.set_faults(&tenant, &json!({ "on": ["sts:GetCallerIdentity"], "latency_ms": 30_000 })).await;
    let order_id = order_with_removal(&stack, &tenant).await;
    eventually("the removal", || async {
        let requests = stack.requests(&tenant).await;
        let is_removal =
            |request: &Value| request["operation"] == "DeleteEmailIdentityPolicy" && request["error"].is_null();
        requests.iter().any(is_removal).then_some(())
    })
    .await;
    sleep(Duration::from_millis(300)).await;
    assert!(stack.kill_processes("revoke-worker").await > 0);
    assert!(stack.has_key(&tenant).await);
    stack.set_faults(&tenant, &json!({})).await;
    let key = stack.key_in_state(&order_id, "revoked").await;
    assert_receipt(&key, "deleted");
    assert_eq!(removals(&key), [("thief".to_owned(), "removed".to_owned())], "{key}");
    assert!(tables.sealed_lanes(&tenant).await.is_empty());
}

pub(super) fn removals(key: &Value) -> Vec<(String, String)> {
    let policies = key["receipt"]["residual_access"]["identity_policies"]["foreign"].as_array();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    policies.into_iter().flatten().map(|policy| (text(&policy["policy_name"]), text(&policy["removal"]))).collect()
}
