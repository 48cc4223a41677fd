//! axe-core looks at every page, light and dark.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::site::{Populated, Site, shared};

/// The release that `tools/setup.sh` installs.
const RELEASE: &str = "axe-core-4.14.1";

/// axe-core's source, which no page of ours loads: the driver runs it, as a user's extension would.
fn axe() -> String {
    let home = || PathBuf::from(std::env::var("HOME").expect("HOME")).join(".cache");
    let cache = std::env::var("XDG_CACHE_HOME").map_or_else(|_| home(), PathBuf::from);
    let path = cache.join("bue-tools").join(RELEASE).join("axe.min.js");
    let hint = "type `./check`, which installs it, or: sh -c '. tools/setup.sh; require_axe'";
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}; {hint}", path.display()))
}

/// The rules that colours can break.
const COLOUR_RULES: [&str; 2] = ["color-contrast", "link-in-text-block"];

/// Returns the serious findings on the page: the rule, and the elements. Without rules, all of them apply.
fn findings(browser: &Browser, axe: &str, rules: &[&str]) -> Vec<String> {
    browser.run(&format!("if (!window.axe) {{ {axe} }}"), json!([]));
    let run = "const options = args[0].length > 0 ? { runOnly: args[0] } : {}; \
               return (await axe.run(document, { ...options, resultTypes: ['violations'] })).violations";
    let result = browser.run_async(run, json!([rules]));
    let violations = result.as_array().unwrap_or_else(|| panic!("{result}"));
    let is_serious =
        |violation: &&Value| ["serious", "critical"].contains(&violation["impact"].as_str().unwrap_or_default());
    violations.iter().filter(is_serious).map(describe).collect()
}

fn describe(violation: &Value) -> String {
    let nodes = violation["nodes"].as_array().cloned().unwrap_or_default();
    let describe = |node: &Value| format!("{} {}", node["html"], node["failureSummary"]);
    let nodes: Vec<_> = nodes.iter().take(3).map(describe).collect();
    format!("{}: {}\n  {}", violation["id"], violation["help"], nodes.join("\n  "))
}

fn expect_no_findings(shared: &Populated, scheme: &str, rules: &[&str]) {
    let (browser, axe) = (Browser::open(&shared.site.address), axe());
    browser.prefer("prefers-color-scheme", scheme);
    let mut all = Vec::new();
    for (name, path) in shared.pages() {
        browser.goto(&path);
        all.extend(findings(&browser, &axe, rules).iter().map(|finding| format!("{name}: {finding}")));
    }
    assert!(all.is_empty(), "{} serious findings\n{}", all.len(), all.join("\n"));
}

#[test]
fn axe_finds_nothing_serious_on_light_pages() {
    expect_no_findings(&shared(), "light", &[]);
}

#[test]
fn axe_finds_nothing_serious_in_the_colours_of_dark_pages() {
    expect_no_findings(&shared(), "dark", &COLOUR_RULES);
}

#[test]
fn axe_finds_nothing_serious_on_the_login_page() {
    let (site, _) = Site::serve_with_tokens(&[], &[]);
    let (browser, axe) = (Browser::open(&site.address), axe());
    browser.goto("/login");
    assert_eq!(findings(&browser, &axe, &[]), Vec::<String>::new());
}
