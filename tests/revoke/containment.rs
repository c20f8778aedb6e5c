//! A key that cannot be deleted: what its tenant agreed to is done in the account, and the tenant is told what to do.

use reqwest::Method;
use serde_json::{Value, json};

use super::residual_access::{let_thief_in, policies_left, removals};
use crate::support::{Stack, Tables, assert_receipt, eventually, policy_allowing};
use operator::{ApiResponse, Tenant};

/// Onboards a tenant's key with the tenant's consent. Returns the response, which is no 503 of the gateway.
async fn onboard_with_consent(stack: &Stack, tenant: &Tenant) -> ApiResponse {
    let body = json!({
        "tenant_id": "acme", "name": "main", "region": tenant.region, "access_key_id": tenant.access_key_id,
        "secret_access_key": tenant.secret_access_key, "consent": { "pause_sending": true },
    });
    eventually("an environment of verify", || async {
        let response = stack.api(Method::POST, "/providers", Some(&body)).await.unwrap();
        (response.body != json!({ "message": "Service Unavailable" })).then_some(response)
    })
    .await
}

/// A provider with the classic policy whose tenant agreed to containment.
async fn consenting_provider(stack: &Stack) -> (Tenant, String) {
    let tenant = stack.classic_tenant().await;
    let response = onboard_with_consent(stack, &tenant).await;
    assert_eq!(response.status, 201, "{}", response.text);
    (tenant, response.body["provider_id"].as_str().unwrap().to_owned())
}

/// Whether the account may send, as its root sees it.
async fn is_sending_enabled(stack: &Stack, tenant: &Tenant) -> bool {
    let ses = aws_sdk_sesv2::Client::new(&stack.sdk_config(&stack.root_of(tenant).await));
    ses.get_account().send().await.unwrap().sending_enabled()
}

/// How often the account was asked to pause its sending.
async fn pauses(stack: &Stack, tenant: &Tenant) -> usize {
    let requests = stack.requests(tenant).await;
    requests.iter().filter(|request| request["operation"] == "PutAccountSendingAttributes").count()
}

/// Has the key's next attempt made now, and waits until it is over.
async fn retry(stack: &Stack, tables: &Tables, tenant: &Tenant, order_id: &str) -> Value {
    let before = stack.get_order(order_id).await["keys"][0]["receipt"]["deletion_denied_at"].clone();
    assert!(tables.make_due(tenant).await);
    stack.run_sweep().await;
    stack
        .key_when(order_id, "another attempt", |key| {
            let due = key["next_attempt_at"].as_str().unwrap_or_default();
            key["receipt"]["deletion_denied_at"] != before && due > "2020-01-02"
        })
        .await
}

#[tokio::test]
async fn a_quarantined_key_pauses_the_account_and_removes_what_the_thief_left() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = consenting_provider(&stack).await;
    let provider = stack.get_provider(&provider_id).await.body;
    assert_eq!(provider["consent"]["pause_sending"], true, "{provider}");
    assert!(provider["consent"]["signed_by"].as_str().unwrap().starts_with("arn:aws:"), "{provider}");
    let_thief_in(&stack, &tenant, "thief").await;
    stack.set_faults(&tenant, &json!({ "quarantine": true })).await;
    let order_id = stack.revoke_key(&tenant).await;

    let event = stack.provider_event("Revocation Blocked", &provider_id).await;
    let detail = &event["detail"];
    assert_eq!(detail["reason"], "quarantined", "{event}");
    assert_eq!(detail["containment"]["sending"], "paused", "{event}");
    assert_eq!(detail["containment"]["identity_policies_removed"], 1, "{event}");
    let notice = detail["tenant_notice"].as_str().unwrap();
    for part in [
        tenant.access_key_id.as_str(),
        tenant.account_id.as_str(),
        "/iam/home#/users/details/mailer?section=security_credentials",
        "aws sesv2 put-account-sending-attributes --sending-enabled --region us-east-1",
    ] {
        assert!(notice.contains(part), "{notice}");
    }
    let key = stack.key_in_state(&order_id, "revocation_blocked{quarantined}").await;
    let containment = &key["receipt"]["containment"];
    assert_eq!(containment["sending_paused_at"], detail["containment"]["sending_paused_at"], "{key}");
    assert_eq!((&containment["sending"], &key["tenant_notice"]), (&json!("paused"), &detail["tenant_notice"]));
    assert_eq!(removals(&key), [("thief".to_owned(), "removed".to_owned())], "{key}");
    assert!(policies_left(&stack, &tenant).await.is_empty());
    assert!(!is_sending_enabled(&stack, &tenant).await);
    assert!(stack.has_key(&tenant).await);

    // It is retried, and what is done is not done again.
    retry(&stack, &tables, &tenant, &order_id).await;
    assert_eq!(pauses(&stack, &tenant).await, 1);
    assert_eq!(stack.provider_events("Revocation Blocked", &provider_id).await.len(), 1);

    stack.set_faults(&tenant, &json!({})).await;
    assert!(tables.make_due(&tenant).await);
    stack.run_sweep().await;
    let dead = stack.key_in_state(&order_id, "revoked").await;
    assert_receipt(&dead, "deleted");
    assert_eq!(dead["receipt"]["containment"], *containment);
    assert!(!is_sending_enabled(&stack, &tenant).await, "nothing is undone by itself");
    let event = stack.provider_event("Provider Revoked", &provider_id).await;
    assert_eq!(event["detail"]["containment"], detail["containment"], "{event}");
    assert!(event["detail"]["tenant_notice"].as_str().unwrap().contains("--sending-enabled"), "{event}");
}

