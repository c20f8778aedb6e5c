//! The main job, printed step by step: a key is onboarded, mail is sent, a breach is reported, the key is revoked.

pub(crate) mod onboarding_page;

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use operator::{Operator, Tenant};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::console::Progress;

/// How long one step may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the demo against a running stack.
///
/// # Errors
/// The first step that did not end as expected, with what was observed instead.
pub(crate) async fn run(local_url: &str, started: std::time::Instant) -> Result<()> {
    let progress = Progress::new(started);
    let operator = Operator::connect(local_url).await?;
    progress.step("stack", &format!("up: API {}, bus {}", operator.outputs.api_url, operator.outputs.bus_name));

    let classic = operator.api(Method::GET, "/policy?style=classic", None).await?;
    ensure!(classic.status == 200, "GET /policy?style=classic: {} {}", classic.status, classic.text);
    refuse_admin_key(&progress, &operator).await?;

    let tenant = operator
        .create_tenant(&json!({ "policies": [classic.body], "identities": ["example.com"] }))
        .await
        .context("create the tenant's account")?;
    progress.step("tenant", &format!("acme made {} with the classic policy", tenant.user_arn));
    let provider_id = onboard_key(&progress, &operator, &tenant).await?;

    for n in 1..=3 {
        operator.enqueue_mail(&mail(&provider_id, n)).await?;
    }
    progress.step("queue", "3 mails handed over");
    let mails = eventually("3 mails in the inbox", || async {
        let mails = operator.inbox(&tenant.account_id).await?;
        Ok((mails.len() >= 3).then_some(mails))
    })
    .await?;
    ensure!(mails.len() == 3, "{} mails in the inbox instead of 3", mails.len());
    for n in 1..=3 {
        let sent = mail_in_state(&operator, &provider_id, n, "sent").await?;
        progress.step("sent", &format!("order-{n}: {}", text(&sent["ses_message_id"])));
    }

    let reported = Instant::now();
    let event_id = operator
        .report_breach(&json!({ "access_key_id": tenant.access_key_id }), "key seen in a public repository")
        .await?;
    progress.step("breach", &format!("event {event_id} put on the bus"));
    let stopped = eventually("the provider stopped", || async {
        let provider = operator.api(Method::GET, &format!("/providers/{provider_id}"), None).await?.body;
        Ok((provider["status"] != "active").then_some(provider))
    })
    .await?;
    progress.step(
        "stop",
        &format!(
            "{provider_id} is {} {} ms after the report",
            text(&stopped["status"]),
            reported.elapsed().as_millis()
        ),
    );
    let revoked = eventually("Provider Revoked on the bus", || async {
        Ok(operator
            .events("Provider Revoked")
            .await?
            .into_iter()
            .find(|event| event["detail"]["provider_id"] == provider_id.as_str()))
    })
    .await?;
    let order_id = text(&revoked["detail"]["orders"][0]).to_owned();
    show_receipt(&progress, &operator, &order_id, reported).await?;
    check_account(&progress, &operator, &tenant).await?;

    operator.enqueue_mail(&mail(&provider_id, 4)).await?;
    let rejected = mail_in_state(&operator, &provider_id, 4, "rejected").await?;
    let mails = operator.inbox(&tenant.account_id).await?.len();
    ensure!(mails == 3, "{mails} mails in the inbox after the revocation instead of 3");
    progress.step("mail", &format!("order-4 rejected: {}; the inbox still holds 3", text(&rejected["reason"])));

    progress.finish(
        &format!("1 key taken, 1 refused, 3 mails sent, 1 key revoked and seen dead, 1 mail rejected ({order_id})"),
        "`cargo run` keeps the stack up and says what to type",
    );
    Ok(())
}

/// Shows that `verify` refuses a key with administrator permissions.
async fn refuse_admin_key(progress: &Progress, operator: &Operator) -> Result<()> {
    let administrator = json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }]
    });
    let tenant = operator.create_tenant(&json!({ "policies": [administrator], "identities": ["example.org"] })).await?;
    let response = operator.onboard("careless", &tenant).await?;
    ensure!(
        response.status == 422,
        "POST /providers with an administrator's key: {} instead of 422: {}",
        response.status,
        response.text
    );
    progress.step(
        "refused",
        &format!("{}…: a key that may do everything ({})", &tenant.access_key_id[..4], response.status),
    );
    Ok(())
}

