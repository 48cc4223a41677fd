//! [`Browser`]: a browser with its own profile. What a test asks for is waited for, because pages change by themselves.

use std::cell::RefCell;
use std::thread;
use std::time::{Duration, Instant};

use bue_test_support::wait::DEADLINE;
use serde_json::{Map, Value, json};
use thirtyfour::prelude::{By, WebDriver, WebDriverResult};
use tokio::runtime::Runtime;

use crate::driver::{address, program};
use crate::http::{LoopbackClient, runtime};

/// Chromium without a display, its own sandbox (tests may run as root) and requests to other servers.
const FLAGS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--window-size=1280,900",
];

/// A browser. It ends with the value, also if the test fails.
pub(crate) struct Browser {
    runtime: Runtime,
    driver: Option<WebDriver>,
    /// `http://127.0.0.1:PORT`
    origin: String,
    /// What pages have written to the console, and the test has not expected.
    problems: RefCell<Vec<String>>,
}

impl Browser {
    /// Starts a browser for a hub.
    pub(crate) fn open(hub: &str) -> Self {
        Self::start(hub, json!({}))
    }

    /// Starts a browser that runs no scripts of pages.
    pub(crate) fn without_scripts(hub: &str) -> Self {
        Self::start(hub, json!({ "profile.managed_default_content_settings.javascript": 2 }))
    }

