//! Somebody who walks the page, step by step.

use operator::Tenant;
use serde_json::{Value, json};

use crate::driver::{Browser, Setup};
use crate::support::Stack;

/// A browser with a link.
pub(crate) struct Walker {
    /// The browser.
    pub(crate) browser: Browser,
    /// The link as it was sent.
    pub(crate) url: String,
    /// Its id.
    pub(crate) link_id: String,
}

impl Walker {
    /// Somebody of a tenant who has got a link for a new provider.
    pub(crate) async fn invited(stack: &Stack, tenant_id: &str, setup: Setup) -> Self {
        let asked = json!({ "tenant_id": tenant_id, "name": "Main account", "intent": "connect" });
        Self::with_link(stack, &asked, setup).await
    }

    /// Somebody who has got the link that is asked for.
    pub(crate) async fn with_link(stack: &Stack, asked: &Value, setup: Setup) -> Self {
        let made = stack.ask_for_link(asked).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let text = |name: &str| made.body[name].as_str().unwrap().to_owned();
        Self { browser: Browser::start(setup).await, url: text("url"), link_id: text("link_id") }
    }

    /// The same, who has opened it.
    pub(crate) async fn opened(stack: &Stack, tenant_id: &str, setup: Setup) -> Self {
        let walker = Self::invited(stack, tenant_id, setup).await;
        walker.browser.go(&walker.url).await;
        walker.browser.click("#begin button").await;
        walker.browser.until("the first step", "return document.querySelector('[aria-current=step]')").await;
        walker
    }

    /// The link without its code.
    pub(crate) fn page(&self) -> &str {
        self.url.split('#').next().unwrap()
    }

    /// Goes to a step by its URL.
    pub(crate) async fn step(&self, step: &str) {
        self.browser.go(&format!("{}?step={step}", self.page())).await;
    }

    /// Fills the form in.
    pub(crate) async fn fill_in(&self, id: &str, secret: &str, region: &str) {
        self.browser.script("document.querySelector('#key').reset()").await;
        self.browser.type_into("#access-key-id", id).await;
        self.browser.type_into("#secret", secret).await;
        self.browser.script(&format!("document.querySelector('#region').value = {}", json!(region))).await;
    }

    /// Pastes a tenant's key and sends it.
    pub(crate) async fn submit(&self, tenant: &Tenant) {
        self.step("paste").await;
        self.fill_in(&tenant.access_key_id, &tenant.secret_access_key, &tenant.region).await;
        self.browser.click("#key button").await;
    }

    /// Asserts that nothing was asked of another origin, and that the console has nothing to say.
    pub(crate) async fn assert_clean(&self) {
        let origin = self.url.split("/connect/").next().unwrap();
        let requests = self.browser.requests().await;
        assert!(!requests.is_empty(), "no request was seen at all");
        let elsewhere: Vec<_> =
            requests.iter().filter(|(_, url)| !url.starts_with(origin) && !url.starts_with("data:")).collect();
        assert!(elsewhere.is_empty(), "{elsewhere:?}");
        assert_eq!(self.browser.console().await, Vec::<String>::new());
    }
}
