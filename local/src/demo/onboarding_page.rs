//! The onboarding page to walk by hand: a link to connect, one to repair, and a tenant's console beside them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use operator::{Operator, Tenant};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::console::{self, Progress};

/// How often the bus is looked at.
const LOOK_DELAY: Duration = Duration::from_millis(500);

/// How often it is looked whether a verification has ended, at most.
const VERIFICATION_LOOKS: u32 = 60;

/// Prints the links and the console's URL, and says what comes of the link, until somebody stops it.
///
/// # Errors
/// The stack does not make a link or a provider, or its events cannot be read.
pub(crate) async fn run(local_url: &str, started: Instant) -> Result<()> {
    let progress = Progress::new(started);
    let operator = Operator::connect(local_url).await?;
    let connect = json!({ "tenant_id": "acme", "name": "Main account", "intent": "connect" });
    let connect = link(&operator, &connect).await?;
    progress.step("stack", &format!("up: API {}", operator.outputs.api_url));
    let broken = BrokenProvider::make(&operator).await?;
    progress.step("broken", &format!("{} of globex: its user's policy does not allow sending", broken.provider_id));
    let repair = json!({
        "tenant_id": "globex", "name": "Shop", "intent": "repair", "provider_id": broken.provider_id,
    });
    let repair = link(&operator, &repair).await?;
    let policies = format!("{local_url}/_local/tenants/{}/policies", broken.tenant.account_id);
    console::print(&format!(
        "\nOpen these two in a browser, and do in the console what the page says. Ctrl-C ends it.\n\n  \
         The onboarding page   {connect}\n  \
         A tenant's console    {local_url}/_local/console\n\n\
         Another tenant's provider does not work. The first is the page that repairs it, the second mends the policy.\n\n  \
         The page that repairs {repair}\n  \
         The policy            curl -X PUT {policies} -d '{}'\n\n",
        json!({ "policies": [broken.good_policy] })
    ));
    let mut told = 0;
    loop {
        let mut events = Vec::new();
        for detail_type in ["Onboarding Failed", "Onboarding Completed"] {
            let these = operator.events(detail_type).await?;
            events.extend(these.into_iter().map(|event| format!("{detail_type}: {}", event["detail"])));
        }
        for event in events.iter().skip(told) {
            progress.step("event", event);
        }
        told = told.max(events.len());
        sleep(LOOK_DELAY).await;
    }
}

/// Makes a link. Returns its URL.
async fn link(operator: &Operator, asked: &Value) -> Result<String> {
    let made = operator.api(Method::POST, "/onboarding-links", Some(asked)).await?;
    ensure!(made.status == 201, "POST /onboarding-links: {} {}", made.status, made.text);
    Ok(made.body["url"].as_str().context("the answer has no URL")?.to_owned())
}

/// A provider whose key may not send any more, which was noticed.
struct BrokenProvider {
    tenant: Tenant,
    provider_id: String,
    good_policy: Value,
}

impl BrokenProvider {
    async fn make(operator: &Operator) -> Result<Self> {
        let good_policy = operator.api(Method::GET, "/policy?style=classic", None).await?.body;
        let tenant = json!({ "policies": [good_policy], "identities": ["shop.example"] });
        let tenant = operator.create_tenant(&tenant).await.context("create the tenant's account")?;
        let made = operator.onboard("globex", &tenant).await?;
        ensure!(made.status == 201, "POST /providers: {} {}", made.status, made.text);
        let provider_id = made.body["provider_id"].as_str().context("the answer has no provider")?.to_owned();

        let actions = ["ses:GetAccount", "ses:ListEmailIdentities", "iam:GetUser", "iam:DeleteAccessKey"];
        let statement = json!({ "Effect": "Allow", "Action": actions, "Resource": "*" });
        let policies = json!({ "policies": [{ "Version": "2012-10-17", "Statement": [statement] }] });
        let path = format!("/tenants/{}/policies", tenant.account_id);
        let changed = operator.local_api(Method::PUT, &path, Some(&policies)).await?;
        ensure!(changed.status.is_success(), "PUT {path}: {} {}", changed.status, changed.text);

        let verifications = format!("/providers/{provider_id}/verifications");
        operator.api(Method::POST, &verifications, None).await?;
        for _ in 0..VERIFICATION_LOOKS {
            let latest = operator.api(Method::GET, &format!("{verifications}/latest"), None).await?;
            if latest.body["state"] == "finished" {
                break;
            }
            sleep(LOOK_DELAY).await;
        }
        Ok(Self { tenant, provider_id, good_policy })
    }
}
