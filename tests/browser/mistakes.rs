//! What people paste by mistake is caught before anything is sent.

use serde_json::json;

use crate::driver::Setup;
use crate::support::Stack;
use crate::walker::Walker;

#[tokio::test]
#[ignore = "wants Chromium: see tests/browser/main.rs"]
async fn what_is_no_key_is_not_sent() {
    let stack = Stack::shared().await;
    let walker = Walker::opened(&stack, "browser-mistaken", Setup::USUAL).await;
    let browser = &walker.browser;
    walker.step("paste").await;
    let (id, secret) = ("AKIASP2TPHJSQH3FJRUX", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ+/01");
    let smtp = format!("B{}", "a1B2".repeat(11)).chars().take(44).collect::<String>();
    for (typed_id, typed_secret, says) in [
        (secret, id, "swapped"),
        ("ASIASP2TPHJSQH3FJRUX", secret, "temporary"),
        ("AKIA", secret, "no access key ID"),
        (id, &smtp, "SMTP password"),
        (id, &"x".repeat(300), "session token"),
        (id, "hunter2", "no secret access key"),
    ] {
        walker.fill_in(typed_id, typed_secret, "us-east-1").await;
        browser.click("#key button").await;
        let said = browser.text("#wrong").await;
        assert!(said.contains(says), "{says}: {said}");
        assert_eq!(browser.script("return document.activeElement.getAttribute('aria-invalid')").await, "true");
    }
    for (name, content, says) in [
        ("rootkey.csv", format!("Access key ID,Secret access key\n{id},{secret}"), "root user"),
        ("notes.csv", "nothing".to_owned(), "no access key in this file"),
        ("sendingbee_accessKeys.csv", format!("\u{feff}Access key ID,Secret access key\r\n{id},{secret}\r\n"), ""),
    ] {
        let drop_file = format!(
            "document.querySelector('#key').reset(); const files = new DataTransfer(); files.items.add(new File([{}], {})); \
             const input = document.querySelector('#csv'); input.files = files.files; input.dispatchEvent(new Event('change'))",
            json!(content),
            json!(name)
        );
        browser.script(&drop_file).await;
        if says.is_empty() {
            let script = format!("return document.querySelector('#secret').value === {}", json!(secret));
            browser.until("the secret of the file", &script).await;
            assert_eq!(browser.script("return document.querySelector('#access-key-id').value").await, id);
        } else {
            let script = format!("return document.querySelector('#wrong').textContent.includes({})", json!(says));
            browser.until(says, &script).await;
        }
    }
    let sent: Vec<_> =
        browser.requests().await.into_iter().filter(|(method, url)| method == "POST" && url.contains("/key")).collect();
    assert!(sent.is_empty(), "{sent:?}");
    assert_eq!(stack.links_of("browser-mistaken").await[0]["submissions"], 0);
}
