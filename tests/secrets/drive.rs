//! Drives every step into failure.

use aws_sdk_dynamodb::types::AttributeValue;
use operator::Tenant;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::search::Marker;
use crate::support::{Stack, mail, mail_with, until};

/// What was done.
pub(super) struct Driven {
    /// Secrets where they belong.
    pub(super) kept: Vec<Marker>,
    /// Secrets that somebody pasted where they do not belong.
    pub(super) pasted: Vec<Marker>,
    /// Every answer of the API, with its headers.
    pub(super) answers: Vec<String>,
    /// Every body that the API was sent.
    pub(super) asked: String,
}

/// The API's caller, who keeps what is said.
struct Caller<'a> {
    stack: &'a Stack,
    said: Mutex<(Vec<String>, String)>,
}

impl Caller<'_> {
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Value {
        let answer = self.stack.api_with(method, path, body, headers).await.unwrap();
        let mut said = self.said.lock().await;
        said.0.push(format!("{} {:?} {}", answer.status, answer.headers, answer.text));
        said.1.push_str(&body.map(Value::to_string).unwrap_or_default());
        answer.body
    }

    async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, None, &[]).await
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.ask(Method::POST, path, Some(body), &[]).await
    }

    async fn onboard(&self, tenant: &Tenant) -> Option<String> {
        self.post("/providers", &submission(tenant)).await["provider_id"].as_str().map(str::to_owned)
    }

    /// Orders a key's revocation and waits for one of these ends.
    async fn revoke(&self, tenant: &Tenant, ends: &[&str]) {
        let order = json!({ "scope": { "access_key_id": tenant.access_key_id }, "reason": "leaked" });
        let order = self.post("/revocations", &order).await;
        let path = format!("/revocations/{}", order["order_id"].as_str().unwrap());
        until(&format!("{path} {ends:?}"), || async {
            let status = self.get(&path).await["keys"][0]["status"].clone();
            ends.iter().any(|end| status == *end).then_some(())
        })
        .await;
    }
}

fn submission(tenant: &Tenant) -> Value {
    json!({
        "tenant_id": "acme", "name": "main", "region": tenant.region,
        "access_key_id": tenant.access_key_id, "secret_access_key": tenant.secret_access_key,
    })
}

/// All of it.
pub(super) async fn all(stack: &Stack) -> Driven {
    let caller = Caller { stack, said: Mutex::default() };
    let mut kept = Vec::new();
    let mut tenants = Vec::new();
    for name in ["good", "failing", "quarantined", "inactive", "swapped", "swapped-in-revocation"] {
        let tenant = stack.classic_tenant().await;
        kept.push(Marker::new(name, &tenant.secret_access_key));
        tenants.push(tenant);
    }
    let careless = stack.classic_tenant().await;
    let [good, failing, quarantined, inactive, swapped, swapped_in_revocation] = &tenants[..] else { unreachable!() };

    refused_by_verify(&caller, good, failing).await;
    // Where only letters and digits make a name, a secret that has nothing else would pass for one.
    let plain = careless.secret_access_key.replace(['/', '+'], "x");
    pasted(&caller, &careless, &careless.secret_access_key).await;
    pasted(&caller, &careless, &plain).await;
    let mut providers = Vec::new();
    for tenant in &tenants {
        providers.push(caller.onboard(tenant).await.unwrap());
    }
    let [good_id, failing_id, _, inactive_id, swapped_id, _] = &providers[..] else { unreachable!() };
    caller.onboard(good).await;

    // A ciphertext in another key's place: KMS refuses to open it for this one.
    swap(stack, good, swapped, "send").await;
    swap(stack, good, swapped_in_revocation, "revoke").await;
    not_sent(&caller, (good, good_id), (failing, failing_id), (inactive, inactive_id), swapped_id).await;

    // Deletions take their time, so that the keys behind them wait in the queue.
    let slow = json!({ "on": ["iam:DeleteAccessKey"], "latency_ms": 1500 });
    stack.faults(good, &slow).await;
    stack.faults(swapped, &slow).await;
    stack.faults(failing, &json!({ "on": ["iam:*", "sts:*"], "server_error": 6 })).await;
    stack.faults(quarantined, &json!({ "quarantine": true })).await;
    let swapped_path = format!("/revocations/{}", order(&caller, swapped_in_revocation).await);
    tokio::join!(
        caller.revoke(good, &["revoked"]),
        caller.revoke(swapped, &["revoked"]),
        caller.revoke(quarantined, &["revocation_blocked"]),
        caller.revoke(inactive, &["refused_unproven", "revocation_blocked"]),
        order(&caller, failing),
    );
    caller.ask(Method::DELETE, &format!("/providers/{failing_id}"), None, &[]).await;
    caller.get(&swapped_path).await;

    stack.mail(&mail(good_id, "too-late")).await.unwrap();
    stack.fate(good_id, "too-late", &["rejected"]).await;
    for provider_id in &providers {
        caller.get(&format!("/providers/{provider_id}")).await;
        for mail_id in ["first", "too-late"] {
            caller.get(&format!("/providers/{provider_id}/mails/{mail_id}")).await;
        }
    }
    caller.get("/providers?tenant_id=acme").await;

    let (answers, asked) = caller.said.into_inner();
    let pasted = vec![Marker::new("careless", &careless.secret_access_key), Marker::new("careless, plain", &plain)];
    Driven { kept, pasted, answers, asked }
}

