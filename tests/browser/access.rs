//! The page for everybody: axe-core's rules in both schemes and languages, 320 pixels, and the keyboard alone.

use serde_json::{Value, json};

use crate::axe::Axe;
use crate::driver::Setup;
use crate::support::Stack;
use crate::walker::Walker;

#[tokio::test]
#[ignore = "wants Chromium: see tests/browser/main.rs"]
async fn every_page_is_accessible_in_both_schemes_and_languages_on_a_narrow_screen_too() {
    let stack = Stack::shared().await;
    let axe = Axe::load();
    let mut examined = 0;
    for (number, (scheme, language, width)) in
        [("light", "en", 1100), ("dark", "en", 320), ("light", "de", 320), ("dark", "de", 1100)].into_iter().enumerate()
    {
        let setup = Setup { scheme, language, width };
        let walker = Walker::invited(&stack, &format!("browser-access-{number}"), setup).await;
        let browser = &walker.browser;
        let what = |page: &str| format!("{page}, {scheme}, {language}, {width} px");
        browser.go(&walker.url).await;
        axe.examine(browser, &what("start")).await;
        browser.click("#begin button").await;
        browser.until("the first step", "return document.querySelector('[aria-current=step]')").await;
        for step in [
            "policy",
            "policy&account=710000000103",
            "policy&style=classic",
            "policy&account=12",
            "user",
            "key",
            "paste",
        ] {
            walker.step(step).await;
            axe.examine(browser, &what(step)).await;
        }
        let mut tenant = stack.classic_tenant().await;
        let good = tenant.secret_access_key.clone();
        // AWS refuses a wrong secret only the second time, after five seconds: time to look at the page meanwhile.
        tenant.secret_access_key.replace_range(..5, "wrong");
        walker.submit(&tenant).await;
        browser.until("the first check", "return document.querySelectorAll('#checks li').length > 0").await;
        axe.examine(browser, &what("checking")).await;
        browser.until("the refusal", "return document.querySelector('[data-check=live]')").await;
        axe.examine(browser, &what("refused")).await;
        tenant.secret_access_key = good;
        walker.submit(&tenant).await;
        browser.until("the end", "return document.querySelector('.note.good')").await;
        axe.examine(browser, &what("connected")).await;
        browser.go(walker.page()).await;
        browser.cdp("Network.clearBrowserCookies", json!({})).await;
        browser.go(walker.page()).await;
        axe.examine(browser, &what("closed")).await;
        examined += 12;
        let requests = browser.requests().await;
        let origin = walker.url.split("/connect/").next().unwrap();
        assert!(requests.iter().all(|(_, url)| url.starts_with(origin)), "{requests:?}");
    }
    println!("figures: axe-core found 0 violations on {examined} pages");
}

#[tokio::test]
#[ignore = "wants Chromium: see tests/browser/main.rs"]
async fn the_keyboard_alone_is_enough() {
    const TAB: &str = "\u{e004}";
    const ENTER: &str = "\u{e007}";
    const SPACE: &str = " ";
    const ACCOUNT: &str = "710000000104";
    let stack = Stack::shared().await;
    let walker = Walker::invited(&stack, "browser-keys", Setup::USUAL).await;
    let browser = &walker.browser;
    // Moves the focus on until it is on such an element; that it is seen there is said by its outline.
    let tab_to = async |selector: &str| {
        for _ in 0..40 {
            browser.press(TAB).await;
            let focus = format!(
                "const e = document.activeElement; return e.matches({}) && getComputedStyle(e).outlineStyle !== 'none'",
                json!(selector)
            );
            if browser.script(&focus).await == true {
                return;
            }
        }
        panic!("no way to {selector} by keyboard");
    };
    browser.go(&walker.url).await;
    browser.press(TAB).await;
    assert_eq!(browser.script("return document.activeElement.className").await, "skip");
    tab_to("#begin button").await;
    browser.press(ENTER).await;
    browser.heading("Create a policy").await;
    tab_to("#account").await;
    browser.press(ACCOUNT).await;
    browser.press(ENTER).await;
    browser.until("the policy", "return document.querySelector('#policy')").await;
    let policy: Value = serde_json::from_str(&browser.text("#policy").await).unwrap();
    let tenant = stack.create_tenant(&json!({ "account_id": ACCOUNT, "policies": [policy] })).await.unwrap();
    for heading in ["Create a user", "Create an access key", "Paste the two values"] {
        tab_to("main a.button").await;
        browser.press(ENTER).await;
        browser.heading(heading).await;
    }
    tab_to("#access-key-id").await;
    browser.press(&tenant.access_key_id).await;
    tab_to("#secret").await;
    browser.press(&tenant.secret_access_key).await;
    tab_to("#region").await;
    browser.press(&tenant.region).await;
    tab_to("#key button").await;
    browser.press(SPACE).await;
    browser
        .until(
            "the focus on what happens",
            "return document.activeElement.id === 'checking-title' || document.querySelector('.note')",
        )
        .await;
    browser.heading("Connected").await;
}