#[tokio::test]
async fn without_consent_nothing_is_touched_and_the_notice_is_there_all_the_same() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    assert!(stack.get_provider(&provider_id).await.body["consent"].is_null());
    let_thief_in(&stack, &tenant, "thief").await;
    stack.set_faults(&tenant, &json!({ "quarantine": true })).await;
    let order_id = stack.revoke_key(&tenant).await;
    let event = stack.provider_event("Revocation Blocked", &provider_id).await;
    assert!(event["detail"]["containment"].is_null(), "{event}");
    let notice = event["detail"]["tenant_notice"].as_str().unwrap();
    assert!(notice.contains("users/details/mailer") && notice.contains("--no-sending-enabled"), "{notice}");
    let key = stack.key_in_state(&order_id, "revocation_blocked{quarantined}").await;
    assert_eq!(key["tenant_notice"], notice);
    assert!(key["receipt"]["containment"].is_null(), "{key}");
    assert_eq!(pauses(&stack, &tenant).await, 0);
    assert!(is_sending_enabled(&stack, &tenant).await);
    assert_eq!(policies_left(&stack, &tenant).await, ["thief"]);
}

#[tokio::test]
async fn a_key_that_can_delete_itself_pauses_nothing() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = consenting_provider(&stack).await;
    let_thief_in(&stack, &tenant, "thief").await;
    // The deletion fails for a while, and is never denied.
    stack.set_faults(&tenant, &json!({ "on": ["iam:DeleteAccessKey"], "throttle_chance": 1 })).await;
    let order_id = stack.revoke_key(&tenant).await;
    stack.key_when(&order_id, "two attempts", |key| key["attempts"].as_u64().unwrap() >= 2).await;
    stack.set_faults(&tenant, &json!({})).await;
    assert_receipt(&stack.key_in_state(&order_id, "revoked").await, "deleted");
    let event = stack.provider_event("Provider Revoked", &provider_id).await;
    assert!(event["detail"]["containment"].is_null() && event["detail"]["tenant_notice"].is_null(), "{event}");
    assert_eq!(pauses(&stack, &tenant).await, 0);
    assert_eq!(policies_left(&stack, &tenant).await, ["thief"]);
}

#[tokio::test]
async fn a_denial_by_scp_or_boundary_is_contained_as_far_as_it_lets_the_key() {
    let deny = |actions: &[&str]| {
        json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": "*", "Resource": "*" },
            { "Effect": "Deny", "Action": actions, "Resource": "*" },
        ] })
    };
    let stack = Stack::shared().await;
    let (deletion, both) =
        (&["iam:DeleteAccessKey"][..], &["iam:DeleteAccessKey", "ses:PutAccountSendingAttributes"][..]);
    for (by_scp, denied, expected) in [(true, deletion, "paused"), (false, deletion, "paused"), (true, both, "denied")]
    {
        let (tenant, provider_id) = consenting_provider(&stack).await;
        if by_scp {
            let request = json!({
                "account_id": tenant.account_id, "principal": "root", "policies": [], "identities": [], "scp": [deny(denied)],
            });
            stack.create_tenant(&request).await.unwrap();
        } else {
            let iam = aws_sdk_iam::Client::new(&stack.sdk_config(&stack.root_of(&tenant).await));
            let created = iam.create_policy().policy_name("boundary").policy_document(deny(denied).to_string());
            let created = created.send().await.unwrap();
            let arn = created.policy().unwrap().arn().unwrap();
            iam.put_user_permissions_boundary().user_name("mailer").permissions_boundary(arn).send().await.unwrap();
        }
        let order_id = stack.revoke_key(&tenant).await;
        let event = stack.provider_event("Revocation Blocked", &provider_id).await;
        assert_eq!(event["detail"]["reason"], "delete_denied", "{event}");
        assert_eq!(event["detail"]["containment"]["sending"], expected, "{event}");
        let key = stack.key_in_state(&order_id, "revocation_blocked{delete_denied}").await;
        assert_eq!(key["receipt"]["containment"]["sending"], expected, "{key}");
        assert_eq!(is_sending_enabled(&stack, &tenant).await, expected == "denied");
        let notice = key["tenant_notice"].as_str().unwrap();
        assert_eq!(notice.contains("did not let us"), expected == "denied", "{notice}");
    }
}

