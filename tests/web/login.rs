//! Logging in with a token or a link that holds once, and the ends of sessions.

use serde_json::json;

use crate::browser::Browser;
use crate::site::{Site, WAITING};

fn log_in(browser: &Browser, token: &str) {
    browser.fill("input[name=token]", token);
    browser.press("Log in");
}

#[test]
fn a_token_opens_the_page_that_was_asked_for() {
    let (site, tokens) = Site::serve_with_tokens(&[("waiting", WAITING)], &["viewer"]);
    let run = site.invoke("waiting", &[]);
    let browser = Browser::open(&site.address);
    browser.goto(&format!("/runs/{run}?tab=activity"));
    browser.wait_for_path("/login?next=");
    assert!(!browser.has("nav[aria-label=Main]"), "there is nothing to see yet");

    log_in(&browser, "bue_wrong");
    browser.wait_for_text("[role=alert]", "does not know this token");
    assert_eq!(browser.status(), 403);
    browser.expect_refusal(403);
    log_in(&browser, &tokens[0]);
    browser.wait_for_path(&format!("/runs/{run}?tab=activity"));
    assert!(browser.text(".visitor").contains("viewer"));
    let cookies = browser.run("return document.cookie", json!([]));
    assert_eq!(cookies, "", "no script reads the session");

    browser.click("form[action='/logout'] button");
    browser.wait_for_path("/login");
    browser.goto("/runs");
    browser.wait_for_path("/login?next=");
}

#[test]
fn a_link_logs_in_once() {
    let (site, _) = Site::serve_with_tokens(&[], &[]);
    let browser = Browser::open(&site.address);
    let link = site.new_link();
    assert!(link.starts_with("/login?code="), "{link}");
    browser.goto(&link);
    browser.wait_for_path("/");
    assert!(browser.text(".visitor").contains("test"), "{}", browser.text("body"));
    assert!(!browser.path().contains("code"), "the code is not in the history");

    let another = Browser::open(&site.address);
    another.goto(&link);
    another.wait_for_text("[role=alert]", "used already");
    another.expect_refusal(403);
    another.goto("/runs");
    another.wait_for_path("/login?next=");
}

#[test]
fn a_deleted_token_ends_its_sessions_and_no_other() {
    let (site, tokens) = Site::serve_with_tokens(&[("waiting", WAITING)], &["viewer", "operator"]);
    let browsers: Vec<_> = tokens
        .iter()
        .map(|token| {
            let browser = Browser::open(&site.address);
            browser.goto("/login?next=/runs");
            log_in(&browser, token);
            browser.wait_for_path("/runs");
            browser
        })
        .collect();
    site.bue(&["token", "delete", "viewer"]);
    // something happens, so that the page asks the hub again
    site.invoke("waiting", &[]);
    browsers[0].wait_for_path("/login?next=");
    browsers[1].wait_for_text("#runs", "waiting.bue");
    assert!(browsers[1].text(".visitor").contains("operator"));
}

#[test]
fn those_who_guess_are_slowed_down() {
    let (site, tokens) = Site::serve_with_tokens(&[], &["viewer"]);
    let browser = Browser::open(&site.address);
    browser.goto("/login");
    for attempt in 0..6 {
        log_in(&browser, &format!("bue_guess{attempt}"));
        browser.wait_for("an answer", "document.querySelector('[role=alert]')");
        if browser.status() == 429 {
            break;
        }
    }
    assert_eq!(browser.status(), 429);
    browser.wait_for_text("[role=alert]", "Try again in");
    browser.expect_refusal(403);
    browser.expect_refusal(429);
    // another one with a token is not locked out for long
    let mut attempts = 0;
    while browser.path().starts_with("/login") {
        assert!(attempts < 100, "still locked out");
        attempts += 1;
        log_in(&browser, &tokens[0]);
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    browser.wait_for_path("/");
    assert!(browser.text(".visitor").contains("viewer"));
    if attempts > 1 {
        browser.expect_refusal(429);
    }
}
