//! The hub is killed: the page says so, keeps what it showed, and goes on by itself when the hub is back.

use serde_json::json;

use crate::browser::Browser;
use crate::site::{Site, WAITING};

#[test]
fn a_page_survives_the_hub() {
    let mut site = Site::separate(&[("waiting", WAITING)]);
    let run = site.invoke("waiting", &[]);
    let browser = Browser::open(&site.address);
    browser.goto(&format!("/runs/{run}"));
    browser.run("window.marked = true", json!([]));
    let banner = "!document.getElementById('banner').hidden";
    assert_eq!(browser.run(&format!("return {banner}"), json!([])), false);
    site.services[0].kill();
    browser.wait_for("the banner", banner);
    assert!(browser.text("#banner").contains("The hub does not answer"));
    let opacity = "return Number(getComputedStyle(document.querySelector('main')).opacity)";
    browser.wait_for("dimmed", &format!("(() => {{ {opacity} }})() < 0.9"));
    assert_eq!(browser.text(".figure.available .number"), "1", "what the hub said last is still there");

    site.restart_hub();
    browser.wait_for("no banner", &format!("!({banner})"));
    assert_eq!(browser.run(opacity, json!([])), 1);
    site.bue(&["cancel", &run]);
    browser.wait_for_text("#summary .row", "cancelled");
    assert_eq!(browser.run("return window.marked", json!([])), true, "without loading the page again");
    browser.expect_problem("ERR_CONNECTION_REFUSED");
    browser.ignore_lost_connections();
}
