//! Texts of others are texts: tags, entities, characters that reorder lines, and very long lines, wherever they can be put.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::site::Site;

/// In every place. What follows `\u{202e}` would be shown from right to left.
const TEXT: &str = "<img src=x onerror=window.hacked=true><script>window.hacked=true</script>&lt;b&gt;\"'\u{202e}evil";
/// As it must be shown.
const SHOWN: &str =
    "<img src=x onerror=window.hacked=true><script>window.hacked=true</script>&lt;b&gt;\"'\\u{202e}evil";

/// The same for a name of a worker, which has 100 bytes at most.
const WORKER: &str = "<img src=x onerror=window.hacked=true><script>1</script>&lt;\"'\u{202e}evil";

/// A name has letters and digits only, of any script, also of those that are written from right to left.
const LONG_NAME: &str = "\u{5e9}\u{5dc}\u{5d5}\u{5dd}_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Raises, prints, takes and returns the text, and prints and raises a line of a megabyte.
fn script() -> String {
    let python = format!("{TEXT:?}").replace("\\u{202e}", "\\u202e").replace("\\'", "'");
    format!(
        r#"
param text: text = "x"

{LONG_NAME}:
    python
    fine
    `
TEXT = {python}
def fine(text):
    print(TEXT)
    print("long " + "x" * 20_000)
    return {{TEXT: [TEXT, text, "y" * 1_000]}}
    `

failing:
    python
    failing
    `
def failing(value):
    print("z" * 1_000_000)
    raise ValueError({python} + "w" * 1_000_000)
    `

value = {LONG_NAME}(text)
failing(value)
"#
    )
}

/// Fails if a text has become markup or a script, or widens the page.
#[track_caller]
fn expect_harmless(browser: &Browser, path: &str) {
    let found = "return [window.hacked ?? 0, document.querySelectorAll('main img, main script, main b:not([class])').length, \
                 document.body.innerText.includes('\\u202e'), \
                 document.documentElement.outerHTML.length]";
    let found = browser.run(found, json!([]));
    assert_eq!([&found[0], &found[1], &found[2]], [&json!(0), &json!(0), &json!(false)], "{path}");
    assert!(found[3].as_u64().is_some_and(|bytes| bytes < 500_000), "{path} has {} bytes", found[3]);
    assert_eq!(browser.too_wide(), "", "{path}");
}

#[test]
fn texts_of_scripts_and_steps_are_shown_as_they_are() {
    let site = Site::serve(&[("hostile", &script())], &[]);
    let file = "a <b> & \u{202e}.bue";
    site.write(file, &script());
    let run = site.bue(&["upload", "-f", file, "--param", &format!("text={TEXT}")]).trim().to_owned();
    site.wait_for_state(&run, "failed");
    let jobs = site.jobs(&run);
    let id = |index: usize| jobs[index]["id"].as_u64().expect("an id");
    let browser = Browser::open(&site.address);
    for (path, texts) in [
        ("/".to_owned(), vec![SHOWN]),
        ("/runs".to_owned(), vec!["a <b> & \\u{202e}.bue"]),
        (format!("/runs/{run}"), vec![SHOWN, LONG_NAME]),
        (format!("/runs/{run}?tab=parameters"), vec![SHOWN]),
        (format!("/runs/{run}?tab=results"), vec![LONG_NAME]),
        (format!("/runs/{run}?tab=activity"), vec![]),
        (format!("/jobs/{}", id(0)), vec![SHOWN]),
        (format!("/jobs/{}", id(1)), vec![SHOWN]),
        ("/errors".to_owned(), vec![SHOWN]),
        ("/pipelines".to_owned(), vec![]),
        ("/pipelines/hostile".to_owned(), vec![]),
        ("/runs/new?pipeline=hostile".to_owned(), vec!["text"]),
    ] {
        browser.goto(&path);
        // everything that is folded, too
        browser.run("document.querySelectorAll('main details').forEach((one) => (one.open = true))", json!([]));
        let text = browser.run("return document.querySelector('main').innerText", json!([]));
        for expected in texts {
            assert!(text.as_str().is_some_and(|text| text.contains(expected)), "{path}: no {expected}\n{text:.3000}");
        }
        expect_harmless(&browser, &path);
    }
}

#[test]
fn texts_in_addresses_and_forms_are_shown_as_they_are() {
    let site = Site::serve(&[], &[]);
    let browser = Browser::open(&site.address);
    let encoded: String = TEXT.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for path in [
        format!("/runs?name={encoded}&pipeline={encoded}&state={encoded}"),
        format!("/runs?since={encoded}"),
        format!("/runs?param={encoded}"),
        format!("/runs?after={encoded}"),
        format!("/?period={encoded}"),
        format!("/errors?step={encoded}&message={encoded}&since={encoded}"),
        format!("/runs/{encoded}"),
        format!("/jobs/{encoded}"),
        format!("/runs/new?pipeline={encoded}"),
        format!("/pipelines/{encoded}"),
        format!("/schedules/{encoded}"),
        format!("/{encoded}"),
        format!("/login?next={encoded}"),
        format!("/login?code={encoded}"),
    ] {
        browser.goto(&path);
        let status = browser.run("return performance.getEntriesByType('navigation')[0].responseStatus", json!([]));
        assert!(status.as_u64().is_some_and(|status| status < 500), "{path}: {status}");
        expect_harmless(&browser, &path);
        browser.ignore_refusals();
    }
    // a link to elsewhere is not followed
    browser.goto("/login?next=https://example.org/");
    assert_eq!(browser.path(), "/");
    assert_eq!(browser.run("return location.origin", json!([])), Value::from(format!("http://{}", site.address)));
}

#[test]
fn texts_of_workers_and_schedules_are_shown_as_they_are() {
    let mut site = Site::serve(&[("hostile", &script())], &[]);
    site.add_worker_named("nowhere", WORKER);
    let parameter = format!("text={TEXT}");
    site.bue(&["schedule", "add", "long", "--pipeline", "hostile", "--every", "24h", "--param", &parameter]);
    let browser = Browser::open(&site.address);
    let worker = WORKER.replace('\u{202e}', "\\u{202e}");
    for (path, texts) in [
        ("/workers", vec![worker.as_str()]),
        ("/workers?scope=nowhere", vec![&worker]),
        ("/", vec![&worker]),
        ("/schedules", vec!["long"]),
        ("/schedules/long", vec!["onerror=window.hacked", "u{202e}evil"]),
    ] {
        browser.goto(path);
        browser.run("document.querySelectorAll('main details').forEach((one) => (one.open = true))", json!([]));
        let text = browser.text("main");
        for expected in texts {
            assert!(text.contains(expected), "{path}: no {expected}\n{text:.3000}");
        }
        expect_harmless(&browser, path);
    }
}
