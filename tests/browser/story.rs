//! The whole story: from the link to the connected account, and what it costs.

use std::time::Instant;

use serde_json::{Value, json};

use crate::driver::Setup;
use crate::support::{Stack, eventually};
use crate::walker::Walker;

#[tokio::test]
#[ignore = "wants Chromium: see tests/browser/main.rs"]
async fn a_tenant_follows_the_guide_and_is_connected() {
    let stack = Stack::shared().await;
    let walker = Walker::invited(&stack, "browser-story", Setup::USUAL).await;
    let browser = &walker.browser;
    browser.go(&walker.url).await;
    browser.heading("SendingBee asks for access to your Amazon SES").await;
    // The code has left the address bar, and is not shown.
    let state = browser
        .script("return [location.hash, history.length, document.querySelector('#code').checkVisibility()]")
        .await;
    assert_eq!((&state[0], &state[2]), (&json!(""), &json!(false)), "{state}");
    let paint = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime";
    let first_paint_ms = browser.until("the first paint", paint).await;
    browser.click("#begin button").await;

    browser.heading("Create a policy").await;
    let account = "710000000101";
    browser.type_into("#account", "7100-0000 0101").await;
    browser.click("form button").await;
    let policy: Value = serde_json::from_str(&browser.text("#policy").await).unwrap();
    assert!(policy.to_string().contains(account));
    // The picture of the README.
    if let Some(path) = std::env::var_os("PAGE_PICTURE") {
        browser.set_up(Setup { width: 760, ..Setup::USUAL }).await;
        std::fs::write(path, browser.picture(760, 700).await).unwrap();
        browser.set_up(Setup::USUAL).await;
    }
    // The largest page, with all that it loads.
    let sizes = browser
        .script(
            "const of = entries => entries.reduce((sum, entry) => sum + entry.decodedBodySize, 0); \
             const all = performance.getEntriesByType('resource'); \
             return [of(performance.getEntriesByType('navigation')), ...['css', 'js'].map(kind => of(all.filter(entry => entry.name.endsWith(kind))))]",
        )
        .await;
    browser
        .cdp("Browser.grantPermissions", json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] }))
        .await;
    browser.click("button[data-copies]").await;
    browser
        .until(
            "the word that it is copied",
            "return document.querySelector('pre + button + [role=status]').textContent === 'Copied.'",
        )
        .await;
    let copied =
        browser.async_script("navigator.clipboard.readText().then(arguments[0], e => arguments[0](String(e)))").await;
    assert_eq!(serde_json::from_str::<Value>(copied.as_str().unwrap()).unwrap(), policy);

    let request = json!({ "account_id": account, "policies": [policy], "identities": ["example.com"] });
    let tenant = stack.create_tenant(&request).await.unwrap();
    for heading in ["Create a user", "Create an access key", "Paste the two values"] {
        browser.click("main a.button").await;
        browser.heading(heading).await;
    }
    stack.set_faults(&tenant, &json!({ "on": ["iam:*"], "latency_ms": 250 })).await;
    // As people paste: with blanks around it.
    walker
        .fill_in(&format!(" {} ", tenant.access_key_id), &format!("{} ", tenant.secret_access_key), &tenant.region)
        .await;
    let sent = Instant::now();
    browser.click("#key button").await;
    let kept =
        browser.script("return [...document.querySelectorAll('input')].map(input => input.value).join('')").await;
    assert_eq!(kept, "", "what was typed is still in the page");
    browser
        .until(
            "a check while others are made",
            "return document.querySelector('#checking') && document.querySelectorAll('#checks li').length > 1",
        )
        .await;
    browser.heading("Connected").await;
    let until_result = sent.elapsed();
    assert!(browser.text("main").await.contains("Delete the user"));
    eventually("the event about the link's end", || async {
        stack.link_events("Onboarding Completed", &walker.link_id).await.pop()
    })
    .await;
    walker.assert_clean().await;
    let bytes: u64 = sizes.as_array().unwrap().iter().filter_map(Value::as_u64).sum();
    println!(
        "figures: {bytes} bytes (page, style sheet, script: {sizes}), first paint after {first_paint_ms} ms, result {} ms after the click",
        until_result.as_millis()
    );
    assert!((5_000..40_000).contains(&bytes), "{bytes} bytes");
}

#[tokio::test]
#[ignore = "wants Chromium: see tests/browser/main.rs"]
async fn a_policy_that_allows_too_much_is_mended_and_checked_again() {
    let stack = Stack::shared().await;
    let walker = Walker::opened(&stack, "browser-mender", Setup { language: "de-DE,de", ..Setup::USUAL }).await;
    let browser = &walker.browser;
    browser.heading("Richtlinie anlegen").await;
    let tenant = stack.hardened_tenant("710000000102", &json!({})).await;
    let good = stack.api(reqwest::Method::GET, "/policy?style=classic", None).await.unwrap().body;
    let broad = json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*" } });
    stack.set_policies(&tenant, &[broad]).await;
    walker.submit(&tenant).await;
    browser.heading("Der Schlüssel wurde nicht angenommen").await;
    let excess = browser.text("[data-check=excess]").await;
    assert!(excess.contains("zu ändern") && excess.contains("Der Schlüssel kann mehr"), "{excess}");
    stack.set_policies(&tenant, &[good]).await;
    browser.click("main a.button").await;
    browser.heading("Die zwei Werte einfügen").await;
    walker.fill_in(&tenant.access_key_id, &tenant.secret_access_key, &tenant.region).await;
    browser.click("#key button").await;
    browser.heading("Verbunden").await;
    walker.assert_clean().await;
    assert_eq!(stack.links_of("browser-mender").await[0]["refusals"], 1);
}

#[tokio::test]
#[ignore = "wants Chromium: see tests/browser/main.rs"]
async fn the_tenant_s_console_of_this_machine_makes_what_the_guide_says() {
    let stack = Stack::shared().await;
    let walker = Walker::opened(&stack, "browser-console", Setup::USUAL).await;
    let browser = &walker.browser;
    let page = browser.new_tab().await;
    browser.go(&format!("{}/_local/console", walker.url.split("/connect/").next().unwrap())).await;
    let console = browser.tab().await;
    let account = browser.text("#account").await;
    browser.switch_to(&page).await;
    browser.type_into("#account", &account).await;
    browser.click("form button").await;
    let policy = browser.text("#policy").await;
    browser.switch_to(&console).await;
    browser.script(&format!("document.querySelector('#policy').value = {}", json!(policy))).await;
    for form in ["policy", "user", "key"] {
        browser.click(&format!("#{form}-form button")).await;
        let said =
            format!("return document.querySelector('#{form}-form [role=status]').textContent.startsWith('Created')");
        browser.until(form, &said).await;
    }
    let (id, secret) = (browser.text("#id").await, browser.text("#secret").await);
    browser.switch_to(&page).await;
    walker.step("paste").await;
    walker.fill_in(&id, &secret, "us-east-1").await;
    browser.click("#key button").await;
    browser.heading("Connected").await;
    assert!(browser.text("main").await.contains(&account));
}
