//! What is no replacement.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, Tables, classic_policy, policy_allowing};

fn outcome(report: &Value, name: &str) -> Value {
    let checks = report["checks"].as_array().unwrap_or_else(|| panic!("no report: {report}"));
    checks.iter().find(|check| check["name"] == name).unwrap()["outcome"].clone()
}

#[tokio::test]
async fn one_rotation_at_a_time() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let new = stack.further_key(&tenant).await;
    let rotation_id = stack.begin_rotation(&provider_id, &new, 600).await;
    let other = stack.other_user(&tenant, &json!({})).await;
    for key in [&other, &new] {
        let second = stack.rotate(&provider_id, key, None).await;
        assert_eq!(second.status, 409, "{}", second.text);
        assert_eq!(second.body["rotation_id"], rotation_id.as_str(), "{}", second.text);
    }
    // Of two that begin at the same time one wins.
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let (first, second) = (stack.further_key(&tenant).await, stack.other_user(&tenant, &json!({})).await);
    let (one, other) =
        tokio::join!(stack.rotate(&provider_id, &first, None), stack.rotate(&provider_id, &second, None));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{} {}", one.text, other.text);
    let tables = Tables::new(&stack).await;
    let loser = if one.status == 409 { &first } else { &second };
    assert!(tables.sealed_lanes(loser).await.is_empty());
}

#[tokio::test]
async fn a_key_that_onboarding_would_refuse_is_refused_and_nothing_is_stored() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let excess = json!({ "user_name": "admin", "policies": [classic_policy(), policy_allowing(&["s3:*", "iam:*"])] });
    let excess = stack.other_user(&tenant, &excess).await;
    let foreign = stack.classic_tenant().await;
    let mut wrong_secret = stack.further_key(&tenant).await;
    wrong_secret.secret_access_key = foreign.secret_access_key.clone();
    for (key, check) in [(&excess, "excess"), (&foreign, "account"), (&wrong_secret, "live")] {
        let refused = stack.rotate(&provider_id, key, None).await;
        assert_eq!(refused.status, 422, "{check}: {}", refused.text);
        assert_eq!(outcome(&refused.body["report"], check), "failed", "{}", refused.text);
        assert!(tables.sealed_lanes(key).await.is_empty(), "{check}");
    }
    assert!(stack.get_provider(&provider_id).await.body.get("rotation").is_none());

    let same = stack.rotate(&provider_id, &tenant, None).await;
    assert_eq!((same.status.as_u16(), &same.body["provider_id"]), (409, &json!(provider_id)), "{}", same.text);
    let path = format!("/providers/{provider_id}/rotations");
    for (body, field) in [
        (json!({ "access_key_id": "x", "secret_access_key": "y", "grace_seconds": 604_801 }), "grace_seconds"),
        (json!({ "access_key_id": "x", "secret_access_key": "y", "grace_seconds": -1 }), "grace_seconds"),
        (json!({ "access_key_id": "x" }), "secret_access_key"),
        (json!({ "access_key_id": "x", "secret_access_key": "y", "region": "us-east-1" }), "region"),
    ] {
        let refused = stack.api(Method::POST, &path, Some(&body)).await.unwrap();
        assert_eq!((refused.status.as_u16(), &refused.body["field"]), (400, &json!(field)), "{}", refused.text);
    }
    let nobody = "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    assert_eq!(stack.rotate(nobody, &tenant, None).await.status, 404);
    let path = format!("/providers/{provider_id}/rotations/rot_01ARZ3NDEKTSV4RRFFQ69G5FAV");
    assert_eq!(stack.api(Method::GET, &path, None).await.unwrap().status, 404);
    assert_eq!(stack.api(Method::DELETE, &path, None).await.unwrap().status, 404);

    stack.set_faults(&tenant, &json!({ "on": ["ses:*"], "server_error": 1000 })).await;
    let undecided = stack.other_user(&tenant, &json!({ "user_name": "later" })).await;
    let undecided = stack.rotate(&provider_id, &undecided, None).await;
    assert_eq!(undecided.status, 503, "{}", undecided.text);
    assert!(undecided.body["report"]["checks"].is_array() && undecided.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn the_report_says_that_the_user_has_two_keys() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let new = stack.further_key(&tenant).await;
    let begun = stack.rotate(&provider_id, &new, None).await;
    assert_eq!((begun.status.as_u16(), &begun.body["grace_seconds"]), (201, &json!(86_400)), "{}", begun.text);
    let location = begun.headers["location"].to_str().unwrap();
    assert_eq!(stack.api(Method::GET, location, None).await.unwrap().body["phase"], "candidate");
    assert_eq!(outcome(&begun.body["report"], "second_key"), "warning", "{}", begun.text);
    let remedy = begun.text.contains("deletes itself when the grace is over");
    assert!(remedy && !begun.text.contains(&tenant.access_key_id), "{}", begun.text);
}

#[tokio::test]
async fn a_key_that_is_being_revoked_is_not_replaced() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let new = stack.further_key(&tenant).await;
    stack.set_faults(&tenant, &json!({ "on": ["iam:DeleteAccessKey"], "server_error": 1000 })).await;
    stack.revoke_key(&tenant).await;
    let refused = stack.rotate(&provider_id, &new, None).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.body["provider_status"]),
        (409, &json!("revoking")),
        "{}",
        refused.text
    );
}
