//! What changes while somebody looks: counts, logs, the title; and what does not: the place, the focus, the open parts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use serde_json::json;

use crate::browser::Browser;
use crate::site::{BROKEN, Site, WAITING, shared};

/// What the browser does when another tab covers this one, and when it does not any more.
const HIDE: &str = "Object.defineProperty(document, 'hidden', { configurable: true, get: () => window.isHidden }); \
                    window.isHidden = args[0]; document.dispatchEvent(new Event('visibilitychange'))";

/// A server that answers each request when the test says so.
struct Gate {
    address: SocketAddr,
    open: Sender<()>,
}

impl Gate {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (open, opened) = channel::<()>();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
                    head.push(byte[0]);
                }
                if opened.recv().is_err() {
                    return;
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
            }
        });
        Self { address, open }
    }

    /// Lets one request through.
    fn open(&self) {
        self.open.send(()).expect("a server");
    }

    /// A step that prints a line, waits for the gate, and prints another one.
    fn script(&self) -> String {
        let Self { address, .. } = self;
        format!(
            "!allow net {address}\nwork:\n    python\n    work\n    `\nimport urllib.request\n\
             def work():\n    print('first line <b>')\n    urllib.request.urlopen('http://{address}/').read()\n    \
             print('second line')\n    urllib.request.urlopen('http://{address}/').read()\n    return 1\n    `\nwork()\n"
        )
    }
}

/// Marks the page, so that [`is_same_page`] tells whether it was loaded again.
fn mark(browser: &Browser) {
    browser.run("window.marked = true", json!([]));
}

fn is_same_page(browser: &Browser) -> bool {
    browser.run("return window.marked === true", json!([])) == true
}

#[test]
fn counts_change_without_loading_the_page_or_moving_it() {
    let mut site = Site::serve(&[("waiting", WAITING)], &[]);
    let run = site.invoke("waiting", &[]);
    let browser = Browser::open(&site.address);
    browser.goto(&format!("/runs/{run}"));
    assert_eq!(browser.text(".figure.available .number"), "1");
    mark(&browser);
    let observe = "window.shift = 0; new PerformanceObserver((list) => list.getEntries() \
                   .forEach((entry) => (window.shift += entry.value))).observe({ type: 'layout-shift', buffered: true })";
    browser.run(observe, json!([]));
    // something half-written, an open explanation and the focus stay
    browser.click(".figure.running details.help summary");
    browser.fill("input[name=step]", "id");
    site.add_worker("nowhere");
    browser.wait_for_text(".figure.completed .number", "2");
    browser.wait_for_text("#summary .row", "completed");
    assert_eq!(browser.text(".figure.available .number"), "0");
    assert_eq!(browser.count("#tab tbody .state.completed"), 2);
    assert!(is_same_page(&browser));
    let state = "return [document.activeElement.name, document.activeElement.value, \
                 document.querySelector('.figure.running details.help').open]";
    assert_eq!(browser.run(state, json!([])), json!(["step", "id", true]));
    let shift = browser.run("return window.shift", json!([])).as_f64().expect("a number");
    // the notice that no worker serves the scope has gone; 0.1 is what https://web.dev/articles/cls calls good
    assert!(shift < 0.1, "the page moved by {shift}");
    assert_eq!(browser.run_async(REFRESH, json!([])), json!([true, 0]), "a refresh that changes nothing moves nothing");
}

/// Asks for a refresh as a tab does that is shown again, waits for it, and returns how far the page has moved.
const REFRESH: &str = "const root = document.documentElement; const before = root.dataset.now; window.shift = 0; \
                       const observer = new PerformanceObserver((list) => list.getEntries() \
                       .forEach((entry) => (window.shift += entry.value))); observer.observe({ type: 'layout-shift' }); \
                       document.dispatchEvent(new Event('visibilitychange')); const until = Date.now() + 20_000; \
                       while (root.dataset.now === before && Date.now() < until) \
                       await new Promise((done) => setTimeout(done, 50)); \
                       await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50))); \
                       observer.disconnect(); return [root.dataset.now !== before, window.shift]";

