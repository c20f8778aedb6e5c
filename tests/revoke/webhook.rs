//! Breach reports by signed webhooks.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, Tables, Webhook, key_scope};
use operator::Tenant;

fn report(tenant: &Tenant) -> Value {
    json!({ "scope": key_scope(tenant), "reason": "found by the scanner" })
}

#[tokio::test]
async fn a_signed_report_revokes_the_key_and_a_replay_finds_its_order() {
    let stack = Stack::shared().await;
    let secret = stack.register_webhook("replayed").await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let webhook = Webhook::signed("replayed", "msg_1", &[&secret], &report(&tenant));
    let response = stack.send_webhook(&webhook).await;
    assert_eq!(response.status, 202, "{}", response.text);
    let order_id = response.body["order_id"].as_str().unwrap().to_owned();
    assert_eq!(response.body["reported_by"], "webhook:replayed");
    assert_eq!(response.body["signed_by"], "webhook:replayed");
    assert_eq!(stack.provider_status(&provider_id).await, "revoking");

    // The same request again, and another attempt of the sender to deliver the same report.
    let again = Webhook::signed("replayed", "msg_1", &[&secret], &report(&tenant));
    for repeated in [&webhook, &again] {
        let response = stack.send_webhook(repeated).await;
        assert_eq!((response.status.as_u16(), response.body["order_id"].as_str()), (202, Some(order_id.as_str())));
    }
    let key = stack.key_in_state(&order_id, "revoked").await;
    assert_eq!(key["order_count"], 1);
    stack.assert_deleted_once(&tenant).await;
    let late = stack.send_webhook(&webhook).await;
    assert_eq!((late.status.as_u16(), late.body["order_id"].as_str()), (202, Some(order_id.as_str())));
    stack.assert_deleted_once(&tenant).await;
    // At least once: the repeated messages may have been handled at the same time.
    assert!(!stack.provider_events("Provider Revoked", &provider_id).await.is_empty());

    // A report of another key must not be taken for it.
    let (other, other_id) = stack.create_provider("globex").await;
    let reused = stack.send_webhook(&Webhook::signed("replayed", "msg_1", &[&secret], &report(&other))).await;
    assert_eq!((reused.status.as_u16(), reused.body["order_id"].as_str()), (409, Some(order_id.as_str())));
    assert_eq!(stack.provider_status(&other_id).await, "active");
    let named = json!({ "scope": { "provider_id": other_id }, "reason": "found", "reported_by": "rule 7" });
    let response = stack.send_webhook(&Webhook::signed("replayed", "msg_2", &[&secret], &named)).await;
    assert_eq!((response.status.as_u16(), &response.body["reported_by"]), (202, &json!("webhook:replayed (rule 7)")));
    assert_eq!(stack.provider_status(&other_id).await, "revoking");
}

#[tokio::test]
async fn whatever_is_not_signed_is_refused_with_one_answer_and_stops_nothing() {
    let stack = Stack::shared().await;
    let secret = stack.register_webhook("forged").await;
    let other_secret = stack.register_webhook("forger").await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let good = Webhook::signed("forged", "msg_1", &[&secret], &report(&tenant));
    let signature = good.headers[2].1.clone();
    let at: i64 = good.headers[1].1.parse().unwrap();
    let signed_at = |at| Webhook::signed_at("forged", "msg_1", &[&secret], &report(&tenant), at);
    let large = json!({ "scope": key_scope(&tenant), "reason": "x".repeat(64 * 1024) });
    let forgeries = [
        ("by another sender's secret", Webhook::signed("forged", "msg_1", &[&other_secret], &report(&tenant))),
        ("for another sender", Webhook { name: "forger".to_owned(), ..good.clone() }),
        ("for nobody", Webhook { name: "nobody".to_owned(), ..good.clone() }),
        ("for no name", Webhook { name: "No%20Name".to_owned(), ..good.clone() }),
        ("another body", Webhook { body: good.body.replace("found", "lost"), ..good.clone() }),
        ("another id", good.with("webhook-id", "msg_2")),
        ("another time", good.with("webhook-timestamp", &(at + 1).to_string())),
        ("stale", signed_at(at - 400)),
        ("from the future", signed_at(at + 400)),
        ("too large", Webhook::signed("forged", "msg_1", &[&secret], &large)),
        ("no signature", good.without("webhook-signature")),
        ("no id", good.without("webhook-id")),
        ("no time", good.without("webhook-timestamp")),
        ("an empty signature", good.with("webhook-signature", "v1,")),
        ("a truncated one", good.with("webhook-signature", &signature[..30])),
        ("one that is no base64", good.with("webhook-signature", "v1,????")),
        ("another version", good.with("webhook-signature", &signature.replace("v1", "v1a"))),
    ];
    let mut answers = Vec::new();
    for (what, forgery) in &forgeries {
        let response = stack.send_webhook(forgery).await;
        assert_eq!(response.status, 401, "{what}: {}", response.text);
        let headers: Vec<(String, String)> = response
            .headers
            .iter()
            .filter(|(name, _)| *name != "apigw-requestid" && *name != "date")
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        answers.push((headers, response.text));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(stack.provider_status(&provider_id).await, "active");
    stack.assert_key_untouched(&tenant).await;
    assert_eq!(stack.send_webhook(&good).await.status, 202);
}

#[tokio::test]
async fn a_rotation_leaves_two_secrets_and_a_deletion_none() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let scopes = json!({ "allowed_scopes": ["access_key_id"] });
    let rotate = json!({ "allowed_scopes": ["access_key_id"], "rotate": true });
    let mut secrets = vec![stack.put_webhook("rotated", &rotate).await.body["secret"].as_str().unwrap().to_owned()];
    let unchanged = stack.put_webhook("rotated", &scopes).await;
    assert_eq!((unchanged.status.as_u16(), &unchanged.body["secret"]), (200, &Value::Null));
    for _ in 0..2 {
        let response = stack.put_webhook("rotated", &rotate).await;
        assert_eq!(response.status, 200);
        secrets.push(response.body["secret"].as_str().unwrap().to_owned());
        let (tenant, _) = stack.create_provider("acme").await;
        let [.., older, newer] = &secrets[..] else { unreachable!() };
        for (id, with) in [("a", vec![older]), ("b", vec![newer]), ("c", vec![older, newer])] {
            let with: Vec<&str> = with.into_iter().map(String::as_str).collect();
            let id = format!("{id}-{}", secrets.len());
            let response = stack.send_webhook(&Webhook::signed("rotated", &id, &with, &report(&tenant))).await;
            assert_eq!(response.status, 202, "{}", response.text);
        }
    }
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let ended = Webhook::signed("rotated", "d", &[&secrets[0]], &report(&tenant));
    assert_eq!(stack.send_webhook(&ended).await.status, 401);

    let shown = stack.api(Method::GET, "/webhooks/rotated", None).await.unwrap();
    assert_eq!(shown.body["secrets_created_at"].as_array().unwrap().len(), 2, "{}", shown.text);
    assert_eq!(shown.body["allowed_scopes"], json!(["access_key_id"]));
    for secret in &secrets {
        assert!(!shown.text.contains(secret.strip_prefix("whsec_").unwrap()));
    }

    let deleted = stack.api(Method::DELETE, "/webhooks/rotated", None).await.unwrap();
    assert_eq!((deleted.status.as_u16(), deleted.text.as_str()), (204, ""));
    let last = Webhook::signed("rotated", "e", &[&secrets[2]], &report(&tenant));
    assert_eq!(stack.send_webhook(&last).await.status, 401);
    assert_eq!(stack.api(Method::GET, "/webhooks/rotated", None).await.unwrap().status, 404);
    assert_eq!(stack.api(Method::DELETE, "/webhooks/rotated", None).await.unwrap().status, 404);
    assert_eq!(stack.provider_status(&provider_id).await, "active");
    assert_eq!(
        tables.webhook_trail("rotated").await,
        ["webhook_registered", "webhook_secret_rotated", "webhook_secret_rotated", "webhook_deleted"]
            .map(|event| (event.to_owned(), "arn:aws:iam::123456789012:root".to_owned()))
    );
}

