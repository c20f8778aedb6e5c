//! The Region: found with the key, or doubted before the key is taken.

use serde_json::json;

use crate::axe::Axe;
use crate::driver::Setup;
use crate::support::Stack;
use crate::walker::Walker;

#[tokio::test]
#[ignore = "wants Chromium: see tests/browser/main.rs"]
async fn a_wrong_region_is_doubted_and_the_right_one_is_proposed() {
    let stack = Stack::shared().await;
    let axe = Axe::load();
    let asked = json!({
        "tenant_id": "browser-region", "name": "main", "intent": "connect", "regions": ["us-east-1", "eu-west-1"],
    });
    let walker = Walker::with_link(&stack, &asked, Setup::USUAL).await;
    let browser = &walker.browser;
    browser.go(&walker.url).await;
    browser.click("#begin button").await;
    browser.heading("Create a policy").await;
    walker.step("paste").await;
    assert_eq!(browser.script("return document.querySelector('#region').value").await, "find");

    let elsewhere = json!({ "eu-west-1": ["example.com"] });
    let tenant = stack.tenant_with(&json!({ "identities": [], "identities_elsewhere": elsewhere })).await;
    walker.fill_in(&tenant.access_key_id, &tenant.secret_access_key, "us-east-1").await;
    browser.click("#key button").await;
    browser.heading("The key was not accepted").await;
    let region = browser.text("[data-check=ses_region]").await;
    assert!(region.contains("verified in us-east-1, but some are in eu-west-1"), "{region}");
    axe.examine(browser, "the doubt").await;
    browser.click("main a.button").await;
    browser.heading("Paste the two values").await;
    assert_eq!(browser.script("return document.querySelector('#region').value").await, "eu-west-1");
    axe.examine(browser, "the proposal").await;

    // A blank behind each, as it is pasted from a mail. The Region stays as it is proposed.
    browser.type_into("#access-key-id", &format!("{} ", tenant.access_key_id)).await;
    browser.type_into("#secret", &format!("{} ", tenant.secret_access_key)).await;
    browser.click("#key button").await;
    browser.heading("Connected").await;
    assert!(browser.text("main").await.contains("in eu-west-1"));
    walker.assert_clean().await;
}
