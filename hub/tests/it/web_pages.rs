//! The pages of errors, pipelines, schedules, workers, settings and differences: what they show, their buttons, roles and hostile texts.

use bue_hub::{ScheduleSpec, ScheduleUpdate};
use bue_model::history::HistorySample;
use bue_model::wire::{Submission, WorkerAbilities, WorkerStatus};
use bue_model::{JobState, RunId, RunState, Timestamp, Value};
use bue_test_support::wait::wait_until_async;

use crate::contract::pipelines::{plan, publish};
use crate::script::{Script, submission};
use crate::web::{NOW, WebHub, expect_page, location, result};
use crate::world::{completed, failed};

/// Markup in a text that others choose.
const MARKUP: &str = "<script>alert(1)</script>\"><img src=x>";
const HOUR: i64 = 3_600_000;

async fn page(hub: &WebHub, path: &str) -> String {
    let answer = hub.get(path).await;
    expect_page(&answer, 200, path);
    for markup in ["<script>alert", "<img src=x"] {
        assert!(!answer.body.contains(markup), "{path} contains {markup:?}: {}", answer.body);
    }
    answer.body
}

/// A run of a script with one step that failed with this message.
async fn failed_run(hub: &mut WebHub, step: &str, message: &str) -> RunId {
    let mut script = Script::new();
    script.call(&[step], &[]);
    let run = hub.world.submit(script).await;
    hub.world.lease_and_report(step, failed(message)).await;
    run
}

async fn put_schedule(hub: &WebHub, name: &str, fields: &str) {
    let text = format!(r#"{{"pipeline": "p", "params": {{"day": "mon"}}, {fields}}}"#);
    let spec = ScheduleSpec::from_json(&text).expect("a schedule");
    let update = ScheduleUpdate::one(name.to_owned(), spec);
    hub.world.store.put_schedules(hub.world.time(), update).await.expect("set");
}

/// The first address on a page that contains this text.
fn link_with<'a>(body: &'a str, part: &str) -> &'a str {
    let mut links = body.split("href=\"").filter_map(|rest| rest.split('"').next());
    links.find(|link| link.contains(part)).unwrap_or_else(|| panic!("no link with {part}: {body}"))
}

#[tokio::test]
async fn errors_are_in_groups_with_an_example_and_filters() {
    let mut hub = WebHub::open().await;
    assert!(page(&hub, "/errors").await.contains("bue logs last"), "an empty page says what to type");
    for number in 0..3 {
        failed_run(&mut hub, "load", &format!("row {number} is bad")).await;
    }
    failed_run(&mut hub, "fetch", MARKUP).await;
    let body = page(&hub, "/errors").await;
    assert!(body.contains("row # is bad") && body.contains("4 failed jobs"), "{body}");
    assert!(body.contains("<title>(4) Errors"), "{body}");
    let step = page(&hub, "/errors?step=load&since=1h&until=2100-01-01").await;
    assert!(step.contains("3 failed jobs") && !step.contains("alert(1)"), "{step}");
    assert!(page(&hub, "/errors?step=other").await.contains("No failed job matches"));
    let wrong = hub.get("/errors?since=soon").await;
    expect_page(&wrong, 400, "/errors?since=soon");
    assert!(wrong.body.contains("is not a time"), "{}", wrong.body);
}

#[tokio::test]
async fn a_group_is_reset_after_its_number_was_shown_and_no_other_job() {
    let mut hub = WebHub::open().await;
    let mut runs = Vec::new();
    for (step, message) in
        [("load", "row 1 is bad"), ("load", "row 2 is bad"), ("load", "no luck"), ("fetch", "row 3 is bad")]
    {
        runs.push(failed_run(&mut hub, step, message).await);
    }
    let body = page(&hub, "/errors?step=load").await;
    let confirmation = link_with(&body, "/errors/reset?step=load&amp;group=row+%23").replace("&amp;", "&");
    let asked = page(&hub, &confirmation).await;
    assert!(asked.contains("Reset 2 failed jobs of 2 runs?"), "{asked}");
    assert!(asked.contains("name=\"group\" value=\"row # is bad\""), "{asked}");
    assert!(hub.audit().await.is_empty() && hub.world.view(runs[0]).await.counts.failed == 1, "nothing is done yet");
    let form = "step=load&group=row+%23+is+bad&from=%2Ferrors%3Fstep%3Dload&confirmed=1";
    let done = hub.post("/errors/reset", form).await;
    expect_page(&done, 200, "/errors/reset");
    assert!(done.body.contains("Reset 2 jobs of 2 runs.") && done.body.contains("/errors?step=load"), "{}", done.body);
    let failed: Vec<_> = [
        hub.world.view(runs[0]).await.counts.failed,
        hub.world.view(runs[1]).await.counts.failed,
        hub.world.view(runs[2]).await.counts.failed,
        hub.world.view(runs[3]).await.counts.failed,
    ]
    .into();
    assert_eq!(failed, [0, 0, 1, 1], "another message and another step are left alone");
    assert_eq!(hub.audit().await[0].1, "runs.reset");
    assert!(page(&hub, &confirmation).await.contains("None of these jobs"));
    // a page of another site cannot send the form, and the way back leads to this one only
    let foreign = hub.post_with("/errors/reset", form, &[("origin", "https://evil.example")]).await;
    assert_eq!(foreign.status, 403);
    let body = page(&hub, "/errors/reset?step=load&group=no+luck&from=//evil.example").await;
    assert!(!body.contains("href=\"//evil") && body.contains("name=\"from\" value=\"/\""), "{body}");
}

