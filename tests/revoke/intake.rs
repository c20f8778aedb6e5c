//! Orders over HTTP: what is taken, what is refused and how, and that a 202 means stopped.

use reqwest::Method;
use serde_json::{Value, json};

use super::breach::assert_receipt;
use super::order::{answers, key_in, order, report, revocation, scope_of, status};
use super::records::{Records, queue, set_aside};
use crate::support::Stack;

#[tokio::test]
async fn an_order_for_a_key_has_stopped_it_when_it_is_answered() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let answer = report(&stack, &scope_of(&tenant)).await;
    let (now, lanes) = tokio::join!(status(&stack, &provider_id), records.lanes(&tenant));
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_ne!(now, "active");
    assert!(!lanes.contains(&"send".to_owned()), "{lanes:?}");

    let order_id = answer.body["order_id"].as_str().unwrap();
    assert_eq!(answer.headers["location"], format!("/revocations/{order_id}"));
    assert_eq!(answer.body["scope"], scope_of(&tenant));
    assert_eq!(answer.body["done"], false);
    assert_eq!(answer.body["counts"], json!({ "revoking": 1 }));
    let key = &answer.body["keys"][0];
    assert_eq!(key["access_key_id"], tenant.access_key_id.as_str());
    assert_eq!(key["provider_id"], provider_id.as_str());
    assert!(!answer.text.contains(&tenant.secret_access_key));

    assert_receipt(&key_in(&stack, order_id, "revoked").await, "deleted");
    let shown = revocation(&stack, order_id).await;
    // The one who signed is the one who reported.
    assert!(shown["reported_by"].as_str().unwrap().starts_with("arn:aws:iam::123456789012:"), "{shown}");
}

#[tokio::test]
async fn who_is_said_to_report_is_kept_beside_who_signed() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    let body = json!({ "scope": scope_of(&tenant), "reason": "test", "reported_by": "security desk" });
    let answer = stack.api(Method::POST, "/revocations", Some(&body)).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
    let shown = revocation(&stack, answer.body["order_id"].as_str().unwrap()).await;
    assert_eq!(shown["reported_by"], "security desk", "{shown}");
    assert!(shown["signed_by"].as_str().unwrap().starts_with("arn:aws:iam::123456789012:"), "{shown}");
}

#[tokio::test]
async fn a_provider_is_off_boarded_by_its_key() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let answer = stack.api(Method::DELETE, &format!("/providers/{provider_id}"), None).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_eq!(answer.body["scope"], json!({ "provider_id": provider_id }));
    assert_eq!(answer.body["keys"][0]["access_key_id"], tenant.access_key_id.as_str());
    let order_id = answer.body["order_id"].as_str().unwrap();
    assert_receipt(&key_in(&stack, order_id, "revoked").await, "deleted");

    // Once more, when all is over, changes nothing and is complete at once.
    let again = stack.api(Method::DELETE, &format!("/providers/{provider_id}"), None).await.unwrap();
    assert_eq!((again.status.as_u16(), &again.body["done"]), (202, &json!(true)), "{}", again.text);
    assert_ne!(again.body["order_id"], order_id);
    assert_eq!(status(&stack, &provider_id).await, "revoked");
}

#[tokio::test]
async fn orders_for_one_key_at_once_delete_it_once_and_all_have_the_receipt() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let (by_key, by_provider) = (scope_of(&tenant), json!({ "provider_id": provider_id }));
    let (a, b, c, d) = tokio::join!(
        report(&stack, &by_key),
        report(&stack, &by_provider),
        report(&stack, &by_key),
        report(&stack, &by_provider)
    );
    for answer in [a, b, c, d] {
        assert_eq!(answer.status, 202, "{}", answer.text);
        assert_receipt(&key_in(&stack, answer.body["order_id"].as_str().unwrap(), "revoked").await, "deleted");
    }
    assert_eq!(answers(&stack, &tenant, "DeleteAccessKey").await.iter().filter(|code| code.is_none()).count(), 1);
    assert_eq!(records.trail(&provider_id).await, ["onboarded", "revoking", "revoked"]);
}

