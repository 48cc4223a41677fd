//! Everything without a mouse: the skip link, the order of Tab, the focus that can be seen, keys, and an action to its end.

use std::collections::BTreeSet;

use serde_json::json;
use thirtyfour::Key;

use crate::browser::Browser;
use crate::site::{Site, WAITING, shared};

/// Names the focused element; empty for none.
const FOCUSED: &str = "const one = document.activeElement; if (!one || one === document.body) return ''; \
                       window.all ??= []; if (!window.all.includes(one)) window.all.push(one); \
                       return `${window.all.indexOf(one)} ${one.tagName.toLowerCase()} ${one.innerText || one.name || one.className}`";
/// Whether the focused element can be told from the others.
const IS_VISIBLE: &str = "const style = getComputedStyle(document.activeElement); const box = document.activeElement.getBoundingClientRect(); \
                          return (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== 'none') \
                          && box.bottom > 0 && box.top < innerHeight && box.width > 0";
/// The elements that Tab must reach. A closed `details` hides what is in it; radio buttons of a group are one stop.
const REACHABLE: &str = "return [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex=\"0\"]')] \
                         .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled).length";

fn tab(browser: &Browser) {
    browser.keys(&Key::Tab.value().to_string());
}

#[test]
fn tab_reaches_everything_and_shows_where_it_is() {
    let shared = shared();
    let browser = Browser::open(&shared.site.address);
    for (name, path) in shared.pages() {
        browser.goto(&path);
        browser.wait_for(name, "document.documentElement.classList.contains('js')");
        // pages may put the focus where one usually begins
        browser.run("document.activeElement.blur(); getSelection().removeAllRanges()", json!([]));
        let expected = browser.run(REACHABLE, json!([])).as_u64().expect("a number");
        let (mut seen, mut last) = (BTreeSet::new(), String::new());
        // a date has several stops
        for _ in 0..=expected + 10 {
            tab(&browser);
            let focused = browser.run(FOCUSED, json!([])).as_str().unwrap_or_default().to_owned();
            if focused.is_empty() || (!seen.insert(focused.clone()) && focused != last) {
                break;
            }
            assert_eq!(browser.run(IS_VISIBLE, json!([])), true, "{name}: the focus on {focused} cannot be seen");
            last = focused;
        }
        let missing = "return [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')] \
                       .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !window.all.includes(one)).map((one) => one.outerHTML.slice(0, 120))";
        assert_eq!(seen.len() as u64, expected, "{name}: not reached: {}", browser.run(missing, json!([])));
    }
}

#[test]
fn the_skip_link_is_first_and_leads_to_the_content() {
    let shared = shared();
    let browser = Browser::open(&shared.site.address);
    browser.goto("/runs");
    tab(&browser);
    assert!(browser.run(FOCUSED, json!([])).to_string().contains("Skip to content"));
    assert_eq!(browser.run(IS_VISIBLE, json!([])), true);
    browser.keys(&Key::Enter.value().to_string());
    browser.wait_for("the content", "document.activeElement.id === 'main'");
    tab(&browser);
    assert_eq!(browser.run("return document.activeElement.closest('main') !== null", json!([])), true);
}

#[test]
fn keys_lead_to_pages_rows_and_filters() {
    let shared = shared();
    let browser = Browser::open(&shared.site.address);
    browser.goto("/");
    for (key, path) in [
        ("r", "/runs"),
        ("e", "/errors"),
        ("p", "/pipelines"),
        ("s", "/schedules"),
        ("w", "/workers"),
        ("t", "/settings"),
        ("o", "/"),
    ] {
        browser.keys(&format!("g{key}"));
        browser.wait_for(
            key,
            &format!("location.pathname === '{path}' && document.documentElement.classList.contains('js')"),
        );
    }
    browser.keys("gr");
    browser.wait_for("runs", "location.pathname === '/runs' && document.documentElement.classList.contains('js')");
    let focused_row = || {
        browser.run("return [...document.querySelectorAll('#runs tbody tr')].findIndex((row) => row.contains(document.activeElement))", json!([]))
    };
    browser.keys("j");
    assert_eq!(focused_row(), 0);
    browser.keys("jj");
    assert_eq!(focused_row(), 2);
    browser.keys("k");
    assert_eq!(focused_row(), 1);
    browser.keys("/");
    assert_eq!(browser.run("return document.activeElement.name", json!([])), "name", "the first filter");
    browser.keys("gr?j");
    assert_eq!(browser.run("return document.activeElement.value", json!([])), "gr?j", "keys in a field are text");
    browser.keys(&Key::Escape.value().to_string());
    assert_eq!(browser.run("return document.activeElement.tagName", json!([])), "BODY");
    browser.keys("?");
    browser.wait_for("the list of keys", "document.querySelector('#keys').open");
    browser.keys("j");
    let link = browser.run("return document.activeElement.getAttribute('href')", json!([]));
    browser.keys(&Key::Enter.value().to_string());
    browser.wait_for_path(link.as_str().expect("a link"));
}

#[test]
fn a_run_is_cancelled_with_the_keyboard_alone() {
    let site = Site::serve(&[("waiting", WAITING)], &[]);
    let run = site.invoke("waiting", &[]);
    let browser = Browser::open(&site.address);
    browser.goto("/");
    browser.keys("gr");
    browser.wait_for_path("/runs");
    browser.wait_for("the module", "document.documentElement.classList.contains('js')");
    browser.keys("j");
    browser.keys(&Key::Enter.value().to_string());
    browser.wait_for_path(&format!("/runs/{run}"));
    for _ in 0..60 {
        tab(&browser);
        if browser.run("return document.activeElement.innerText", json!([])) == "Cancel…" {
            break;
        }
    }
    assert_eq!(browser.run("return document.activeElement.innerText", json!([])), "Cancel…");
    browser.keys(&Key::Enter.value().to_string());
    browser.wait_for_text("main", "Cancel 2 open jobs of this run?");
    // a key that is held down for too long presses nothing
    assert_ne!(browser.run("return document.activeElement.tagName", json!([])), "BUTTON");
    assert_eq!(site.get(&format!("/v1/runs/{run}"))["state"], "running", "only asked");
    tab(&browser);
    browser.wait_for("the focus", "document.activeElement.innerText === 'Cancel run'");
    browser.keys(&Key::Enter.value().to_string());
    browser.wait_for_text("#summary .row", "cancelled");
    assert_eq!(site.get(&format!("/v1/runs/{run}"))["state"], "cancelled");
}

#[test]
fn nothing_moves_for_those_who_prefer_that() {
    let shared = shared();
    let browser = Browser::open(&shared.site.address);
    browser.prefer("prefers-reduced-motion", "reduce");
    for path in ["/", "/runs", "/workers"] {
        browser.goto(path);
        let moving = "return document.getAnimations().filter((one) => one.playState === 'running' && one.effect.getTiming().duration > 1).length";
        assert_eq!(browser.run(moving, json!([])), 0, "{path}");
    }
}