#[test]
fn no_page_moves_when_it_refreshes() {
    let shared = shared();
    let browser = Browser::open(&shared.site.address);
    let mut refreshed = 0;
    for (name, path) in shared.pages() {
        browser.goto(&path);
        browser.wait_for(name, "document.documentElement.classList.contains('js')");
        if browser.run("return document.documentElement.dataset.live", json!([])) == "never" {
            continue;
        }
        assert_eq!(browser.run_async(REFRESH, json!([])), json!([true, 0]), "{name} refreshes, and does not move");
        refreshed += 1;
    }
    assert!(refreshed >= 20, "{refreshed} pages refresh");
}

#[test]
fn the_log_of_a_running_job_grows_and_stays_when_it_ends() {
    let gate = Gate::new();
    let site = Site::serve(&[("work", &gate.script())], &["--allow-net", "127.0.0.1"]);
    let run = site.invoke("work", &[]);
    let job = site.job(&run, "work");
    site.wait_for_job(job, "running");
    let browser = Browser::open(&site.address);
    browser.goto(&format!("/jobs/{job}"));
    mark(&browser);
    browser.wait_for_text("#log pre", "first line <b>");
    assert!(!browser.text("#log").contains("second line"), "the step waits");
    assert!(!browser.has("#log pre b"), "what a step prints is text");
    browser.run_async(HIDE, json!([true]));
    browser.run_async(HIDE, json!([false]));
    gate.open();
    browser.wait_for_text("#log pre", "second line");
    assert_eq!(browser.text("#log pre").matches("first line").count(), 1, "{}", browser.text("#log pre"));
    gate.open();
    browser.wait_for_text("#state", "completed");
    browser.wait_for_text("#log", "second line");
    assert_eq!(browser.text("#log").matches("first line").count(), 1, "{}", browser.text("#log"));
    browser.wait_for_text("#result", "1");
    assert!(is_same_page(&browser));
}

#[test]
fn new_runs_and_failures_appear_in_lists_and_in_the_title() {
    let site = Site::serve(&[("broken", BROKEN), ("waiting", WAITING)], &[]);
    let browser = Browser::open(&site.address);
    browser.goto("/runs");
    mark(&browser);
    assert!(browser.text("#runs").contains("bue upload -f pipeline.bue"), "an empty list says what to type");
    let run = site.invoke("broken", &[]);
    site.wait_for_state(&run, "failed");
    browser.wait_for_text("#runs tbody", "failed");
    assert!(is_same_page(&browser));
    browser.goto("/");
    browser.wait_for_text("#errors", "division by zero");
    assert!(browser.title().starts_with("(1) "), "{}", browser.title());
    mark(&browser);
    let another = site.invoke("broken", &[]);
    site.wait_for_state(&another, "failed");
    browser.wait_for("two failures", "document.title.startsWith('(2) ')");
    assert!(is_same_page(&browser));
}

#[test]
fn a_hidden_tab_asks_for_nothing() {
    let site = Site::serve(&[("waiting", WAITING)], &[]);
    let browser = Browser::open(&site.address);
    browser.goto("/runs");
    let hide = |hidden: bool| browser.run_async(HIDE, json!([hidden]));
    let fetches =
        "return performance.getEntriesByType('resource').filter((one) => one.initiatorType === 'fetch').length";
    let asked = || browser.run(fetches, json!([]));
    hide(true);
    let before = asked();
    let run = site.invoke("waiting", &[]);
    // longer than the module takes from an event to a request
    thread::sleep(std::time::Duration::from_millis(2_500));
    assert_eq!(asked(), before, "a hidden page asks for nothing");
    assert!(!browser.text("#runs").contains("waiting.bue"));
    hide(false);
    browser.wait_for_text("#runs", "waiting.bue");
    assert!(browser.has(&format!("a[href='/runs/{run}']")));
}