#[tokio::test]
async fn pipelines_show_their_runs_and_start_new_ones() {
    let mut hub = WebHub::open().await;
    assert!(page(&hub, "/pipelines").await.contains("bue publish report.bue"));
    for number in 0..30 {
        publish(&hub.world, &format!("p{number:02}"), 100 + number, plan("a")).await;
    }
    let started = hub.post("/runs/new", "pipeline=p00&param.day=mon").await;
    let run = location(&started).to_owned();
    hub.world.lease_and_report("a", completed("1")).await;
    let body = page(&hub, "/pipelines").await;
    assert!(
        body.contains("30 pipelines are published")
            && body.contains(&format!("class=\"cell completed\" href=\"{run}\"")),
        "{body}"
    );
    let has = |body: &str, name: &str| body.contains(&format!("href=\"/pipelines/{name}\""));
    assert!(has(&body, "p24") && !has(&body, "p25"), "25 on a page");
    let next = page(&hub, link_with(&body, "/pipelines?after=")).await;
    assert!(has(&next, "p25") && !has(&next, "p24"), "{next}");
    let body = page(&hub, "/pipelines/p00").await;
    for part in
        ["action=\"/runs/new\"", "name=\"param.day\"", "bue invoke p00 day=…", "&quot;day&quot;", &run, "required"]
    {
        assert!(body.contains(part), "no {part}: {body}");
    }
    publish(&hub.world, "p00", 300, plan("b")).await;
    assert!(page(&hub, "/pipelines/p00").await.contains("2 <span class=\"tag\">current</span>"));
    assert_eq!(hub.get("/pipelines/none").await.status, 404);
}

#[tokio::test]
async fn a_schedule_is_explained_run_paused_and_removed() {
    let hub = WebHub::open().await;
    assert!(page(&hub, "/schedules").await.contains("bue schedule add"));
    publish(&hub.world, "p", 9, plan("a")).await;
    put_schedule(
        &hub,
        "daily",
        r#""cron": "0 6 * * *", "timezone": "Europe/Berlin", "overlap": "queue", "catch_up": "all:3""#,
    )
    .await;
    let body = page(&hub, "/schedules").await;
    assert!(body.contains("0 6 * * *") && body.contains("Europe/Berlin") && !body.contains("late"), "{body}");
    let body = page(&hub, "/schedules/daily").await;
    assert_eq!(body.matches("06:00 +01:00").count(), 5, "the next five times, with the zone's offset: {body}");
    for part in ["waits for it; at most a hundred wait", "so many of the last ones run later", "bue schedule run daily"]
    {
        assert!(body.contains(part), "no {part}: {body}");
    }
    let run = location(&hub.post("/schedules/daily/run", "").await).to_owned();
    assert!(page(&hub, "/schedules/daily").await.contains(&format!("class=\"cell running\" href=\"{run}\"")));
    assert_eq!(location(&hub.post("/schedules/daily/pause", "").await), "/schedules/daily");
    assert!(page(&hub, "/schedules/daily").await.contains("None while it is paused"));
    assert_eq!(location(&hub.post("/schedules/daily/resume", "").await), "/schedules/daily");
    let asked = hub.post("/schedules/daily/remove", "").await;
    assert!(asked.status == 200 && asked.body.contains("Remove the schedule daily?"), "{}", asked.body);
    assert_eq!(hub.get("/schedules/daily").await.status, 200, "nothing is done before it is confirmed");
    assert_eq!(location(&hub.post("/schedules/daily/remove", "confirmed=1").await), "/schedules");
    assert_eq!(hub.get("/schedules/daily").await.status, 404);
    let actions: Vec<_> = hub.audit().await.into_iter().map(|(_, action, _)| action).collect();
    assert_eq!(actions, ["schedule.remove", "schedule.resume", "schedule.pause", "schedule.run"]);
}

