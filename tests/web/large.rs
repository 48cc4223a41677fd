//! Many jobs: pages are bounded, whatever a run contains.

use serde_json::json;

use crate::browser::{Browser, wait_until_with};
use crate::site::Site;

/// A loop whose jobs wait for a worker that does not exist.
const WIDE: &str = r#"
rows:
    python
    rows
    `
def rows():
    return list(range(10000))
    `

work:
    !scope nowhere
    python
    work
    `
def work(row):
    return row
    `

for row in rows():
    work(row)
"#;

#[test]
fn a_run_with_ten_thousand_jobs_is_a_page_like_any_other() {
    let site = Site::serve(&[("wide", WIDE)], &[]);
    let run = site.invoke("wide", &[]);
    let browser = Browser::open(&site.address);
    let available = || site.get(&format!("/v1/runs/{run}"))["counts"]["available"].as_u64().unwrap_or_default();
    browser.goto(&format!("/runs/{run}"));
    wait_until_with(|| available() == 10_000, || format!("10,000 jobs, not {}", available()));
    browser.wait_for_text(".figure.available .number", "10\u{202f}000");
    assert!(
        browser.count("#steps tbody tr") == 2 && browser.text("#steps").contains("10\u{202f}000"),
        "a loop is one row"
    );
    assert_eq!(browser.count("#tab tbody tr"), 100);
    let size = browser
        .run("return [document.querySelectorAll('*').length, document.documentElement.outerHTML.length]", json!([]));
    assert!(size[0].as_u64() < Some(5_000) && size[1].as_u64() < Some(400_000), "{size}");

    let first = browser.text("#tab tbody tr a.row-link");
    browser.press("next page »");
    browser.wait_for_path(&format!("/runs/{run}?tab=jobs&after="));
    assert_ne!(browser.text("#tab tbody tr a.row-link"), first);
    browser.press("« first page");
    browser.wait_for("the first page", "!location.search.includes('after')");
    // one of them by its round
    browser.fill("input[name=round]", "7777");
    browser.press("Filter");
    browser.wait_for_path(&format!("/runs/{run}?"));
    browser.wait_for("one row", "document.querySelectorAll('#tab tbody tr').length === 1");
    assert!(browser.text("#tab tbody tr").contains("7777"));

    browser.goto("/");
    browser.wait_for_text("#ledger", "10\u{202f}000");
    browser.goto(&format!("/runs/{run}"));
    browser.press("Cancel…");
    browser.wait_for_text("main", "Cancel 10\u{202f}000 open jobs of this run?");
    browser.press("Cancel run");
    browser.wait_for_text("#summary .row", "cancelled");
    assert_eq!(available(), 0);
}
