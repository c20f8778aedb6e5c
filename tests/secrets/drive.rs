//! Makes every step fail, while it records what the API is sent and returns.

use operator::Tenant;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::search::Marker;
use crate::support::{Stack, Tables, Webhook, eventually, key_scope, mail, mail_with, sealed_secret_pk};

/// The secrets that were used, and the API's requests and responses.
pub(super) struct Driven {
    /// Secrets that were only sent where they belong.
    pub(super) stored: Vec<Marker>,
    /// Secrets that the API made, and showed once in a response that is not among these.
    pub(super) shown: Vec<Marker>,
    /// Secrets that were pasted where they do not belong.
    pub(super) pasted: Vec<Marker>,
    /// Every response of the API, with its headers.
    pub(super) responses: Vec<String>,
    /// All request bodies, one after the other.
    pub(super) request_bodies: String,
}

/// Calls the API and records the responses and the request bodies.
struct RecordingCaller<'a> {
    stack: &'a Stack,
    recorded: Mutex<(Vec<String>, String)>,
}

impl RecordingCaller<'_> {
    async fn call(&self, method: Method, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Value {
        let response = self.stack.api_with_headers(method, path, body, headers).await.unwrap();
        let mut recorded = self.recorded.lock().await;
        recorded.0.push(format!("{} {:?} {}", response.status, response.headers, response.text));
        recorded.1.push_str(&body.map(Value::to_string).unwrap_or_default());
        response.body
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None, &[]).await
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.call(Method::POST, path, Some(body), &[]).await
    }

    async fn onboard(&self, tenant: &Tenant) -> Option<String> {
        self.post("/providers", &submission(tenant)).await["provider_id"].as_str().map(str::to_owned)
    }

    /// Orders a key's revocation. Returns the order's id.
    async fn order(&self, tenant: &Tenant) -> String {
        let order = json!({ "scope": key_scope(tenant), "reason": "leaked" });
        self.post("/revocations", &order).await["order_id"].as_str().unwrap().to_owned()
    }

    /// Orders a key's revocation and waits until the key has one of these states.
    async fn revoke(&self, tenant: &Tenant, states: &[&str]) {
        let path = format!("/revocations/{}", self.order(tenant).await);
        eventually(&format!("the key of {path} in one of the states {states:?}"), || async {
            let status = self.get(&path).await["keys"][0]["status"].clone();
            states.iter().any(|state| status == *state).then_some(())
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

/// Makes all steps fail.
pub(super) async fn run(stack: &Stack) -> Driven {
    let caller = RecordingCaller { stack, recorded: Mutex::default() };
    let mut stored = Vec::new();
    let mut tenants = Vec::new();
    for name in ["good", "failing", "quarantined", "inactive", "swapped", "swapped-in-revocation"] {
        // One of the keys is accepted in another Region first.
        let elsewhere = json!({ "identities_elsewhere": { "eu-west-1": ["example.com"] } });
        let tenant = stack.tenant_with(&elsewhere).await;
        stored.push(Marker::new(name, &tenant.secret_access_key));
        tenants.push(tenant);
    }
    let careless = stack.classic_tenant().await;
    let [good, failing, quarantined, inactive, swapped, swapped_in_revocation] = &tenants[..] else { unreachable!() };

    fail_onboarding(&caller, good, failing).await;
    // A secret of only letters and digits would be a valid name where names may only contain those.
    let plain = careless.secret_access_key.replace(['/', '+'], "x");
    paste_secret(&caller, &careless, &careless.secret_access_key).await;
    paste_secret(&caller, &careless, &plain).await;
    let mut providers = Vec::new();
    for tenant in &tenants {
        providers.push(caller.onboard(tenant).await.unwrap());
    }
    let [good_id, failing_id, _, inactive_id, swapped_id, _] = &providers[..] else { unreachable!() };
    caller.onboard(good).await;

    // Each ciphertext is stored for another key, for which KMS refuses to decrypt it.
    replace_sealed_secret(stack, good, swapped, "send").await;
    replace_sealed_secret(stack, good, swapped_in_revocation, "revoke").await;
    fail_sending(&caller, (good, good_id), (failing, failing_id), (inactive, inactive_id), swapped_id).await;

    fail_rotation(&caller, good, good_id, &mut stored).await;
    look_at_keys(stack, &tenants).await;
    fail_verifications(&caller, good, failing, &providers).await;
    live_on(&caller, good_id).await;

    // Slow deletions make the other keys wait in the queue.
    let slow = json!({ "on": ["iam:DeleteAccessKey"], "latency_ms": 1500 });
    stack.set_faults(good, &slow).await;
    stack.set_faults(swapped, &slow).await;
    stack.set_faults(failing, &json!({ "on": ["iam:*", "sts:*"], "server_error": 6 })).await;
    stack.set_faults(quarantined, &json!({ "quarantine": true })).await;
    let swapped_path = format!("/revocations/{}", caller.order(swapped_in_revocation).await);
    tokio::join!(
        caller.revoke(good, &["revoked"]),
        caller.revoke(swapped, &["revoked"]),
        caller.revoke(quarantined, &["revocation_blocked"]),
        caller.revoke(inactive, &["refused_unproven", "revocation_blocked"]),
        caller.order(failing),
    );
    caller.call(Method::DELETE, &format!("/providers/{failing_id}"), None, &[]).await;
    caller.get(&swapped_path).await;

    stack.enqueue_mail(&mail(good_id, "too-late")).await.unwrap();
    stack.mail_in_state(good_id, "too-late", &["rejected"]).await;
    for provider_id in &providers {
        caller.get(&format!("/providers/{provider_id}")).await;
        for mail_id in ["first", "refused", "swapped", "too-late"] {
            caller.get(&format!("/providers/{provider_id}/mails/{mail_id}")).await;
        }
    }
    caller.get("/providers?tenant_id=acme").await;

    let mut shown = fail_webhooks(&caller, good).await;
    shown.push(ask_for_links(&caller, &careless).await);
    shown.extend(walk_page(&caller, &careless, &mut stored).await);

    let (responses, request_bodies) = caller.recorded.into_inner();
    let pasted = vec![Marker::new("careless", &careless.secret_access_key), Marker::new("careless, plain", &plain)];
    Driven { stored, shown, pasted, responses, request_bodies }
}

/// Rotates a provider's key: refused in every way, then to a key that AWS refuses, and cancelled.
async fn fail_rotation(caller: &RecordingCaller<'_>, tenant: &Tenant, provider_id: &str, stored: &mut Vec<Marker>) {
    let stack = caller.stack;
    let new = stack.further_key(tenant).await;
    stored.push(Marker::new("rotated", &new.secret_access_key));
    let path = format!("/providers/{provider_id}/rotations");
    let good = json!({ "access_key_id": new.access_key_id, "secret_access_key": new.secret_access_key });
    for (field, value) in [
        ("secret_access_key", json!([new.secret_access_key])),
        ("secret_access_key", json!(&new.secret_access_key[..39])),
        ("access_key_id", json!(tenant.access_key_id)),
        ("grace_seconds", json!(604_801)),
        ("colour", json!("blue")),
    ] {
        let mut body = good.clone();
        body[field] = value;
        caller.post(&path, &body).await;
    }
    stack.set_faults(tenant, &json!({ "on": ["iam:*"], "server_error": 1000 })).await;
    caller.post(&path, &good).await;
    stack.set_faults(tenant, &json!({})).await;
    let begun = caller.post(&path, &good).await;
    let rotation = format!("{path}/{}", begun["rotation_id"].as_str().unwrap_or_else(|| panic!("{begun}")));
    caller.post(&path, &good).await;
    let key = format!("/tenants/{}/access-keys/{}", new.account_id, new.access_key_id);
    stack.local_api(Method::PUT, &key, Some(&json!({ "status": "Inactive" }))).await.unwrap();
    stack.enqueue_mail(&mail(provider_id, "rotated")).await.unwrap();
    stack.mail_in_state(provider_id, "rotated", &["sent", "not_accepted", "rejected"]).await;
    caller.get(&rotation).await;
    stack.local_api(Method::PUT, &key, Some(&json!({ "status": "Active" }))).await.unwrap();
    caller.call(Method::DELETE, &rotation, None, &[]).await;
    caller.get(&rotation).await;
}

/// Makes links, replaces one, and asks for one with a secret in every field. Returns the token of the last.
async fn ask_for_links(caller: &RecordingCaller<'_>, careless: &Tenant) -> Marker {
    let good = json!({ "tenant_id": "acme", "name": "main", "intent": "connect" });
    for field in ["intent", "provider_id", "account_id", "return_url", "locale", "expires_in", "regions"] {
        let mut body = good.clone();
        body[field] = json!(careless.secret_access_key);
        caller.post("/onboarding-links", &body).await;
    }
    caller.stack.ask_for_link(&good).await;
    let made = caller.stack.ask_for_link(&good).await;
    let token = made.body["url"].as_str().unwrap().split_once('#').unwrap().1.to_owned();
    caller.get("/onboarding-links?tenant_id=acme").await;
    let path = format!("/onboarding-links/{}", made.body["link_id"].as_str().unwrap());
    caller.call(Method::DELETE, &path, None, &[]).await;
    Marker::new("link", &token)
}

/// Opens the onboarding page, pastes secrets into the wrong fields, has every check fail, and connects. Returns the link's code and
/// its session.
async fn walk_page(caller: &RecordingCaller<'_>, careless: &Tenant, stored: &mut Vec<Marker>) -> [Marker; 2] {
    let stack = caller.stack;
    let visitor = stack.opened_page("acme").await;
    let tenant = stack.classic_tenant().await;
    stored.push(Marker::new("on the page", &tenant.secret_access_key));
    let record = async |fields: &[(&str, &str)]| {
        let answers = [visitor.send("key", fields).await, visitor.look("").await, visitor.progress().await];
        let mut recorded = caller.recorded.lock().await;
        recorded.0.extend(answers.iter().map(|answer| format!("{:?} {}", answer.headers, answer.text)));
        recorded.1.push_str(&fields.iter().map(|(_, value)| *value).collect::<String>());
    };
    let (id, secret, region) = (&tenant.access_key_id, &tenant.secret_access_key, &tenant.region);
    let wrong = &careless.secret_access_key;
    for fields in [
        [("access_key_id", wrong.as_str()), ("secret_access_key", wrong), ("region", region)],
        [("access_key_id", id), ("secret_access_key", wrong), ("region", region)],
        [("access_key_id", id), ("secret_access_key", id), ("region", wrong)],
        [("access_key_id", id), (wrong, wrong), ("region", region)],
        [("access_key_id", secret), ("secret_access_key", id), ("region", region)],
    ] {
        record(&fields).await;
    }
    let good = [("access_key_id", id.as_str()), ("secret_access_key", secret), ("region", region)];
    for faults in [
        json!({ "on": ["*"], "server_error": 1000 }),
        json!({ "on": ["ses:*"], "reset_after": 1000 }),
        json!({ "quarantine": true }),
    ] {
        stack.set_faults(&tenant, &faults).await;
        record(&good).await;
    }
    stack.set_faults(&tenant, &json!({})).await;
    record(&good).await;
    assert!(visitor.look("").await.text.contains("Connected"), "the page did not take the key");
    let session = visitor.cookie.as_deref().and_then(|cookie| cookie.split_once('=')).unwrap().1;
    [Marker::new("code", &visitor.code), Marker::new("session", session)]
}

/// Registers a sender of webhooks, whose reports are taken, refused, and not checked because KMS refuses its secret. Returns
/// its secrets.
async fn fail_webhooks(caller: &RecordingCaller<'_>, tenant: &Tenant) -> Vec<Marker> {
    let stack = caller.stack;
    let tables = Tables::new(stack).await;
    let rotate = json!({ "allowed_scopes": ["access_key_id"], "rotate": true });
    let mut secrets = Vec::new();
    for name in ["scanner", "scanner", "swapped"] {
        let response = stack.put_webhook(name, &rotate).await;
        secrets.push(response.body["secret"].as_str().unwrap().to_owned());
    }
    caller.call(Method::PUT, "/webhooks/scanner", Some(&json!({ "allowed_scopes": ["tenant_id"] })), &[]).await;
    let allowed = json!({ "allowed_scopes": ["access_key_id"] });
    caller.call(Method::PUT, "/webhooks/scanner", Some(&allowed), &[]).await;
    caller.get("/webhooks/scanner").await;
    let report = json!({ "scope": key_scope(tenant), "reason": "found" });
    let both = [secrets[0].as_str(), secrets[1].as_str()];
    let forged = Webhook::signed("scanner", "msg_2", &[&secrets[2]], &report);
    let not_allowed = json!({ "scope": { "all": true }, "reason": "found" });
    tables.copy_webhook_secrets("scanner", "swapped").await;
    for (webhook, status) in [
        (Webhook::signed("scanner", "msg_1", &both, &report), 202),
        (Webhook::signed("scanner", "msg_3", &both, &not_allowed), 403),
        (forged, 401),
        (Webhook::signed("swapped", "msg_4", &both, &report), 503),
    ] {
        let response = stack.send_webhook(&webhook).await;
        assert_eq!(response.status, status);
        let mut recorded = caller.recorded.lock().await;
        recorded.0.push(format!("{} {:?} {}", response.status, response.headers, response.text));
    }
    caller.call(Method::DELETE, "/webhooks/scanner", None, &[]).await;
    // Without the prefix, which no encoding of the bytes has.
    secrets.iter().map(|secret| Marker::new("webhook", secret.strip_prefix("whsec_").unwrap())).collect()
}

/// Sends requests that `verify` refuses, and makes every check fail.
async fn fail_onboarding(caller: &RecordingCaller<'_>, good: &Tenant, failing: &Tenant) {
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
        stack.set_faults(failing, &faults).await;
        assert_eq!(caller.onboard(failing).await, None, "{faults}");
    }
    stack.set_faults(failing, &json!({})).await;
}

/// Sends a secret where it does not belong.
async fn paste_secret(caller: &RecordingCaller<'_>, careless: &Tenant, secret: &str) {
    let good = submission(careless);
    for field in ["access_key_id", "name", "region", "tenant_id"] {
        let mut body = good.clone();
        // A name and a tenant id may be any text and appear in responses, so the secret must not be a valid one.
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
    caller.call(Method::POST, "/providers", Some(&json!({ "name": secret })), &[("idempotency-key", secret)]).await;
    let rotations = "/providers/prv_01ARZ3NDEKTSV4RRFFQ69G5FAV/rotations";
    for body in [
        json!({ "access_key_id": secret, "secret_access_key": secret }),
        json!({ "access_key_id": [secret], "secret_access_key": secret, "grace_seconds": secret }),
        json!({ (secret): secret }),
        json!(secret),
    ] {
        caller.post(rotations, &body).await;
    }
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
        format!("/providers/{in_path}/rotations/{in_path}"),
        format!("/providers/{in_path}/verifications/{in_path}"),
        format!("/providers/{in_path}/configuration"),
        format!("/revocations/{in_path}"),
        format!("/revocations/{in_path}/attestation"),
        format!("/policy?style={in_path}"),
        format!("/providers?tenant_id=acme&cursor={in_path}"),
        format!("/providers?tenant_id=acme&{in_path}=1"),
    ] {
        caller.get(&path).await;
    }
    caller.call(Method::DELETE, &format!("/providers/{in_path}"), None, &[]).await;

    let stack = caller.stack;
    let provider_id = "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    stack
        .enqueue_mails(&[
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
    let verification_queue = stack.queue_url("VerificationQueue").await;
    for queue in [&stack.outputs.revocation_queue_url, &verification_queue] {
        for body in [secret, garbage.as_str()] {
            stack.sqs.send_message().queue_url(queue).message_body(body).send().await.unwrap();
        }
    }
    stack.report_breach(&json!({ "access_key_id": secret }), "found").await.unwrap();
    stack.report_breach(&json!({ (secret): secret }), "found").await.unwrap();
}

/// Enqueues mails that fail at SES, at KMS and at the ledger.
async fn fail_sending(
    caller: &RecordingCaller<'_>,
    good: (&Tenant, &String),
    failing: (&Tenant, &String),
    inactive: (&Tenant, &String),
    swapped_id: &str,
) {
    let stack = caller.stack;
    stack.enqueue_mail(&mail(good.1, "first")).await.unwrap();
    stack.mail_in_state(good.1, "first", &["sent"]).await;
    // These are several batches, so that some mails wait in the queue while others wait for their rate slots.
    stack.enqueue_mails(&(0..30).map(|n| mail(good.1, &format!("waiting-{n}"))).collect::<Vec<_>>()).await;
    stack.enqueue_mail(&mail_with(good.1, "unverified", &json!({ "from": "a@elsewhere.example" }))).await.unwrap();
    stack.mail_in_state(good.1, "unverified", &["rejected"]).await;
    stack.enqueue_mail(&mail(swapped_id, "first-of-swapped")).await.unwrap();
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
        stack.set_faults(failing.0, faults).await;
        let mail_id = format!("failing-{number}");
        stack.enqueue_mail(&mail_with(failing.1, &mail_id, &json!({ "on_doubt": "hold" }))).await.unwrap();
        stack.mail_in_state(failing.1, &mail_id, &["rejected", "in_doubt", "not_accepted"]).await;
        stack.set_faults(failing.0, &json!({})).await;
        // An acceptance between the faults: after three requests without an answer the next mail would wait unclaimed.
        let accepted = format!("accepted-{number}");
        stack.enqueue_mail(&mail(failing.1, &accepted)).await.unwrap();
        stack.mail_in_state(failing.1, &accepted, &["sent"]).await;
    }
    // Whichever mail SES refuses first suspends the provider.
    stack.set_faults(failing.0, &json!({ "paused": true })).await;
    stack.enqueue_mail(&mail(failing.1, "paused")).await.unwrap();
    stack.provider_event("Provider Suspended", failing.1).await;
    stack.set_faults(failing.0, &json!({})).await;
    stack.set_faults(inactive.0, &json!({ "deactivate_key": true })).await;
    stack.enqueue_mail(&mail(inactive.1, "first-of-inactive")).await.unwrap();
    stack.mail_in_state(inactive.1, "first-of-inactive", &["not_accepted", "waiting"]).await;
    eventually("the log line about a secret that KMS refuses to decrypt", || async {
        stack.log_text("send").await.contains("KMS refused the send lane").then_some(())
    })
    .await;
}

/// Stores one key's sealed secret as that of another key.
/// Has all keys looked at: one is refused, one has a revoke lane that KMS does not open.
async fn look_at_keys(stack: &Stack, tenants: &[Tenant]) {
    let tables = Tables::new(stack).await;
    for tenant in tenants {
        assert!(tables.make_due(tenant).await);
    }
    stack.run_sweep().await;
    for tenant in tenants {
        eventually("a look at each key", || async {
            tables.key_item(tenant).await.contains_key("revocability_looks").then_some(())
        })
        .await;
    }
}

/// Has all providers verified: one with AWS failing in every way, one with a send lane that KMS does not open.
async fn fail_verifications(caller: &RecordingCaller<'_>, good: &Tenant, failing: &Tenant, providers: &[String]) {
    let stack = caller.stack;
    // The first ones are slow, so that the rest waits in the queue.
    stack.set_faults(good, &json!({ "on": ["sts:*", "iam:GetUser"], "latency_ms": 1500 })).await;
    for faults in [json!({ "on": ["*"], "server_error": 1000 }), json!({ "on": ["ses:*"], "reset_after": 1000 })] {
        stack.set_faults(failing, &faults).await;
        let mut asked = Vec::new();
        for provider_id in providers {
            let verification = caller.post(&format!("/providers/{provider_id}/verifications"), &json!({})).await;
            let id = verification["verification_id"].as_str().unwrap_or_else(|| panic!("{verification}")).to_owned();
            asked.push(format!("/providers/{provider_id}/verifications/{id}"));
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
        for path in asked {
            eventually(&format!("the end of {path}"), || async {
                (caller.get(&path).await["state"] == "finished").then_some(())
            })
            .await;
        }
    }
    stack.set_faults(good, &json!({})).await;
    stack.set_faults(failing, &json!({})).await;
}

/// What an operator does with a provider between its onboarding and its end.
async fn live_on(caller: &RecordingCaller<'_>, provider_id: &str) {
    let path = format!("/providers/{provider_id}");
    let reason = json!({ "reason": "a test" });
    caller.call(Method::PUT, &format!("{path}/hold"), Some(&reason), &[]).await;
    caller.post(&format!("{path}/test-mails"), &json!({ "to": "success", "from": "jane@example.com" })).await;
    caller.post(&format!("{path}/test-mails"), &json!({ "to": "success" })).await;
    let mail =
        json!({ "mail_id": "api", "from": "jane@example.com", "to": ["ann@example.org"], "subject": "s", "text": "t" });
    caller.post(&format!("{path}/mails"), &json!({ "mails": [mail, { "mail_id": "bad" }] })).await;
    caller.post(&format!("{path}/mails/cancel"), &json!({ "mail_ids": ["api", "none"] })).await;
    caller.get(&format!("{path}/mails?state=cancelled")).await;
    let until = crate::support::now().to_string();
    caller.post(&format!("{path}/mails/resend"), &json!({ "state": "expired", "until": until, "mails": [mail] })).await;
    caller.call(Method::DELETE, &format!("{path}/mails/none"), None, &[]).await;
    caller.get("/queues").await;
    caller.get("/dead-letters").await;
    caller.post("/dead-letters/redrive", &json!({ "reason": "given_up" })).await;
    caller.call(Method::DELETE, "/tenants/nobody/data", Some(&json!({ "confirm": "nobody" })), &[]).await;
    caller.call(Method::DELETE, &format!("{path}/hold"), Some(&reason), &[]).await;
    let configuration = format!("{path}/configuration");
    caller.call(Method::PUT, &configuration, None, &[]).await;
    caller.stack.configuration_when(provider_id, "standing", |_| true).await;
    caller.get(&configuration).await;
    caller.call(Method::DELETE, &configuration, None, &[]).await;
    caller.get(&format!("{path}/audit")).await;
    caller.get("/providers?not_revocable_since=2100-01-01T00%3A00%3A00Z").await;
}

async fn replace_sealed_secret(stack: &Stack, from: &Tenant, to: &Tenant, lane: &str) {
    let (dynamodb, table) = stack.table("SecretsTable").await;
    let get = dynamodb.get_item().table_name(&table).key("pk", sealed_secret_pk(from, lane));
    let mut item = get.send().await.unwrap().item.unwrap();
    item.insert("pk".to_owned(), sealed_secret_pk(to, lane));
    dynamodb.put_item().table_name(&table).set_item(Some(item)).send().await.unwrap();
}

/// All items of a table, as text.
pub(super) async fn items(stack: &Stack, logical_id: &str) -> String {
    let (dynamodb, table) = stack.table(logical_id).await;
    format!("{:?}", dynamodb.scan().table_name(table).send().await.unwrap().items())
}