#[tokio::test]
async fn a_schedule_without_its_run_is_late() {
    let mut hub = WebHub::open().await;
    publish(&hub.world, "p", 9, plan("a")).await;
    // the clock of the hub stands still, and its scheduler has nothing to do yet
    hub.world.now = NOW - 2 * HOUR;
    put_schedule(&hub, "hourly", r#""every": "1h""#).await;
    let was_late = page(&hub, "/schedules").await.contains("1 schedule is late");
    let run = hub.world.store.schedule_runs("hourly".into(), 1).await.expect("runs");
    assert!(was_late || !run.is_empty(), "it is late until the hub has started its run");
}

/// The hub goes on without a browser until every due time has a run, at most two at a time.
#[tokio::test]
async fn a_backfill_goes_on_by_itself_and_shows_how_far_it_is() {
    let mut hub = WebHub::open().await;
    publish(&hub.world, "p", 9, plan("a")).await;
    put_schedule(&hub, "hourly", r#""every": "1h", "catch_up": "none""#).await;
    let time = |hours: i64| {
        let at = jiff::Timestamp::from_millisecond(NOW - hours * HOUR).expect("a time");
        at.to_string().replace(':', "%3A")
    };
    let form = format!("from={}&to={}&at_most=2", time(5), time(1));
    for (wrong, part) in
        [("from=soon&to=x", "is not a time"), ("from=2026-01-01&to=2026-01-02&at_most=many", "not an integer")]
    {
        let answer = hub.post("/schedules/hourly/backfill", wrong).await;
        expect_page(&answer, 422, wrong);
        assert!(answer.body.contains(part), "{wrong}: {}", answer.body);
    }
    assert_eq!(location(&hub.post("/schedules/hourly/backfill", &form).await), "/schedules/hourly");
    let again = hub.post("/schedules/hourly/backfill", &form).await;
    assert!(again.status == 409 && again.body.contains("a backfill that is not over"), "{}", again.body);
    wait_until_async("the progress is there", async || {
        hub.get("/schedules/hourly").await.body.contains("0 of 4 runs have ended")
    })
    .await;
    for _ in 0..2 {
        let mut held = Vec::new();
        wait_until_async("the next two runs", async || {
            held.extend(hub.world.lease(10).await);
            held.len() >= 2
        })
        .await;
        assert_eq!(held.len(), 2, "at most two run at a time");
        for job in &held {
            hub.world.report_accepted(job, completed("1")).await;
        }
    }
    wait_until_async("it is done", async || hub.get("/schedules/hourly").await.body.contains("It is done.")).await;
    let body = page(&hub, "/schedules/hourly").await;
    assert!(body.contains("4 of 4 runs have ended") && body.contains("4 completed"), "{body}");
    assert_eq!(hub.audit().await.iter().filter(|entry| entry.1 == "schedule.backfill").count(), 1);
    // stopping ends it: no further run starts
    let form = format!("from={}&to={}&at_most=1", time(50), time(10));
    location(&hub.post("/schedules/hourly/backfill", &form).await);
    assert_eq!(location(&hub.post("/schedules/hourly/backfill/stop", "").await), "/schedules/hourly");
    assert!(page(&hub, "/schedules/hourly").await.contains("It was stopped"));
    hub.world.run_all(|_| completed("1")).await;
    assert!(hub.world.store.running_jobs(10).await.expect("jobs").is_empty());
    assert_eq!(hub.audit().await[0].1, "schedule.backfill_stop");
}

#[tokio::test]
async fn workers_show_what_they_hold() {
    let mut hub = WebHub::open().await;
    assert!(page(&hub, "/workers").await.contains("Type <code>bue worker</code>"));
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, element| script.call(&["work"], &[element]));
    hub.world.submit(script).await;
    let client = bue_client::HubClient::new(&[hub.address.clone()]).expect("a client");
    let mut request = hub.world.request(1);
    request.worker = MARKUP.to_owned();
    request.abilities =
        WorkerAbilities { version: "9.9".into(), secrets: vec!["DB".into()], ..WorkerAbilities::default() };
    request.status = WorkerStatus {
        host: "box".into(),
        jobs_held: 1,
        jobs_running: 1,
        memory_used: Some(3 << 30),
        memory_limit: 4 << 30,
        cores: 2,
        ..WorkerStatus::default()
    };
    let leased = client.lease(&request).await.expect("a lease").leases;
    let job = leased.first().expect("a lease").job;
    let body = page(&hub, "/workers").await;
    for part in ["3.0 GiB of 4.0 GiB", "1 step on 2 cores", "box", "9.9", &format!("/jobs/{job}"), "1 job held"] {
        assert!(body.contains(part), "no {part}: {body}");
    }
    assert!(page(&hub, "/workers?scope=default").await.contains("box"));
    assert!(page(&hub, "/workers?scope=gpu").await.contains("bue worker -s gpu"));
    assert!(hub.get("/").await.body.contains("3.0 GiB of 4.0 GiB"));
}

#[tokio::test]
async fn two_runs_are_compared_side_by_side() {
    let mut hub = WebHub::open().await;
    let mut runs = Vec::new();
    for value in [7, 8, 7] {
        let mut script = Script::new();
        script.call(&[MARKUP, "load"], &[]);
        let run = hub.world.submit(script).await;
        hub.world.lease_and_report(MARKUP, result(&Value::Int(1))).await;
        hub.world.lease_and_report("load", result(&Value::Int(value))).await;
        runs.push(run);
    }
    let path = |one: usize, other: usize| format!("/runs/{}/diff/{}", runs[one], runs[other]);
    let body = page(&hub, &path(0, 1)).await;
    for part in ["All parameters have the same values", "Jobs of <bdi>load</bdi> that differ", "call 0", &path(1, 0)] {
        assert!(body.contains(part), "no {part}: {body}");
    }
    assert!(page(&hub, &path(0, 2)).await.contains("The runs are the same"));
    // runs to choose from, by their ids or their first digits
    let body = page(&hub, &format!("/runs/{}/diff/with", runs[0])).await;
    assert!(body.contains(&path(0, 2)) && !body.contains(&path(0, 0)), "{body}");
    let id = runs[1].to_string();
    assert!(page(&hub, &format!("/runs/{}/diff/with?run={id}", runs[0])).await.contains("Results by call"));
    for wrong in ["zzzz", "0000", "00000000-0000-0000-0000"] {
        let body = page(&hub, &format!("/runs/{}/diff/with?run={wrong}", runs[0])).await;
        assert!(body.contains("or more than one"), "{wrong}: {body}");
    }
    assert_eq!(hub.get(&format!("/runs/{}/diff/00000000-0000-0000-0000-00000000ffff", runs[0])).await.status, 404);
    // a run with other steps, which failed
    let mut script = Script::new();
    script.call(&["other"], &[]);
    let submitted = Submission { name: MARKUP.into(), ..submission(99, script.plan()) };
    let other = hub.world.store.submit(Timestamp(NOW), submitted).await.expect("a run");
    hub.world.lease_and_report("other", failed("no")).await;
    assert_eq!(hub.world.state(other).await, RunState::Failed);
    let body = page(&hub, &format!("/runs/{}/diff/{other}", runs[0])).await;
    assert!(body.contains("is in the run") && body.contains("no such job"), "{body}");
    assert!(body.contains(JobState::Failed.name()), "{body}");
}

#[tokio::test]
async fn settings_are_shown_to_those_who_may_change_runs() {
    let hub = WebHub::with_tokens().await;
    for (role, sees) in [("viewer", false), ("operator", true), ("admin", true)] {
        let answer = hub.get_as(role, "/settings").await;
        expect_page(&answer, 200, role);
        assert!(answer.body.contains(env!("CARGO_PKG_VERSION")) && answer.body.contains(role), "{}", answer.body);
        assert_eq!(answer.body.contains("Settings of the hub"), sees, "{role}");
    }
}

#[tokio::test]
async fn roles_see_and_use_the_actions_of_these_pages() {
    let mut hub = WebHub::with_tokens().await;
    failed_run(&mut hub, "load", "no luck").await;
    publish(&hub.world, "p", 9, plan("a")).await;
    put_schedule(&hub, "daily", r#""every": "24h""#).await;
    for (role, reads, submits, operates) in
        [("viewer", true, false, false), ("submitter", true, true, false), ("operator", true, true, true)]
    {
        for (path, part, is_there) in [
            ("/errors", "/errors/reset", operates),
            ("/pipelines", "/runs/new?pipeline=p", submits),
            ("/pipelines/p", "action=\"/runs/new\"", submits),
            ("/schedules/daily", "/schedules/daily/pause", submits),
            ("/schedules/daily", "/schedules/daily/backfill", submits),
        ] {
            let answer = hub.get_as(role, path).await;
            assert_eq!(answer.status == 200, reads, "{role} {path}");
            assert_eq!(answer.body.contains(part), is_there, "{role} {path} {part}: {}", answer.body);
        }
    }
    let invoker = hub.get_as("invoker", "/pipelines/p").await;
    assert!(invoker.status == 200 && invoker.body.contains("action=\"/runs/new\""), "{}", invoker.body);
    assert!(!invoker.body.contains("href=\"/pipelines\""), "it may not see all of them");
    // what is not shown is refused all the same
    for (role, path) in [
        ("viewer", "/schedules/daily/pause"),
        ("viewer", "/schedules/daily/remove"),
        ("viewer", "/schedules/daily/run"),
        ("viewer", "/schedules/daily/backfill"),
        ("viewer", "/schedules/daily/backfill/stop"),
        ("viewer", "/errors/reset"),
        ("submitter", "/errors/reset"),
        ("invoker", "/schedules/daily/run"),
        ("worker", "/errors/reset"),
    ] {
        let bearer = format!("Bearer {role}");
        let headers = [("origin", "http://localhost"), ("authorization", bearer.as_str())];
        let answer = hub.post_with(path, "confirmed=1&step=load&group=no+luck", &headers).await;
        assert_eq!(answer.status, 403, "{role} {path}");
    }
    assert_eq!(hub.get_as("submitter", "/errors/reset?step=load&group=no+luck").await.status, 403);
    assert!(hub.audit().await.is_empty(), "nothing was changed");
}

#[tokio::test]
async fn the_overview_shows_how_it_was() {
    let hub = WebHub::open().await;
    for (minutes, failed, workers) in [(30, 0, 3), (29, 2, 3), (0, 5, 1)] {
        let at = Timestamp(NOW - minutes * 60_000);
        let sample = HistorySample { at, failed, workers, running: 7, ..HistorySample::default() };
        hub.world.store.record_sample(sample).await.expect("recorded");
    }
    let first = NOW - 30 * 60_000;
    let body = page(&hub, "/?at=30m").await;
    assert!(body.contains("30 min ago") && body.contains("2027-01-15 07:30:00 UTC"), "{body}");
    assert!(body.contains("<span class=\"bad\">+5</span>") && body.contains("<span class=\"bad\">−2</span>"), "{body}");
    let later = format!("/?at={}", first + 60_000);
    assert!(body.contains(&format!("rel=\"next\" href=\"{later}\"")) && !body.contains("rel=\"prev\""), "{body}");
    let body = page(&hub, &later).await;
    assert!(body.contains(&format!("rel=\"prev\" href=\"/?at={first}\"")), "{body}");
    let wrong = hub.get("/?at=never").await;
    expect_page(&wrong, 400, "/?at=never");
    assert!(wrong.body.contains("is not a time"), "{}", wrong.body);
    for far in ["9999999999999999", "-9223372036854775808", "3000-01-01"] {
        assert_eq!(
            hub.get(&format!("/?at={far}")).await.status / 100,
            if far.starts_with('-') { 2 } else { 4 },
            "{far}"
        );
    }
    assert!(page(&hub, "/?at=2020-01-01").await.contains("There is no sample of this time"));
}

#[tokio::test]
async fn activity_adds_up_runs_by_pipeline_and_step() {
    let mut hub = WebHub::open().await;
    assert!(page(&hub, "/activity").await.contains("No run was started in this time"));
    for message in [MARKUP, "no luck"] {
        failed_run(&mut hub, MARKUP, message).await;
    }
    publish(&hub.world, "p", 9, plan("a")).await;
    location(&hub.post("/runs/new", "pipeline=p&param.day=mon").await);
    for period in ["", "?period=24h", "?period=7d", "?period=%3Cscript%3E"] {
        let body = page(&hub, &format!("/activity{period}")).await;
        assert!(body.contains("3 runs that were started") && body.contains("href=\"/pipelines/p\""), "{body}");
        let failures = format!("href=\"/errors?step={}", "%3Cscript%3Ealert%281%29");
        assert!(body.contains(&failures) && body.contains(">2</a>"), "{body}");
    }
}