#[tokio::test]
async fn an_off_boarding_pauses_nothing_until_a_breach_is_reported() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = consenting_provider(&stack).await;
    let_thief_in(&stack, &tenant, "partner").await;
    let iam = aws_sdk_iam::Client::new(&stack.sdk_config(&stack.root_of(&tenant).await));
    let policy = policy_allowing(&["ses:*", "iam:GetUser"]).to_string();
    iam.put_user_policy().user_name("mailer").policy_name("policy-1").policy_document(policy).send().await.unwrap();
    let response = stack.api(Method::DELETE, &format!("/providers/{provider_id}"), None).await.unwrap();
    assert_eq!(response.status, 202, "{}", response.text);
    let order_id = response.body["order_id"].as_str().unwrap();
    let key = stack.key_in_state(order_id, "revocation_blocked{delete_denied}").await;
    assert_eq!(key["receipt"]["containment"]["sending"], "withheld", "{key}");
    assert_eq!(pauses(&stack, &tenant).await, 0);
    assert_eq!(policies_left(&stack, &tenant).await, ["partner"]);

    let breach = stack.revoke_key(&tenant).await;
    let contained = |key: &Value| key["receipt"]["containment"]["sending"] == "paused";
    let key = stack.key_when(&breach, "containment", contained).await;
    assert_eq!(removals(&key), [("partner".to_owned(), "removed".to_owned())], "{key}");
    assert!(!is_sending_enabled(&stack, &tenant).await);
}

#[tokio::test]
async fn a_pause_that_ses_throttles_is_made_at_the_next_attempt_and_told() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = consenting_provider(&stack).await;
    let throttled = json!({ "quarantine": true, "on": ["ses:PutAccountSendingAttributes"], "throttle_chance": 1 });
    stack.set_faults(&tenant, &throttled).await;
    let order_id = stack.revoke_key(&tenant).await;
    let event = stack.provider_event("Revocation Blocked", &provider_id).await;
    assert_eq!(event["detail"]["containment"]["sending"], "failed", "{event}");
    stack.key_in_state(&order_id, "revocation_blocked{quarantined}").await;
    assert!(is_sending_enabled(&stack, &tenant).await);

    stack.set_faults(&tenant, &json!({ "quarantine": true })).await;
    let key = retry(&stack, &tables, &tenant, &order_id).await;
    assert_eq!(key["status"], "revocation_blocked", "{key}");
    eventually("an event that says that sending is paused", || async {
        let events = stack.provider_events("Revocation Blocked", &provider_id).await;
        events.iter().any(|event| event["detail"]["containment"]["sending"] == "paused").then_some(())
    })
    .await;
    assert!(!is_sending_enabled(&stack, &tenant).await);
}

#[tokio::test]
async fn the_policy_for_tenants_who_agree_is_accepted_and_lets_the_key_pause() {
    let stack = Stack::shared().await;
    let account_id = "739250186417";
    let path = format!("/policy?account_id={account_id}&consent=pause_sending&style=hardened");
    let response = stack.api(Method::GET, &path, None).await.unwrap();
    assert_eq!(
        (response.status.as_u16(), &response.headers["policy-version"]),
        (200, &"hardened-3-pause".parse().unwrap())
    );
    let tenant = stack.tenant_with(&json!({ "account_id": account_id, "policies": [response.body] })).await;
    let provider = onboard_with_consent(&stack, &tenant).await;
    assert_eq!((provider.status.as_u16(), &provider.body["assurance"]), (201, &json!("proven")), "{}", provider.text);
    assert_eq!(provider.body["report"]["recommended_policy"], "hardened-3-pause");
    let provider_id = provider.body["provider_id"].as_str().unwrap();
    stack.set_faults(&tenant, &json!({ "quarantine": true })).await;
    stack.revoke_key(&tenant).await;
    let event = stack.provider_event("Revocation Blocked", provider_id).await;
    assert_eq!(event["detail"]["containment"]["sending"], "paused", "{event}");
    assert!(!is_sending_enabled(&stack, &tenant).await);
}

#[tokio::test]
async fn a_tenant_who_agrees_and_whose_key_may_not_pause_is_told_so() {
    let stack = Stack::shared().await;
    let tenant = stack.hardened_tenant("739250186418", &json!({})).await;
    let provider = onboard_with_consent(&stack, &tenant).await;
    assert_eq!(provider.status, 201, "{}", provider.text);
    let iam = aws_sdk_iam::Client::new(&stack.sdk_config(&stack.root_of(&tenant).await));
    let policy = policy_allowing(&["ses:SendEmail", "ses:GetAccount"]).to_string();
    iam.put_user_policy().user_name("mailer").policy_name("policy-1").policy_document(policy).send().await.unwrap();
    let order_id = stack.revoke_key(&tenant).await;
    let key = stack.key_in_state(&order_id, "revocation_blocked{delete_denied}").await;
    assert_eq!(key["receipt"]["containment"]["sending"], "denied", "{key}");
    assert!(is_sending_enabled(&stack, &tenant).await);
}
