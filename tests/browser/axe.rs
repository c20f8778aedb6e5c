//! axe-core, run in the page.

use serde_json::{Value, json};

use crate::driver::Browser;

/// The rules that are run.
const RUN: &str = "axe.run(document, { runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] } })\
    .then(found => arguments[0]({ passes: found.passes.length, violations: found.violations.map(one => one.id + ': ' + one.nodes.map(node => node.html).join(' | ')) }))";

/// axe-core's script.
pub(crate) struct Axe(String);

impl Axe {
    /// The script that `AXE_JS` names.
    pub(crate) fn load() -> Self {
        let path = std::env::var("AXE_JS").expect("AXE_JS names axe-core's axe.min.js; .ci/run sets it");
        Self(std::fs::read_to_string(path).unwrap())
    }

    /// Looks at the page as it stands: axe-core has nothing to object to, and nothing has to be scrolled sideways.
    pub(crate) async fn examine(&self, browser: &Browser, what: &str) {
        browser.script(&self.0).await;
        let found: Value = browser.async_script(RUN).await;
        assert!(found["passes"].as_u64().unwrap() > 10, "{what}: {found}");
        assert_eq!(found["violations"], json!([]), "{what}");
        let wide = browser.script("return document.scrollingElement.scrollWidth - innerWidth").await;
        assert!(wide.as_i64().unwrap() <= 0, "{what}: {wide} pixels too wide");
    }
}