/// Onboards a tenant's key and prints the checks it passed. Returns the provider's id.
async fn onboard_key(progress: &Progress, operator: &Operator, tenant: &Tenant) -> Result<String> {
    let response = operator.onboard("acme", tenant).await?;
    ensure!(response.status == 201, "POST /providers: {} {}", response.status, response.text);
    for check in response.body["report"]["checks"].as_array().into_iter().flatten() {
        progress.step("check", &format!("{:<8} {}", text(&check["outcome"]), text(&check["name"])));
    }
    let provider_id = text(&response.body["provider_id"]).to_owned();
    progress.step("taken", &format!("{provider_id} in {} of account {}", tenant.region, tenant.account_id));
    Ok(provider_id)
}

/// Prints what proves that the key is deleted and refused.
async fn show_receipt(progress: &Progress, operator: &Operator, order_id: &str, reported: Instant) -> Result<()> {
    let response = operator.api(Method::GET, &format!("/revocations/{order_id}"), None).await?;
    ensure!(response.status == 200, "GET /revocations/{order_id}: {} {}", response.status, response.text);
    let key = &response.body["keys"][0];
    ensure!(key["status"] == "revoked", "{order_id}: the key is {} instead of revoked", key["status"]);
    ensure!(key["reason"].is_null(), "{order_id}: the key is revoked only as {}", key["reason"]);
    progress.step(
        "deleted",
        &format!(
            "{} at {}, request {}",
            text(&key["access_key_id"]),
            text(&key["receipt"]["deleted_at"]),
            text(&key["receipt"]["delete_request_id"])
        ),
    );
    for plane in ["sts", "ses"] {
        let refused = &key["receipt"]["refused"][plane];
        progress.step("refused", &format!("by {plane} at {}: {}", text(&refused["at"]), text(&refused["code"])));
    }
    progress
        .step("revoked", &format!("{order_id} complete {:.1} s after the report", reported.elapsed().as_secs_f64()));
    Ok(())
}

/// Checks the tenant's account itself, independently of what our system says about the key.
async fn check_account(progress: &Progress, operator: &Operator, tenant: &Tenant) -> Result<()> {
    let account = operator.local_api(Method::GET, &format!("/tenants/{}", tenant.account_id), None).await?;
    if account.text.contains(&tenant.access_key_id) {
        bail!("the tenant's account still has the key: {}", account.text);
    }
    progress.step("account", &format!("{} has no such key any more", tenant.account_id));
    Ok(())
}

fn mail(provider_id: &str, n: u32) -> Value {
    json!({
        "version": 1,
        "tenant_id": "acme",
        "provider_id": provider_id,
        "mail_id": format!("order-{n}"),
        "from": "Jane <jane@example.com>",
        "to": ["ann@example.org"],
        "subject": format!("Your order {n}"),
        "text": "Thank you.",
    })
}

/// A mail as the API shows it, once it has this state.
async fn mail_in_state(operator: &Operator, provider_id: &str, n: u32, state: &str) -> Result<Value> {
    eventually(&format!("order-{n} {state}"), || async {
        let response = operator.api(Method::GET, &format!("/providers/{provider_id}/mails/order-{n}"), None).await?;
        Ok((response.body["state"] == state).then_some(response.body))
    })
    .await
}

/// Polls until `poll` returns a value.
async fn eventually<T, Poll, Polled>(what: &str, poll: Poll) -> Result<T>
where
    Poll: Fn() -> Polled,
    Polled: Future<Output = Result<Option<T>>>,
{
    let started = Instant::now();
    loop {
        if let Some(value) = poll().await? {
            return Ok(value);
        }
        if started.elapsed() > STEP_TIMEOUT {
            bail!("waited {} s for {what}", STEP_TIMEOUT.as_secs());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
