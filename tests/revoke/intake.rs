//! Orders over HTTP: which are accepted, how the others are refused, and that a 202 means that sending has stopped.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, Tables, assert_receipt, key_scope};

#[tokio::test]
async fn the_response_to_an_order_means_that_its_key_has_stopped() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let response = stack.order_revocation(&key_scope(&tenant)).await;
    let (now, lanes) = tokio::join!(stack.provider_status(&provider_id), tables.sealed_lanes(&tenant));
    assert_eq!(response.status, 202, "{}", response.text);
    assert_ne!(now, "active");
    assert!(!lanes.contains(&"send".to_owned()), "{lanes:?}");

    let order_id = response.body["order_id"].as_str().unwrap();
    assert_eq!(response.headers["location"], format!("/revocations/{order_id}"));
    assert_eq!(response.body["scope"], key_scope(&tenant));
    assert_eq!(response.body["done"], false);
    assert_eq!(response.body["counts"]["by_status"], json!({ "revoking": 1 }));
    let key = &response.body["keys"][0];
    assert_eq!(key["access_key_id"], tenant.access_key_id.as_str());
    assert_eq!(key["provider_id"], provider_id.as_str());
    assert!(!response.text.contains(&tenant.secret_access_key));

    assert_receipt(&stack.key_in_state(order_id, "revoked").await, "deleted");
    let shown = stack.get_order(order_id).await;
    // Without `reported_by`, the reporter is the signer.
    assert!(shown["reported_by"].as_str().unwrap().starts_with("arn:aws:iam::123456789012:"), "{shown}");
}

#[tokio::test]
async fn the_named_reporter_is_stored_beside_the_signer() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    let body = json!({ "scope": key_scope(&tenant), "reason": "test", "reported_by": "security desk" });
    let response = stack.api(Method::POST, "/revocations", Some(&body)).await.unwrap();
    assert_eq!(response.status, 202, "{}", response.text);
    let shown = stack.get_order(response.body["order_id"].as_str().unwrap()).await;
    assert_eq!(shown["reported_by"], "security desk", "{shown}");
    assert!(shown["signed_by"].as_str().unwrap().starts_with("arn:aws:iam::123456789012:"), "{shown}");
}

#[tokio::test]
async fn off_boarding_a_provider_revokes_its_key() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let response = stack.api(Method::DELETE, &format!("/providers/{provider_id}"), None).await.unwrap();
    assert_eq!(response.status, 202, "{}", response.text);
    assert_eq!(response.body["scope"], json!({ "provider_id": provider_id }));
    assert_eq!(response.body["keys"][0]["access_key_id"], tenant.access_key_id.as_str());
    let order_id = response.body["order_id"].as_str().unwrap();
    assert_receipt(&stack.key_in_state(order_id, "revoked").await, "deleted");

    // A second off-boarding after the end changes nothing and is complete at once.
    let again = stack.api(Method::DELETE, &format!("/providers/{provider_id}"), None).await.unwrap();
    assert_eq!((again.status.as_u16(), &again.body["done"]), (202, &json!(true)), "{}", again.text);
    assert_ne!(again.body["order_id"], order_id);
    assert_eq!(stack.provider_status(&provider_id).await, "revoked");
}

#[tokio::test]
async fn concurrent_orders_for_one_key_delete_it_once_and_all_show_the_receipt() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let (by_key, by_provider) = (key_scope(&tenant), json!({ "provider_id": provider_id }));
    let (a, b, c, d) = tokio::join!(
        stack.order_revocation(&by_key),
        stack.order_revocation(&by_provider),
        stack.order_revocation(&by_key),
        stack.order_revocation(&by_provider)
    );
    for response in [a, b, c, d] {
        assert_eq!(response.status, 202, "{}", response.text);
        assert_receipt(&stack.key_in_state(response.body["order_id"].as_str().unwrap(), "revoked").await, "deleted");
    }
    stack.assert_deleted_once(&tenant).await;
    assert_eq!(tables.audit_trail(&provider_id).await, ["onboarded", "revoking", "revoked"]);
}

