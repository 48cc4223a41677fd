//! What each role is shown, and what it is refused regardless of what it is shown.

use serde_json::json;

use crate::browser::Browser;
use crate::site::{BROKEN, Site, WAITING};

/// A page and the buttons on it: those for viewers, operators and administrators.
type Case<'a> = (String, [&'a [&'a str]; 3]);

#[test]
fn each_role_sees_the_buttons_that_it_may_press() {
    let roles = ["viewer", "operator", "admin"];
    let (site, tokens) = Site::serve_with_tokens(&[("waiting", WAITING), ("broken", BROKEN)], &roles);
    let (waiting, failed) = (site.invoke("waiting", &[]), site.invoke("broken", &[]));
    site.wait_for_state(&failed, "failed");
    let all_runs: &[&str] = &["Start a run", "Reset failed jobs…", "Cancel…", "Delete…"];
    let ended: &[&str] = &["Reset", "Delete…", "Rerun", "Rerun with…"];
    let schedule: &[&str] = &["Run now", "Pause", "Remove…", "Start backfill"];
    site.bue(&["schedule", "add", "nightly", "--pipeline", "waiting", "--cron", "0 6 * * *"]);
    let cases: Vec<Case<'_>> = vec![
        ("/runs".to_owned(), [&[], all_runs, all_runs]),
        (format!("/runs/{waiting}"), [&[], &["Cancel…"], &["Cancel…"]]),
        (format!("/runs/{failed}"), [&[], ended, ended]),
        (format!("/jobs/{}", site.job(&waiting, "idle")), [&[], &["Cancel call"], &["Cancel call"]]),
        (format!("/jobs/{}", site.job(&failed, "broken")), [&[], &["Reset"], &["Reset"]]),
        ("/schedules/nightly".to_owned(), [&[], schedule, schedule]),
        ("/pipelines/waiting".to_owned(), [&[], &["Start"], &["Start"]]),
        ("/errors".to_owned(), [&[], &["Reset…"], &["Reset…"]]),
    ];
    for (index, token) in tokens.iter().enumerate() {
        let browser = Browser::open(&site.address);
        browser.goto("/login");
        browser.fill("input[name=token]", token);
        browser.press("Log in");
        browser.wait_for_path("/");
        for (path, expected) in &cases {
            browser.goto(path);
            // those that only show something
            let reading = ["Filter", "Copy", "Compare…", "All runs"];
            let buttons: Vec<_> =
                browser.buttons().into_iter().filter(|label| !reading.contains(&label.as_str())).collect();
            assert_eq!(buttons, expected[index], "{} at {path}", roles[index]);
        }
    }
}

#[test]
fn what_a_role_may_not_do_is_refused_regardless() {
    let (site, tokens) = Site::serve_with_tokens(&[("waiting", WAITING)], &["viewer"]);
    let run = site.invoke("waiting", &[]);
    let job = site.job(&run, "idle");
    let browser = Browser::open(&site.address);
    browser.goto("/login");
    browser.fill("input[name=token]", &tokens[0]);
    browser.press("Log in");
    browser.wait_for_path("/");
    site.bue(&["schedule", "add", "nightly", "--pipeline", "waiting", "--cron", "0 6 * * *"]);
    let actions = [
        "/schedules/nightly/pause".to_owned(),
        "/schedules/nightly/resume".to_owned(),
        "/schedules/nightly/run".to_owned(),
        "/schedules/nightly/remove".to_owned(),
        "/schedules/nightly/backfill".to_owned(),
        "/schedules/nightly/backfill/stop".to_owned(),
        "/errors/reset".to_owned(),
        format!("/runs/{run}/cancel"),
        format!("/runs/{run}/reset"),
        format!("/runs/{run}/delete"),
        format!("/runs/{run}/rerun"),
        "/runs/change".to_owned(),
        "/runs/new".to_owned(),
        format!("/jobs/{job}/cancel"),
        format!("/jobs/{job}/reset"),
    ];
    let post = "const body = new URLSearchParams({ confirmed: '1', action: 'cancel', pipeline: 'waiting' }); \
                const answer = await fetch(args[0], { method: 'POST', body }); \
                return [answer.status, await answer.text()]";
    for path in &actions {
        let answer = browser.run_async(post, json!([path]));
        assert_eq!(answer[0], 403, "{path}: {answer}");
        assert!(answer[1].as_str().is_some_and(|text| text.contains("viewer")), "{path}: {answer}");
    }
    browser.goto("/runs/new");
    assert_eq!(browser.status(), 403);
    browser.expect_refusal(403);
    let view = site.get(&format!("/v1/runs/{run}"));
    assert_eq!((&view["state"], &view["counts"]["available"]), (&json!("running"), &json!(1)), "nothing has changed");
    assert_eq!(site.get("/v1/schedules/nightly")["state"], "active");
    assert_eq!(site.get("/v1/runs")["runs"].as_array().map(Vec::len), Some(1));
}