#[tokio::test]
async fn a_sender_reports_no_more_than_it_is_allowed() {
    let stack = Stack::shared().await;
    let registered = stack.put_webhook("narrow", &json!({ "allowed_scopes": ["access_key_id"] })).await;
    let secret = registered.body["secret"].as_str().unwrap().to_owned();
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let by_provider = json!({ "scope": { "provider_id": provider_id }, "reason": "found" });
    for (scope, status) in [
        (&by_provider["scope"], 403),
        (&json!({ "tenant_id": "acme" }), 403),
        (&json!({ "account_id": tenant.account_id }), 403),
        (&json!({ "all": true }), 403),
        (&json!({ "access_key_id": "nonsense" }), 400),
    ] {
        let body = json!({ "scope": scope, "reason": "found" });
        let response = stack.send_webhook(&Webhook::signed("narrow", "msg_1", &[&secret], &body)).await;
        assert_eq!(response.status.as_u16(), status, "{scope}: {}", response.text);
        assert!(response.body["field"].as_str().unwrap().starts_with("scope"), "{}", response.text);
    }
    assert_eq!(stack.provider_status(&provider_id).await, "active");

    let widened = stack.put_webhook("narrow", &json!({ "allowed_scopes": ["provider_id", "access_key_id"] })).await;
    assert_eq!((widened.status.as_u16(), &widened.body["secret"]), (200, &Value::Null));
    let response = stack.send_webhook(&Webhook::signed("narrow", "msg_1", &[&secret], &by_provider)).await;
    assert_eq!(response.status, 202, "{}", response.text);

    for (name, body) in [
        ("narrow", json!({ "allowed_scopes": ["all"] })),
        ("narrow", json!({ "allowed_scopes": [] })),
        ("Narrow", json!({ "allowed_scopes": ["access_key_id"] })),
        ("narrow", json!({ "allowed_scopes": ["access_key_id"], "secret": "whsec_mine" })),
    ] {
        let response = stack.put_webhook(name, &body).await;
        assert_eq!(response.status, 400, "{name} {body}: {}", response.text);
    }
}

#[tokio::test]
async fn nobody_without_an_iam_signature_registers_a_sender() {
    let stack = Stack::shared().await;
    let url = format!("{}/webhooks/uninvited", stack.outputs.api_url.trim_end_matches('/'));
    for method in [Method::PUT, Method::GET, Method::DELETE] {
        let request = reqwest::Client::new().request(method, &url).body(r#"{"allowed_scopes": ["access_key_id"]}"#);
        assert_eq!(request.send().await.unwrap().status(), 403);
    }
    assert_eq!(stack.api(Method::GET, "/webhooks/uninvited", None).await.unwrap().status, 404);
}

#[tokio::test]
async fn the_secret_of_one_sender_opens_for_no_other() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let secret = stack.register_webhook("victim").await;
    stack.register_webhook("moved").await;
    tables.copy_webhook_secrets("victim", "moved").await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let forged = stack.send_webhook(&Webhook::signed("moved", "msg_1", &[&secret], &report(&tenant))).await;
    // KMS refuses to open it, which somebody has to look into.
    assert_eq!(forged.status, 503, "{}", forged.text);
    assert_eq!(stack.provider_status(&provider_id).await, "active");
}