#[tokio::test]
async fn an_invalid_order_is_refused_with_the_name_of_the_field_and_without_its_value() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let key = key_scope(&tenant);
    let order = |scope: Value| json!({ "scope": scope, "reason": "test" });
    let cases = [
        (json!([]), "body", ""),
        (json!({ "reason": "test" }), "scope", ""),
        (json!({ "scope": key }), "reason", ""),
        (json!({ "scope": key, "reason": "" }), "reason", ""),
        (json!({ "scope": key, "reason": "SECRET\u{7}" }), "reason", ""),
        (json!({ "scope": key, "reason": "test", "as_of": "2020-01-01T00:00:00Z" }), "as_of", "not a known field"),
        (json!({ "scope": key, "reason": "test", "as_of": "SECRET" }), "as_of", ""),
        (json!({ "scope": key, "reason": "test", "by": "me" }), "by", ""),
        (order(json!({})), "scope", "exactly one"),
        (order(json!({ "access_key_id": tenant.access_key_id, "provider_id": provider_id })), "scope", "exactly one"),
        (order(json!({ "all": true })), "confirm", "must repeat the scope"),
        (order(json!({ "tenant_id": "SECRET" })), "confirm", "must repeat the scope"),
        (order(json!({ "account_id": tenant.account_id })), "confirm", "must repeat the scope"),
        (order(json!({ "SECRET": "SECRET" })), "scope", "unknown member"),
        (order(json!({ "access_key_id": "SECRET" })), "scope.access_key_id", ""),
        (order(json!({ "access_key_id": ["SECRET"] })), "scope.access_key_id", ""),
        (order(json!({ "provider_id": "SECRET" })), "scope.provider_id", ""),
        (order(json!({ "provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV" })), "scope.provider_id", "names no provider"),
    ];
    for (body, field, text) in cases {
        let response = stack.api(Method::POST, "/revocations", Some(&body)).await.unwrap();
        assert_eq!(response.status, 400, "{body}: {}", response.text);
        assert_eq!(response.headers["content-type"], "application/problem+json");
        assert_eq!(response.body["field"], field, "{body}: {}", response.text);
        assert!(response.text.contains(text) && !response.text.contains("SECRET"), "{body}: {}", response.text);
    }
    let nothing = stack.api(Method::POST, "/revocations", None).await.unwrap();
    assert_eq!((nothing.status.as_u16(), &nothing.body["field"]), (400, &json!("body")), "{}", nothing.text);
    assert_eq!(stack.provider_status(&provider_id).await, "active");
}

#[tokio::test]
async fn quotes_and_spaces_around_a_pasted_key_id_do_not_matter() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let response =
        stack.order_revocation(&json!({ "access_key_id": format!(" \"{}\"\n", tenant.access_key_id) })).await;
    assert_eq!(response.status, 202, "{}", response.text);
    assert_ne!(stack.provider_status(&provider_id).await, "active");
}

#[tokio::test]
async fn orders_and_providers_that_do_not_exist_are_not_found() {
    let stack = Stack::shared().await;
    let (_, provider_id) = stack.create_provider("acme").await;
    let cases = [
        (Method::GET, "/revocations/rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned()),
        (Method::GET, "/revocations/nonsense".to_owned()),
        (Method::GET, format!("/revocations/{provider_id}")),
        (Method::DELETE, "/providers/prv_01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned()),
        (Method::DELETE, format!("/providers/{}", provider_id.to_lowercase())),
        (Method::DELETE, "/providers/nonsense".to_owned()),
    ];
    for (method, path) in cases {
        let response = stack.api(method.clone(), &path, None).await.unwrap();
        assert_eq!(response.status, 404, "{method} {path}: {}", response.text);
    }
    assert_eq!(stack.provider_status(&provider_id).await, "active");
}

#[tokio::test]
async fn the_worker_dead_letters_an_unreadable_message_and_ignores_one_for_an_active_key() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let garbage = format!("garbage {}", tenant.account_id);
    let forged = json!({ "version": 1, "work": { "key": tenant.access_key_id } }).to_string();
    for body in [&forged, &garbage] {
        let request = stack.sqs.send_message().queue_url(&stack.outputs.revocation_queue_url);
        request.message_body(body).message_group_id("test").send().await.unwrap();
    }
    let reason = stack.dead_letter_reason("RevocationDeadLetterQueue", |dead| dead == garbage).await;
    assert!(reason.starts_with("body"), "{reason}");
    assert_eq!(stack.provider_status(&provider_id).await, "active");
    stack.assert_key_untouched(&tenant).await;

    // Neither message hinders an order that comes after them.
    let order_id = stack.revoke_key(&tenant).await;
    stack.key_in_state(&order_id, "revoked").await;
}

#[tokio::test]
async fn the_list_of_a_keys_orders_is_bounded_and_each_order_finds_its_key() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    // Nobody handed it over, so that nothing else writes its item.
    let tenant = stack.classic_tenant().await;
    let first = stack.revoke_key(&tenant).await;
    for _ in 0..11 {
        let (a, b, c, d, e) = tokio::join!(
            stack.revoke_key(&tenant),
            stack.revoke_key(&tenant),
            stack.revoke_key(&tenant),
            stack.revoke_key(&tenant),
            stack.revoke_key(&tenant)
        );
        assert!([&a, &b, &c, &d, &e].iter().all(|id| **id != first));
    }
    let last = stack.revoke_key(&tenant).await;
    let key = tables.key_item(&tenant).await;
    let orders = key["orders"].as_l().unwrap();
    assert_eq!(orders.len(), 50);
    assert_eq!(orders.last().unwrap().as_s().unwrap(), &last);
    assert!(orders.iter().all(|id| id.as_s().unwrap() != &first));
    for order_id in [&first, &last] {
        let shown = stack.get_order(order_id).await;
        assert_eq!(shown["counts"]["by_status"], json!({ "unknown_key": 1 }), "{shown}");
        assert!(shown["keys"][0]["order_count"].as_u64().unwrap() > 50, "{shown}");
    }
}
