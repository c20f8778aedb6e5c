//! The onboarding page to walk by hand: a link to it, and a tenant's console beside it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use operator::Operator;
use reqwest::Method;
use serde_json::json;
use tokio::time::sleep;

use crate::console::{self, Progress};

/// How often the bus is looked at.
const LOOK_DELAY: Duration = Duration::from_millis(500);

/// Prints a link and the console's URL, and says what comes of the link, until somebody stops it.
///
/// # Errors
/// The stack does not make a link, or its events cannot be read.
pub(crate) async fn run(local_url: &str, started: Instant) -> Result<()> {
    let progress = Progress::new(started);
    let operator = Operator::connect(local_url).await?;
    let asked = json!({ "tenant_id": "acme", "name": "Main account", "intent": "connect" });
    let made = operator.api(Method::POST, "/onboarding-links", Some(&asked)).await?;
    ensure!(made.status == 201, "POST /onboarding-links: {} {}", made.status, made.text);
    let url = made.body["url"].as_str().context("the answer has no URL")?;
    progress.step("stack", &format!("up: API {}", operator.outputs.api_url));
    console::print(&format!(
        "\nOpen these two in a browser, and do in the console what the page says. Ctrl-C ends it.\n\n  \
         The onboarding page   {url}\n  \
         A tenant's console    {local_url}/_local/console\n\n"
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