    #[expect(clippy::needless_pass_by_value, reason = "the macro's value")]
    fn start(hub: &str, preferences: Value) -> Self {
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": program("chromium"), "args": FLAGS, "prefs": preferences },
            "goog:loggingPrefs": { "browser": "ALL" },
            "timeouts": { "script": 30_000, "pageLoad": 60_000 },
        });
        let capabilities: Map<_, _> = capabilities.as_object().cloned().expect("an object");
        let runtime = runtime();
        let start = WebDriver::builder(address(), capabilities).client(LoopbackClient::new()).connect();
        let driver = runtime.block_on(start).expect("a browser starts");
        Self { runtime, driver: Some(driver), origin: format!("http://{hub}"), problems: RefCell::default() }
    }

    fn driver(&self) -> &WebDriver {
        self.driver.as_ref().expect("it is there until it is dropped")
    }

    /// Repeats what may fail while a page changes, such as a click on a button that has just been replaced.
    #[track_caller]
    fn until_done<T>(&self, what: &str, mut attempt: impl AsyncFnMut(&WebDriver) -> WebDriverResult<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let error = match self.runtime.block_on(attempt(self.driver())) {
                Ok(value) => return value,
                Err(error) => error,
            };
            assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}: {error}\n{}", self.describe());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What is on the page, for messages of failed tests.
    fn describe(&self) -> String {
        let text = self.run("return document.body?.innerText ?? ''", json!([]));
        format!("{}\n{}", self.path(), text.as_str().unwrap_or_default())
    }

    // --- pages ---

    /// Opens a page of the hub.
    #[track_caller]
    pub(crate) fn goto(&self, path: &str) {
        self.read_console();
        let url = format!("{}{path}", self.origin);
        self.runtime.block_on(self.driver().goto(&url)).unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// The path and the query of the page.
    pub(crate) fn path(&self) -> String {
        let url = self.runtime.block_on(self.driver().current_url()).expect("an address");
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// Waits until the page has an address that begins like this, and has been loaded. Every address begins with `/`, so that one is
    /// compared as a whole.
    #[track_caller]
    pub(crate) fn wait_for_path(&self, path: &str) {
        let mut last = String::new();
        wait_until_with(
            || {
                last = self.path();
                let is_there = if path == "/" { last == path } else { last.starts_with(path) };
                is_there && self.run("return document.readyState", json!([])) == "complete"
            },
            || format!("the page {path}, not {}", self.describe()),
        );
    }

    pub(crate) fn title(&self) -> String {
        self.runtime.block_on(self.driver().title()).expect("a title")
    }

    /// The HTTP status with which the page was answered.
    pub(crate) fn status(&self) -> u64 {
        self.run("return performance.getEntriesByType('navigation')[0].responseStatus", json!([]))
            .as_u64()
            .expect("a status")
    }

    /// Runs the body of a function in the page.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "the macro's value")]
    pub(crate) fn run(&self, script: &str, arguments: Value) -> Value {
        let arguments = arguments.as_array().cloned().expect("a list");
        let result = self.runtime.block_on(self.driver().execute(script, arguments));
        result.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
    }

    /// Runs the body of an asynchronous function in the page, and returns its result.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "the macro's value")]
    pub(crate) fn run_async(&self, script: &str, arguments: Value) -> Value {
        let wrapped = format!(
            "const done = arguments[arguments.length - 1]; \
             (async (...args) => {{ {script} }})(...arguments).then(done, (error) => done('error: ' + error));"
        );
        let arguments = arguments.as_array().cloned().expect("a list");
        let result = self.runtime.block_on(self.driver().execute_async(&wrapped, arguments));
        result.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
    }

    /// Waits until an expression is true in the page.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, expression: &str) {
        let script = format!("return Boolean({expression})");
        wait_until_with(|| self.run(&script, json!([])) == true, || format!("{what}: {}", self.describe()));
    }

    // --- elements ---

    /// Whether there is such an element.
    pub(crate) fn has(&self, css: &str) -> bool {
        self.count(css) > 0
    }

    pub(crate) fn count(&self, css: &str) -> usize {
        self.runtime.block_on(self.driver().find_all(By::Css(css))).expect("a list").len()
    }

    /// The labels of the buttons in the page's content that can be seen.
    pub(crate) fn buttons(&self) -> Vec<String> {
        let buttons = "return [...document.querySelectorAll('main button, main a.button')] \
                       .filter((one) => one.checkVisibility()).map((one) => one.innerText.trim())";
        serde_json::from_value(self.run(buttons, json!([]))).expect("texts")
    }

    /// The text of the first such element as it is shown.
    #[track_caller]
    pub(crate) fn text(&self, css: &str) -> String {
        self.until_done(css, async |driver| driver.find(By::Css(css)).await?.text().await)
    }

    /// Waits until the first such element shows a text.
    #[track_caller]
    pub(crate) fn wait_for_text(&self, css: &str, text: &str) {
        let mut last = String::new();
        wait_until_with(
            || {
                last = self.text(css);
                last.contains(text)
            },
            || format!("{css} shows {text:?}\n{}", self.describe()),
        );
    }

    #[track_caller]
    pub(crate) fn click(&self, css: &str) {
        self.until_done(css, async |driver| driver.find(By::Css(css)).await?.click().await);
    }

    /// Presses the button, or follows the link, with this label in the page's content.
    #[track_caller]
    pub(crate) fn press(&self, label: &str) {
        let found = format!("//main//*[self::button or self::a][normalize-space()={}]", xpath_text(label));
        self.until_done(label, async |driver| driver.find(By::XPath(&found)).await?.click().await);
    }

    /// Writes a text into a field, in place of what it contains.
    #[track_caller]
    pub(crate) fn fill(&self, css: &str, text: &str) {
        self.until_done(css, async |driver| {
            let field = driver.find(By::Css(css)).await?;
            field.clear().await?;
            field.send_keys(text).await
        });
    }

    /// Chooses an option of a list by its value.
    #[track_caller]
    pub(crate) fn choose(&self, css: &str, value: &str) {
        self.click(&format!("{css} option[value='{value}']"));
    }

    /// Presses keys, wherever the focus is.
    pub(crate) fn keys(&self, keys: &str) {
        let driver = self.driver();
        let chain = driver.action_chain_with_delay(None, Some(Duration::ZERO)).send_keys(keys);
        self.runtime.block_on(chain.perform()).unwrap_or_else(|error| panic!("{keys:?}: {error}"));
    }

    // --- the browser ---

    /// Changes the width of the page, in CSS pixels.
    pub(crate) fn set_width(&self, width: u32) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// The elements that make the page wider than the window; empty if it is not.
    pub(crate) fn too_wide(&self) -> String {
        let widest = "const all = [...document.querySelectorAll('body *')].filter((one) => !one.closest('.scroll *, pre *')) \
                      .filter((one) => one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 150)); \
                      const width = document.documentElement.scrollWidth; \
                      return width > innerWidth ? `${width} px: ${all.slice(0, 6).join('\\n')}` : ''";
        self.run(widest, json!([])).as_str().unwrap_or_default().to_owned()
    }

    /// Says which colours, and how much motion, the user prefers.
    pub(crate) fn prefer(&self, feature: &str, value: &str) {
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [{ "name": feature, "value": value }] }));
    }

    /// Sends a command of the Chrome DevTools Protocol.
    pub(crate) fn devtools(&self, command: &str, parameters: Value) -> Value {
        let sent = self.runtime.block_on(self.driver().cdp().send_raw(command, parameters));
        sent.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// A picture of the whole page, which is longer than the window.
    pub(crate) fn picture(&self) -> Vec<u8> {
        let height =
            self.run("return Math.ceil(document.documentElement.scrollHeight)", json!([])).as_u64().unwrap_or(900);
        let width = self.run("return innerWidth", json!([]));
        let metrics =
            json!({ "width": width, "height": height.clamp(400, 1_600), "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics);
        self.runtime.block_on(self.driver().screenshot_as_png()).expect("a picture")
    }

    // --- the console ---

    /// Moves what pages have written as errors to `problems`.
    fn read_console(&self) {
        let entries = self.runtime.block_on(self.driver().browser_log()).expect("a log");
        let errors = entries.into_iter().filter(|entry| entry.level == "SEVERE").map(|entry| entry.message);
        self.problems.borrow_mut().extend(errors);
    }

    /// Removes the errors that contain a text: the test expects them. Waits for the first, which the browser may write after
    /// the page that caused it is there.
    ///
    /// # Panics
    /// There are none in time.
    #[track_caller]
    pub(crate) fn expect_problem(&self, text: &str) {
        let found = || {
            self.read_console();
            self.problems.borrow().iter().any(|problem| problem.contains(text))
        };
        wait_until_with(found, || format!("an error with {text:?} in the console: {:?}", self.problems.borrow()));
        self.problems.borrow_mut().retain(|problem| !problem.contains(text));
    }

    /// `expect_problem` with what the browser writes about answers with this status. The number alone could be part of an
    /// address, whose port is random.
    #[track_caller]
    pub(crate) fn expect_refusal(&self, status: u16) {
        self.expect_problem(&format!("responded with a status of {status}"));
    }

    /// Removes what the browser writes about answers that refuse something.
    pub(crate) fn ignore_refusals(&self) {
        self.read_console();
        self.problems.borrow_mut().retain(|problem| !problem.contains("responded with a status of 4"));
    }

    /// Removes what the browser writes about connections that break when a hub is killed.
    pub(crate) fn ignore_lost_connections(&self) {
        self.read_console();
        self.problems.borrow_mut().retain(|problem| !problem.contains("net::ERR_"));
    }

    /// Fails if pages have written errors to the console.
    #[track_caller]
    pub(crate) fn expect_no_problems(&self, page: &str) {
        self.read_console();
        let problems = self.problems.take();
        assert!(problems.is_empty(), "{page} wrote errors to the console:\n{}", problems.join("\n"));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.read_console();
        }
        let problems = self.problems.take();
        if let Some(driver) = self.driver.take() {
            let _ = self.runtime.block_on(driver.quit());
        }
        assert!(thread::panicking() || problems.is_empty(), "errors in the console:\n{}", problems.join("\n"));
    }
}

/// `wait_until` with a message that is made only if it is needed.
#[track_caller]
pub(crate) fn wait_until_with(mut condition: impl FnMut() -> bool, message: impl Fn() -> String) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {}", message());
        thread::sleep(Duration::from_millis(20));
    }
}

/// A text as XPath writes it. XPath has no escapes.
fn xpath_text(text: &str) -> String {
    assert!(!text.contains('"'), "a label with a quote");
    format!("\"{text}\"")
}