#[tokio::test]
async fn the_list_of_a_keys_orders_is_bounded_and_each_order_finds_its_key() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    // Nobody handed it over, so that nothing else writes its item.
    let tenant = stack.classic_tenant().await;
    let first = order(&stack, &tenant).await;
    for _ in 0..11 {
        let (a, b, c, d, e) = tokio::join!(
            order(&stack, &tenant),
            order(&stack, &tenant),
            order(&stack, &tenant),
            order(&stack, &tenant),
            order(&stack, &tenant)
        );
        assert!([&a, &b, &c, &d, &e].iter().all(|id| **id != first));
    }
    let last = order(&stack, &tenant).await;
    let key = records.key(&tenant).await;
    let orders = key["orders"].as_l().unwrap();
    assert_eq!(orders.len(), 50);
    assert_eq!(orders.last().unwrap().as_s().unwrap(), &last);
    assert!(orders.iter().all(|id| id.as_s().unwrap() != &first));
    for order_id in [&first, &last] {
        let shown = revocation(&stack, order_id).await;
        assert_eq!(shown["counts"], json!({ "unknown_key": 1 }), "{shown}");
        assert!(shown["keys"][0]["order_count"].as_u64().unwrap() > 50, "{shown}");
    }
}

#[tokio::test]
async fn a_bad_order_is_refused_by_the_name_of_its_field_and_without_its_value() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let key = scope_of(&tenant);
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
        (order(json!({ "all": true })), "scope", "`all` is not supported yet"),
        (order(json!({ "tenant_id": "SECRET" })), "scope", "`tenant_id` is not supported yet"),
        (order(json!({ "account_id": tenant.account_id })), "scope", "`account_id` is not supported yet"),
        (order(json!({ "SECRET": "SECRET" })), "scope", "unknown member"),
        (order(json!({ "access_key_id": "SECRET" })), "scope.access_key_id", ""),
        (order(json!({ "access_key_id": ["SECRET"] })), "scope.access_key_id", ""),
        (order(json!({ "provider_id": "SECRET" })), "scope.provider_id", ""),
        (order(json!({ "provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV" })), "scope.provider_id", "names no provider"),
    ];
    for (body, field, says) in cases {
        let answer = stack.api(Method::POST, "/revocations", Some(&body)).await.unwrap();
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.body["field"], field, "{body}: {}", answer.text);
        assert!(answer.text.contains(says) && !answer.text.contains("SECRET"), "{body}: {}", answer.text);
    }
    let nothing = stack.api(Method::POST, "/revocations", None).await.unwrap();
    assert_eq!((nothing.status.as_u16(), &nothing.body["field"]), (400, &json!("body")), "{}", nothing.text);
    assert_eq!(status(&stack, &provider_id).await, "active");
}

#[tokio::test]
async fn what_pasting_leaves_around_a_key_id_does_not_spare_the_key() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let answer = report(&stack, &json!({ "access_key_id": format!(" \"{}\"\n", tenant.access_key_id) })).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert_ne!(status(&stack, &provider_id).await, "active");
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let stack = Stack::shared().await;
    let (_, provider_id) = stack.provider("acme").await;
    let cases = [
        (Method::GET, "/revocations/rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned()),
        (Method::GET, "/revocations/nonsense".to_owned()),
        (Method::GET, format!("/revocations/{provider_id}")),
        (Method::DELETE, "/providers/prv_01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned()),
        (Method::DELETE, format!("/providers/{}", provider_id.to_lowercase())),
        (Method::DELETE, "/providers/nonsense".to_owned()),
    ];
    for (method, path) in cases {
        let answer = stack.api(method.clone(), &path, None).await.unwrap();
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
    }
    assert_eq!(status(&stack, &provider_id).await, "active");
}

#[tokio::test]
async fn a_message_that_the_worker_cannot_read_is_set_aside_and_one_for_a_key_in_use_does_nothing() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let garbage = format!("garbage {}", tenant.account_id);
    let forged = json!({ "version": 1, "work": { "key": tenant.access_key_id } }).to_string();
    for body in [&forged, &garbage] {
        let request = stack.sqs.send_message().queue_url(&stack.outputs.revocation_queue_url);
        request.message_body(body).message_group_id("test").send().await.unwrap();
    }
    let dead_letters = queue(&stack, "RevocationDeadLetterQueue").await;
    assert!(set_aside(&stack, &dead_letters, |letter| letter == garbage).await.starts_with("body"));
    assert_eq!(status(&stack, &provider_id).await, "active");
    assert!(
        answers(&stack, &tenant, "DeleteAccessKey").await.iter().all(|code| code.as_deref() == Some("NoSuchEntity"))
    );

    // The way is open for an order after both.
    let order_id = order(&stack, &tenant).await;
    key_in(&stack, &order_id, "revoked").await;
}
