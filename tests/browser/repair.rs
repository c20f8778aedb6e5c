//! The page that repairs: what is wrong, and the way back, without a secret.

use serde_json::json;

use crate::axe::Axe;
use crate::driver::Setup;
use crate::support::{Stack, Tables, policy_allowing};
use crate::walker::Walker;

#[tokio::test]
#[ignore = "wants Chromium: see tests/browser/main.rs"]
async fn a_provider_is_mended_and_checked_again_without_its_secret() {
    let stack = Stack::shared().await;
    let axe = Axe::load();
    let (tenant, provider_id) = stack.create_provider("browser-repair").await;
    let broken = policy_allowing(&["iam:GetUser", "iam:DeleteAccessKey", "ses:GetAccount"]);
    stack.set_policies(&tenant, &[broken]).await;
    stack.verify_provider(&provider_id).await;
    Tables::new(&stack).await.set_failing_since(&provider_id).await;
    stack.verify_provider(&provider_id).await;

    let asked =
        json!({ "tenant_id": "browser-repair", "name": "main", "intent": "repair", "provider_id": provider_id });
    let walker = Walker::with_link(&stack, &asked, Setup::USUAL).await;
    let browser = &walker.browser;
    let examine = async |what: &str| {
        for language in ["en", "de"] {
            browser.go(&format!("{}?lang={language}", walker.page())).await;
            for (scheme, width) in [("light", 320), ("dark", 1100)] {
                browser.set_up(Setup { scheme, language, width }).await;
                axe.examine(browser, &format!("{what}, {scheme}, {language}, {width} px")).await;
            }
        }
        browser.go(walker.page()).await;
    };
    browser.go(&walker.url).await;
    browser.heading("SendingBee asks you to look at your Amazon SES").await;
    browser.click("#begin button").await;
    browser.heading("Something has to be mended").await;
    assert!(browser.text("main").await.contains("No policy allows the key to send."));
    examine("suspended").await;

    browser.click("main form button").await;
    browser.heading("Something is still to be mended").await;
    assert!(browser.text("[data-check=sending]").await.contains("ses:SendEmail"));
    examine("still to be mended").await;

    let classic = stack.api(reqwest::Method::GET, "/policy?style=classic", None).await.unwrap().body;
    stack.set_policies(&tenant, &[classic]).await;
    browser.click("main form button").await;
    browser.heading("Everything is in order").await;
    examine("in order").await;
    let typed = browser.script("return document.querySelectorAll('input[type=password]').length").await;
    assert_eq!(typed, 0, "a secret is asked for");
    walker.assert_clean().await;
    assert_eq!(stack.get_provider(&provider_id).await.body["status"], "active");
}
