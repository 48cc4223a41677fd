//! Every page renders: without errors, light and dark, on a narrow screen, and without scripts.

use serde_json::json;

use crate::browser::Browser;
use crate::site::shared;

#[test]
fn every_page_renders_without_errors() {
    let shared = shared();
    let browser = Browser::open(&shared.site.address);
    for (name, path) in shared.pages() {
        browser.goto(&path);
        assert_eq!(browser.status(), 200, "{name}: {}", browser.text("body"));
        assert!(!browser.text("h1").is_empty() && browser.title().ends_with(" · bue"), "{name}: {}", browser.title());
        assert_eq!(browser.count("h1"), 1, "{name}");
        // the module has run
        browser.wait_for(name, "document.documentElement.classList.contains('js')");
        browser.expect_no_problems(name);
    }
}

#[test]
fn pages_that_are_not_there_say_what_may_have_happened() {
    let shared = shared();
    let browser = Browser::open(&shared.site.address);
    let unknown = "01900000-0000-7000-8000-000000000000";
    for (path, status, text) in [
        (format!("/runs/{unknown}"), 404, "seven days"),
        ("/jobs/987654321".to_owned(), 404, "seven days"),
        ("/runs/x".to_owned(), 400, "run id"),
        ("/nothing/here".to_owned(), 404, "/nothing/here"),
        ("/pipelines/nothing".to_owned(), 404, "nothing"),
        ("/schedules/nothing".to_owned(), 404, "nothing"),
    ] {
        browser.goto(&path);
        assert_eq!(browser.status(), status, "{path}");
        assert!(browser.text("main").contains(text), "{path}: {}", browser.text("main"));
        assert!(browser.has("main a[href='/runs']"), "{path}");
        browser.expect_problem("the server responded with a status of");
    }
}

#[test]
fn no_page_is_wider_than_a_phone() {
    let shared = shared();
    let browser = Browser::open(&shared.site.address);
    browser.set_width(400);
    let mut wide = Vec::new();
    for (name, path) in shared.pages() {
        browser.goto(&path);
        let found = browser.too_wide();
        if !found.is_empty() {
            wide.push(format!("{name}: {found}"));
        }
    }
    assert!(wide.is_empty(), "pages scroll sideways at 400 px:\n{}", wide.join("\n"));
}

#[test]
fn the_colours_follow_the_system_and_the_choice() {
    let shared = shared();
    let browser = Browser::open(&shared.site.address);
    let background = || {
        let colour = browser.run("return getComputedStyle(document.documentElement).backgroundColor", json!([]));
        let numbers: Vec<u32> = colour
            .as_str()
            .expect("a colour")
            .split(|char: char| !char.is_ascii_digit())
            .filter_map(|part| part.parse().ok())
            .collect();
        numbers.iter().take(3).sum::<u32>()
    };
    browser.prefer("prefers-color-scheme", "light");
    browser.goto("/");
    assert!(background() > 600, "light: {}", background());
    browser.prefer("prefers-color-scheme", "dark");
    assert!(background() < 200, "dark: {}", background());
    for (theme, is_light) in [("light", true), ("dark", false)] {
        browser.click(&format!("form.theme button[value={theme}]"));
        browser.wait_for(theme, &format!("document.documentElement.dataset.theme === '{theme}'"));
        assert_eq!(background() > 400, is_light, "{theme}");
        assert_eq!(browser.path(), "/", "the same page");
    }
    browser.goto("/runs");
    assert!(background() < 200, "the choice is kept");
}

#[test]
fn without_scripts_pages_can_be_read_and_used() {
    let shared = shared();
    let browser = Browser::without_scripts(&shared.site.address);
    for (name, path) in shared.pages() {
        browser.goto(&path);
        assert!(!browser.has("html.js"), "{name}: the module has run");
        assert!(!browser.text("h1").is_empty() && browser.text("main").len() > 10, "{name}");
    }
    // from a filter to a result, with links and forms only
    browser.goto("/");
    browser.click("nav a[href='/runs']");
    browser.choose("select[name=state]", "completed");
    browser.press("Filter");
    browser.wait_for("the filter", "location.search.includes('state=completed')");
    browser.click("main tbody a.row-link");
    browser.wait_for_path("/runs/");
    browser.press("results");
    browser.wait_for_text("#tab", "list of 4");
}

/// Figures without an explanation: of a row of figures, of a column of numbers, or of a list of facts.
const UNEXPLAINED: &str = "const all = [...document.querySelectorAll('main .figure')].filter((one) => !one.querySelector('.term[title]')); \
                           all.push(...[...document.querySelectorAll('main th.number')].filter((one) => !one.querySelector('[title]'))); \
                           const facts = [...document.querySelectorAll('main dl.definitions dt')]; \
                           const isExplained = (one) => one.querySelector('[title]') || one.nextElementSibling.querySelector('[title], .hint, a, code'); \
                           all.push(...facts.filter((one) => /^\\d/.test(one.nextElementSibling.innerText) && !isExplained(one))); \
                           return all.map((one) => one.innerText)";

#[test]
fn every_figure_is_explained() {
    let shared = shared();
    let browser = Browser::open(&shared.site.address);
    let mut figures = 0;
    for (name, path) in shared.pages() {
        browser.goto(&path);
        assert_eq!(browser.run(UNEXPLAINED, json!([])), json!([]), "{name} has figures without an explanation");
        figures += browser.count("main .figure") + browser.count("main th.number");
    }
    assert!(figures > 100, "{figures} figures");
}

#[test]
fn a_traceback_has_the_source_around_each_frame() {
    let shared = shared();
    let browser = Browser::open(&shared.site.address);
    browser.goto(&format!("/jobs/{}", shared.site.job(&shared.failed, "broken")));
    let frames =
        browser.run("return [...document.querySelectorAll('#failure mark')].map((one) => one.innerText)", json!([]));
    let line = |index: usize| frames[index].as_str().unwrap_or_default().to_owned();
    assert!(line(0).contains("    return inner(7)") && line(1).contains("    return value / 0"), "{frames}");
    // the lines have the numbers that they have in the script, as the frames do
    let text = browser.text("#failure");
    assert!(text.contains("line 11, in broken") && line(0).contains("11  "), "{text}");
    assert!(text.contains("print(\"about to divide\")") && text.contains("ZeroDivisionError"), "{text}");
}

#[test]
fn the_settings_of_bue_serve_are_those_in_effect() {
    let shared = shared();
    let browser = Browser::open(&shared.site.address);
    browser.goto("/settings");
    let row = |name: &str| {
        let rows = "return [...document.querySelectorAll('#settings tbody tr')].map((row) => row.innerText)";
        let rows = browser.run(rows, json!([]));
        let found =
            rows.as_array().and_then(|rows| rows.iter().filter_map(|row| row.as_str()).find(|row| row.contains(name)));
        found.unwrap_or_else(|| panic!("no {name} in {rows}")).to_owned()
    };
    for (name, value, source) in [
        ("BUE_HUB_LISTEN", shared.site.address.as_str(), "-b"),
        ("BUE_HUB_STORE", "sqlite:state/hub.db", "--data"),
        ("BUE_BUCKET_STORE", "dir:state/blobs", "--data"),
        ("BUE_KEEP", "7d", "bue serve"),
    ] {
        let row = row(name);
        assert!(row.contains(value) && row.contains(source), "{row}");
    }
}