async fn order(caller: &Caller<'_>, tenant: &Tenant) -> String {
    let order = json!({ "scope": { "access_key_id": tenant.access_key_id }, "reason": "leaked" });
    caller.post("/revocations", &order).await["order_id"].as_str().unwrap().to_owned()
}

/// Keys that are refused, at every stage.
async fn refused_by_verify(caller: &Caller<'_>, good: &Tenant, failing: &Tenant) {
    for (field, value) in [
        ("region", json!("eu-west-1")),
        ("region", json!("mars-1")),
        ("secret_access_key", json!(format!("{} {}", good.secret_access_key, good.secret_access_key))),
        ("secret_access_key", json!(&good.secret_access_key[..39])),
        ("secret_access_key", json!([good.secret_access_key])),
        ("secret_access_key", json!({ (good.secret_access_key.clone()): good.secret_access_key })),
        ("access_key_id", json!(failing.access_key_id)),
        ("access_key_id", json!("ASIASP2TPHJSQH3FJRUX")),
        ("colour", json!("blue")),
    ] {
        let mut body = submission(good);
        body[field] = value;
        caller.post("/providers", &body).await;
    }
    let stack = caller.stack;
    for faults in [
        json!({ "on": ["*"], "server_error": 1000 }),
        json!({ "on": ["*"], "reset_after": 1000 }),
        json!({ "on": ["iam:*"], "reset_before": 1000 }),
        json!({ "on": ["ses:*"], "server_error": 1000 }),
        json!({ "quarantine": true }),
        json!({ "enforcement": "SHUTDOWN" }),
        json!({ "deactivate_key": true }),
    ] {
        stack.faults(failing, &faults).await;
        assert_eq!(caller.onboard(failing).await, None, "{faults}");
    }
    stack.faults(failing, &json!({})).await;
}

/// A secret where it does not belong.
async fn pasted(caller: &Caller<'_>, careless: &Tenant, secret: &str) {
    let good = submission(careless);
    for field in ["access_key_id", "name", "region", "tenant_id"] {
        let mut body = good.clone();
        // A name and a tenant's id may be any text, and are repeated.
        body[field] = match field {
            "name" | "tenant_id" => json!([secret]),
            _ => json!(secret),
        };
        caller.post("/providers", &body).await;
    }
    let mut body = good.clone();
    body[secret] = json!(secret);
    caller.post("/providers", &body).await;
    caller.post("/providers", &json!(secret)).await;
    caller.ask(Method::POST, "/providers", Some(&json!({ "name": secret })), &[("idempotency-key", secret)]).await;
    caller.post("/revocations", &json!({ "scope": { "access_key_id": secret }, "reason": "x" })).await;
    caller.post("/revocations", &json!({ "scope": { (secret): secret }, "reason": "x" })).await;
    caller.post("/revocations", &json!({ "scope": secret })).await;
    let attestation = "/revocations/rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV/attestation";
    for body in [
        json!({ "access_key_id": secret, "attested_by": "x", "reason": "x" }),
        json!({ "access_key_id": careless.access_key_id, "attested_by": [secret], "reason": "x" }),
        json!({ "access_key_id": careless.access_key_id, "attested_by": "x", "reason": { (secret): secret } }),
        json!({ (secret): secret }),
    ] {
        caller.post(attestation, &body).await;
    }
    let in_path = utf8_percent_encode(secret, NON_ALPHANUMERIC);
    for path in [
        format!("/providers/{in_path}"),
        format!("/providers/{in_path}/mails/x"),
        format!("/revocations/{in_path}"),
        format!("/revocations/{in_path}/attestation"),
        format!("/policy?style={in_path}"),
        format!("/providers?tenant_id=acme&cursor={in_path}"),
        format!("/providers?tenant_id=acme&{in_path}=1"),
    ] {
        caller.get(&path).await;
    }
    caller.ask(Method::DELETE, &format!("/providers/{in_path}"), None, &[]).await;

    let stack = caller.stack;
    let provider_id = "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    stack
        .hand_over(&[
            secret.to_owned(),
            mail_with(provider_id, "a", &json!({ (secret): secret })).to_string(),
            mail_with(provider_id, "b", &json!({ "to": [secret] })).to_string(),
            mail_with(provider_id, "b", &json!({ "headers": { (secret): "\n" } })).to_string(),
            mail_with(provider_id, "b", &json!({ "headers": { (secret): [] } })).to_string(),
            mail_with(provider_id, "b", &json!({ "tags": { (secret): [secret] } })).to_string(),
            mail_with(provider_id, "c", &json!({ "tenant_id": format!("{secret} "), "provider_id": secret }))
                .to_string(),
            mail_with(provider_id, "d", &json!({ "subject": secret, "text": secret })).to_string(),
        ])
        .await;
    let garbage = json!({ "order_id": secret, (secret): secret }).to_string();
    let queue = &stack.outputs.revocation_queue_url;
    for body in [secret, garbage.as_str()] {
        stack.sqs.send_message().queue_url(queue).message_body(body).send().await.unwrap();
    }
    stack.report_breach(&json!({ "access_key_id": secret }), "found").await.unwrap();
    stack.report_breach(&json!({ (secret): secret }), "found").await.unwrap();
}

