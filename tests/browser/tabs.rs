//! Double clicks, the back button, two tabs, and links that are over or were used.

use serde_json::json;

use crate::driver::{Browser, Setup};
use crate::support::Stack;
use crate::walker::Walker;

#[tokio::test]
#[ignore = "wants Chromium: see tests/browser/main.rs"]
async fn a_double_click_submits_once_and_another_tab_watches_the_same_checks() {
    let stack = Stack::shared().await;
    let walker = Walker::opened(&stack, "browser-twice", Setup::USUAL).await;
    let browser = &walker.browser;
    let tenant = stack.classic_tenant().await;
    stack.set_faults(&tenant, &json!({ "on": ["iam:*"], "latency_ms": 600 })).await;
    walker.step("paste").await;
    walker.fill_in(&tenant.access_key_id, &tenant.secret_access_key, &tenant.region).await;
    browser.script("const button = document.querySelector('#key button'); button.click(); button.click()").await;
    browser.until("the first check", "return document.querySelectorAll('#checks li').length > 0").await;
    let first = browser.new_tab().await;
    browser.go(walker.page()).await;
    browser.heading("Checking your key").await;
    browser.heading("Connected").await;
    browser.switch_to(&first).await;
    browser.heading("Connected").await;
    assert_eq!(stack.links_of("browser-twice").await[0]["submissions"], 1);

    // Back: the form is gone or empty, and the account stays connected.
    browser.back().await;
    let kept = browser
        .script("return [...document.querySelectorAll('input:not([type=hidden])')].map(input => input.value).join('')")
        .await;
    assert_eq!(kept, "");
    assert!(
        !browser
            .script("return document.documentElement.outerHTML")
            .await
            .as_str()
            .unwrap()
            .contains(&tenant.secret_access_key)
    );
}

#[tokio::test]
#[ignore = "wants Chromium: see tests/browser/main.rs"]
async fn a_link_that_was_used_or_is_over_says_so() {
    let stack = Stack::shared().await;
    let walker = Walker::opened(&stack, "browser-used", Setup::USUAL).await;
    // The same browser goes on, the whole link again or not.
    walker.browser.go(&walker.url).await;
    walker.browser.heading("Create a policy").await;
    let stranger = Browser::start(Setup::USUAL).await;
    stranger.go(&walker.url).await;
    stranger.heading("This link cannot be opened").await;
    assert!(stranger.text("main").await.contains("It was opened already"));
    stranger.click("main button").await;
    stranger.heading("This link cannot be opened").await;

    let late = Walker::invited(&stack, "browser-late", Setup::USUAL).await;
    stack.expire_link(&late.link_id).await;
    late.browser.go(&late.url).await;
    late.browser.heading("This link cannot be opened").await;
    assert!(late.browser.text("main").await.contains("Its time is over"));
}

#[tokio::test]
#[ignore = "wants Chromium: see tests/browser/main.rs"]
async fn without_a_script_the_code_is_pasted_and_the_page_loads_itself_until_it_has_a_result() {
    let stack = Stack::shared().await;
    let walker = Walker::invited(&stack, "browser-plain", Setup::USUAL).await;
    let browser = &walker.browser;
    browser.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    let (page, code) = walker.url.split_once('#').unwrap();
    browser.go(page).await;
    browser.type_into("#code", code).await;
    browser.click("#begin button").await;
    browser.heading("Create a policy").await;
    let tenant = stack.classic_tenant().await;
    stack.set_faults(&tenant, &json!({ "on": ["iam:*"], "latency_ms": 300 })).await;
    walker.submit(&tenant).await;
    browser.heading("Connected").await;
}
