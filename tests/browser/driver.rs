//! Chromium, driven by chromedriver: as much of WebDriver (<https://www.w3.org/TR/webdriver2/>) as these tests need.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// How long a page may take to show something: the machine may be slow.
const WAIT: Duration = Duration::from_secs(60);

/// WebDriver's name of an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How a browser is set up.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// `prefers-color-scheme`.
    pub(crate) scheme: &'static str,
    /// The language that it asks for.
    pub(crate) language: &'static str,
    /// The width of the window, in CSS pixels.
    pub(crate) width: u32,
}

/// A browser of one test, with a profile of its own.
pub(crate) struct Browser {
    driver: Child,
    session: String,
    profile: PathBuf,
    client: reqwest::Client,
}

impl Setup {
    /// English, light, and wide.
    pub(crate) const USUAL: Self = Self { scheme: "light", language: "en", width: 1100 };
}

impl Browser {
    /// Starts one.
    pub(crate) async fn start(setup: Setup) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("chromium-{}-{number}", std::process::id());
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&profile).unwrap();
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start chromedriver, which is in Debian's package chromium-driver");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines
            .find_map(|line| Some(line.split_once("successfully on port ")?.1.trim_end_matches('.').to_owned()))
            .expect("chromedriver says its port");
        std::thread::spawn(move || lines.for_each(drop));
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--accept-lang={}", setup.language),
            &format!("--user-data-dir={}", profile.display()),
        ];
        let asked = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } });
        let client = reqwest::Client::new();
        let base = format!("http://127.0.0.1:{port}/session");
        let made: Value = client.post(&base).json(&asked).send().await.unwrap().json().await.unwrap();
        let id = made["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {made}"));
        let browser = Self { session: format!("{base}/{id}"), driver, profile, client };
        browser.set_up(setup).await;
        browser
    }

    /// Sets scheme and width of the current tab. Nothing moves.
    pub(crate) async fn set_up(&self, setup: Setup) {
        let features = json!({ "features": [
            { "name": "prefers-color-scheme", "value": setup.scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ] });
        self.cdp("Emulation.setEmulatedMedia", features).await;
        self.cdp("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
        let metrics = json!({ "width": setup.width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.cdp("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Opens a URL.
    pub(crate) async fn go(&self, url: &str) {
        self.call(Method::POST, "/url", &json!({ "url": url })).await;
    }

    /// The back button.
    pub(crate) async fn back(&self) {
        self.call(Method::POST, "/back", &json!({})).await;
    }

    /// Opens another tab and looks at it. Returns what leads back to the one before.
    pub(crate) async fn new_tab(&self) -> Value {
        let before = self.tab().await;
        let new = self.call(Method::POST, "/window/new", &json!({ "type": "tab" })).await;
        self.switch_to(&new["handle"]).await;
        before
    }

    /// The tab that is looked at.
    pub(crate) async fn tab(&self) -> Value {
        self.call(Method::GET, "/window", &Value::Null).await
    }

    /// Looks at another tab.
    pub(crate) async fn switch_to(&self, handle: &Value) {
        self.call(Method::POST, "/window", &json!({ "handle": handle })).await;
    }

    /// Runs a script in the page.
    pub(crate) async fn script(&self, script: &str) -> Value {
        self.call(Method::POST, "/execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// Runs a script that calls its last argument when it is done.
    pub(crate) async fn async_script(&self, script: &str) -> Value {
        self.call(Method::POST, "/execute/async", &json!({ "script": script, "args": [] })).await
    }

    /// A command of the DevTools protocol.
    pub(crate) async fn cdp(&self, command: &str, parameters: Value) -> Value {
        self.call(Method::POST, "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }

    /// Waits until there is such an element and it is shown, and clicks it.
    pub(crate) async fn click(&self, selector: &str) {
        let element = self.shown(selector).await;
        self.call(Method::POST, &format!("/element/{element}/click"), &json!({})).await;
    }

    /// Types into an element, after what it has.
    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        let element = self.shown(selector).await;
        self.call(Method::POST, &format!("/element/{element}/value"), &json!({ "text": text })).await;
    }

    /// Presses keys, wherever the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() })))
            .collect();
        let body = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] });
        self.call(Method::POST, "/actions", &body).await;
    }

    /// The text of an element, once it is shown.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let element = self.shown(selector).await;
        self.call(Method::GET, &format!("/element/{element}/text"), &Value::Null).await.as_str().unwrap().to_owned()
    }

    /// Waits until a script returns something other than null and false.
    pub(crate) async fn until(&self, what: &str, script: &str) -> Value {
        let end = Instant::now() + WAIT;
        loop {
            let found = self.script(script).await;
            if !found.is_null() && found != false {
                return found;
            }
            assert!(
                Instant::now() < end,
                "{what} did not come: {}",
                self.script("return document.body.innerText").await
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for a page with this heading.
    pub(crate) async fn heading(&self, heading: &str) {
        let script = format!("return document.querySelector('h1')?.textContent === {}", json!(heading));
        self.until(heading, &script).await;
    }

    /// A picture of the page's top, as PNG.
    pub(crate) async fn picture(&self, width: u32, height: u32) -> Vec<u8> {
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let picture = self.cdp("Page.captureScreenshot", json!({ "format": "png", "clip": clip })).await;
        STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }

    /// The console's errors and warnings since the last call, violations of the content security policy among them.
    pub(crate) async fn console(&self) -> Vec<String> {
        let lines = self.call(Method::POST, "/se/log", &json!({ "type": "browser" })).await;
        let lines = lines.as_array().unwrap().iter();
        lines
            .filter(|line| line["level"] != "INFO" && line["level"] != "DEBUG")
            .map(|line| line["message"].to_string())
            .collect()
    }

    /// What the pages have asked for since the last call: method and URL.
    pub(crate) async fn requests(&self) -> Vec<(String, String)> {
        let entries = self.call(Method::POST, "/se/log", &json!({ "type": "performance" })).await;
        let mut requests = Vec::new();
        for entry in entries.as_array().unwrap() {
            let entry: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            if entry["message"]["method"] == "Network.requestWillBeSent" {
                let asked = &entry["message"]["params"];
                // Not those of the tab that a browser starts with.
                if !asked["documentURL"].as_str().unwrap_or_default().starts_with("http") {
                    continue;
                }
                let request = &asked["request"];
                let text = |name: &str| request[name].as_str().unwrap().to_owned();
                requests.push((text("method"), text("url")));
            }
        }
        requests
    }

    /// The id of an element that is shown, once there is one.
    async fn shown(&self, selector: &str) -> String {
        let script = format!(
            "const e = document.querySelector({}); return e && e.checkVisibility() ? e : null",
            json!(selector)
        );
        self.until(selector, &script).await[ELEMENT].as_str().unwrap().to_owned()
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = self.client.request(method.clone(), format!("{}{path}", self.session));
        let request = if method == Method::POST { request.json(body) } else { request };
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert!(answer["value"].get("error").is_none(), "{method} {path}: {}", answer["value"]["message"]);
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // chromedriver ends its browser when it is asked to, and not when it is killed.
        let session = self.session.clone();
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let _ = runtime.map(|runtime| runtime.block_on(reqwest::Client::new().delete(session).send()));
        });
        let _ = ended.join();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