/// Mails that break at SES, at KMS and at the ledger.
async fn not_sent(
    caller: &Caller<'_>,
    good: (&Tenant, &String),
    failing: (&Tenant, &String),
    inactive: (&Tenant, &String),
    swapped_id: &str,
) {
    let stack = caller.stack;
    let ends = ["sent", "rejected", "in_doubt", "not_accepted", "claimed"];
    stack.mail(&mail(good.1, "first")).await.unwrap();
    stack.fate(good.1, "first", &["sent"]).await;
    // More than one batch, so that some wait in the queue while others wait for their starts.
    stack.hand_over(&(0..30).map(|n| mail(good.1, &format!("waiting-{n}"))).collect::<Vec<_>>()).await;
    stack.mail(&mail_with(good.1, "unverified", &json!({ "from": "a@elsewhere.example" }))).await.unwrap();
    stack.fate(good.1, "unverified", &["rejected"]).await;
    stack.mail(&mail(swapped_id, "first")).await.unwrap();
    for (number, faults) in [
        json!({ "server_error": 1 }),
        json!({ "reset_after": 1 }),
        json!({ "reset_before": 1 }),
        json!({ "throttle_chance": 1.0 }),
        json!({ "refuse_connections": true }),
    ]
    .iter()
    .enumerate()
    {
        stack.faults(failing.0, faults).await;
        let mail_id = format!("failing-{number}");
        stack.mail(&mail_with(failing.1, &mail_id, &json!({ "on_doubt": "hold" }))).await.unwrap();
        stack.fate(failing.1, &mail_id, &ends[1..]).await;
        stack.faults(failing.0, &json!({})).await;
    }
    // Whichever of its mails SES refuses first.
    stack.faults(failing.0, &json!({ "paused": true })).await;
    stack.mail(&mail(failing.1, "paused")).await.unwrap();
    until("Provider Suspended", || async {
        let events = stack.events_of("Provider Suspended").await.unwrap();
        events.into_iter().find(|event| event["detail"]["provider_id"] == *failing.1)
    })
    .await;
    stack.faults(failing.0, &json!({})).await;
    stack.faults(inactive.0, &json!({ "deactivate_key": true })).await;
    stack.mail(&mail(inactive.1, "first")).await.unwrap();
    stack.fate(inactive.1, "first", &["not_accepted"]).await;
    until("a secret that KMS refuses to open", || async {
        let logs = stack.local(Method::GET, "/logs?function=sendingbee-send", None).await.unwrap();
        logs.text.contains("KMS refused the send lane").then_some(())
    })
    .await;
}

/// Puts one key's sealed secret in another one's place.
async fn swap(stack: &Stack, from: &Tenant, to: &Tenant, lane: &str) {
    let (dynamodb, table) = stack.table("SecretsTable").await;
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let pk = |tenant: &Tenant| text(&format!("{lane}#{}", tenant.access_key_id));
    let get = dynamodb.get_item().table_name(&table).key("pk", pk(from));
    let mut item = get.send().await.unwrap().item.unwrap();
    item.insert("pk".to_owned(), pk(to));
    dynamodb.put_item().table_name(&table).set_item(Some(item)).send().await.unwrap();
}

/// All items of a table, as text.
pub(super) async fn table(stack: &Stack, logical_id: &str) -> String {
    let (dynamodb, table) = stack.table(logical_id).await;
    format!("{:?}", dynamodb.scan().table_name(table).send().await.unwrap().items())
}
