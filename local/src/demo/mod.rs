//! The main job as a story, told while it happens: a key is taken, mail goes out, a breach is reported, the key dies.

mod narrator;

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use operator::{Operator, Tenant};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use self::narrator::Narrator;

/// How long any one step may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tells the story against a running stack.
///
/// # Errors
/// The first step that did not end as it should, and what was seen instead.
pub(crate) async fn tell(local_url: &str, started: std::time::Instant) -> Result<()> {
    let story = Narrator::new(started);
    let operator = Operator::connect(local_url).await?;
    story.line("stack", &format!("up: API {}, bus {}", operator.outputs.api_url, operator.outputs.bus_name));

    let classic = operator.api(Method::GET, "/policy?style=classic", None).await?;
    ensure!(classic.status == 200, "GET /policy: {}", classic.text);
    refuse_admin(&story, &operator).await?;

    let tenant = operator
        .tenant(&json!({ "policies": [classic.body], "identities": ["example.com"] }))
        .await
        .context("make the tenant's account")?;
    story.line("tenant", &format!("acme made {} with the classic policy", tenant.user_arn));
    let provider_id = take_key(&story, &operator, &tenant).await?;

    for n in 1..=3 {
        operator.mail(&mail(&provider_id, n)).await?;
    }
    story.line("queue", "3 mails handed over");
    let mails = until("3 mails in the inbox", || async {
        let mails = operator.inbox(&tenant.account_id).await?;
        Ok((mails.len() >= 3).then_some(mails))
    })
    .await?;
    ensure!(mails.len() == 3, "{} mails in the inbox instead of 3", mails.len());
    for n in 1..=3 {
        let fate = fate(&operator, &provider_id, n, "sent").await?;
        story.line("sent", &format!("order-{n}: {}", text(&fate["ses_message_id"])));
    }

    let reported = Instant::now();
    let event_id = operator
        .report_breach(&json!({ "access_key_id": tenant.access_key_id }), "key seen in a public repository")
        .await?;
    story.line("breach", &format!("event {event_id} put on the bus"));
    let stopped = until("the provider stopped", || async {
        let provider = operator.api(Method::GET, &format!("/providers/{provider_id}"), None).await?.body;
        Ok((provider["status"] != "active").then_some(provider))
    })
    .await?;
    story.line(
        "stop",
        &format!(
            "{provider_id} is {} {} ms after the report",
            text(&stopped["status"]),
            reported.elapsed().as_millis()
        ),
    );
    let revoked = until("Provider Revoked on the bus", || async {
        Ok(operator
            .events_of("Provider Revoked")
            .await?
            .into_iter()
            .find(|event| event["detail"]["provider_id"] == provider_id.as_str()))
    })
    .await?;
    let order_id = text(&revoked["detail"]["orders"][0]).to_owned();
    receipt(&story, &operator, &order_id, reported).await?;
    see_dead(&story, &operator, &tenant).await?;

    operator.mail(&mail(&provider_id, 4)).await?;
    let rejected = fate(&operator, &provider_id, 4, "rejected").await?;
    let mails = operator.inbox(&tenant.account_id).await?.len();
    ensure!(mails == 3, "{mails} mails in the inbox after the revocation instead of 3");
    story.line("mail", &format!("order-4 rejected: {}; the inbox still holds 3", text(&rejected["reason"])));

    story.end(&format!(
        "1 key taken, 1 refused, 3 mails sent, 1 key revoked and seen dead, 1 mail rejected ({order_id})"
    ));
    Ok(())
}

async fn refuse_admin(story: &Narrator, operator: &Operator) -> Result<()> {
    let everything = json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }]
    });
    let tenant = operator.tenant(&json!({ "policies": [everything], "identities": ["example.org"] })).await?;
    let answer = operator.onboard("careless", &tenant).await?;
    ensure!(answer.status == 422, "a key that may do everything was answered {}: {}", answer.status, answer.text);
    story
        .line("refused", &format!("{}…: a key that may do everything ({})", &tenant.access_key_id[..4], answer.status));
    Ok(())
}

async fn take_key(story: &Narrator, operator: &Operator, tenant: &Tenant) -> Result<String> {
    let answer = operator.onboard("acme", tenant).await?;
    ensure!(answer.status == 201, "POST /providers: {} {}", answer.status, answer.text);
    for check in answer.body["report"]["checks"].as_array().into_iter().flatten() {
        story.line("check", &format!("{:<8} {}", text(&check["outcome"]), text(&check["name"])));
    }
    let provider_id = text(&answer.body["provider_id"]).to_owned();
    story.line("taken", &format!("{provider_id} in {} of account {}", tenant.region, tenant.account_id));
    Ok(provider_id)
}

async fn receipt(story: &Narrator, operator: &Operator, order_id: &str, reported: Instant) -> Result<()> {
    let answer = operator.api(Method::GET, &format!("/revocations/{order_id}"), None).await?;
    ensure!(answer.status == 200, "GET /revocations/{order_id}: {} {}", answer.status, answer.text);
    let key = &answer.body["keys"][0];
    ensure!(key["status"] == "revoked", "the key is {} instead of revoked", key["status"]);
    ensure!(key["reason"].is_null(), "the key is revoked only as {}", key["reason"]);
    story.line(
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
        story.line("refused", &format!("by {plane} at {}: {}", text(&refused["at"]), text(&refused["code"])));
    }
    story.line("revoked", &format!("{order_id} complete {:.1} s after the report", reported.elapsed().as_secs_f64()));
    Ok(())
}

/// Looks at the tenant's account itself, beside what our system says about it.
async fn see_dead(story: &Narrator, operator: &Operator, tenant: &Tenant) -> Result<()> {
    let account = operator.local(Method::GET, &format!("/tenants/{}", tenant.account_id), None).await?;
    if account.text.contains(&tenant.access_key_id) {
        bail!("the tenant's account still has the key: {}", account.text);
    }
    story.line("account", &format!("{} has no such key any more", tenant.account_id));
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

async fn fate(operator: &Operator, provider_id: &str, n: u32, state: &str) -> Result<Value> {
    until(&format!("order-{n} {state}"), || async {
        let answer = operator.api(Method::GET, &format!("/providers/{provider_id}/mails/order-{n}"), None).await?;
        Ok((answer.body["state"] == state).then_some(answer.body))
    })
    .await
}

/// Looks again and again until there is something to see.
async fn until<T, Look, Looked>(what: &str, look: Look) -> Result<T>
where
    Look: Fn() -> Looked,
    Looked: Future<Output = Result<Option<T>>>,
{
    let started = Instant::now();
    loop {
        if let Some(seen) = look().await? {
            return Ok(seen);
        }
        if started.elapsed() > PATIENCE {
            bail!("waited {} s for {what}", PATIENCE.as_secs());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
