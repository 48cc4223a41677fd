//! Cancelling, resetting and deleting many runs over HTTP.

use bue_model::bulk::BulkView;
use bue_model::{RunId, RunState};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::contract::pipelines::{invocation, plan, publish};
use crate::raw_http::raw_request;
use crate::script::Script;
use crate::servers::spawn_hub_at;
use crate::world::{LeasedJob, World, completed, failed, list};

const NOW: i64 = 1_800_000_000_000;

struct BulkHub {
    address: String,
    world: World,
}

impl BulkHub {
    async fn start() -> Self {
        let (address, world) = spawn_hub_at(NOW).await;
        Self { address, world }
    }

    async fn post(&self, operation: &str, body: &Value) -> (u16, Value) {
        let path = format!("/v1/runs:{operation}");
        let response = raw_request(&self.address, "POST", &path, "application/json", body.to_string().as_bytes()).await;
        (response.status, serde_json::from_str(&response.body).expect("JSON"))
    }

    async fn bulk(&self, operation: &str, body: &Value) -> BulkView {
        let (status, answer) = self.post(operation, body).await;
        assert_eq!(status, 200, "{body}: {answer}");
        serde_json::from_value(answer).expect("a view")
    }

    /// Checks that a dry run counts what is done then, and that nothing is left to do after it. Returns what was done.
    async fn twice(&self, operation: &str, filter: Value) -> BulkView {
        let dry = self.bulk(operation, &json!({"filter": filter, "dry_run": true})).await;
        let done = self.bulk(operation, &json!({"filter": filter})).await;
        assert!(dry.dry_run && !done.dry_run);
        assert_eq!((dry.runs, dry.jobs, &dry.examples), (done.runs, done.jobs, &done.examples), "{filter}");
        let again = self.bulk(operation, &json!({"filter": filter})).await;
        assert_eq!((again.runs, again.jobs, again.skipped), (0, 0, 0), "{filter}");
        done
    }
}

fn id(number: u128) -> RunId {
    RunId(Uuid::from_u128(number))
}

fn numbers(view: &BulkView) -> Vec<u128> {
    view.examples.iter().map(|example| example.run.0.as_u128()).collect()
}

/// Five runs of `for x in source(): a(x); b(x)` with three rounds each, whose jobs end as `answer` says.
async fn five_runs(world: &mut World, mut answer: impl FnMut(u128, &LeasedJob) -> bue_model::Outcome) {
    for number in 1..=5 {
        world.now = NOW - 60_000 * (6 - number as i64);
        let mut script = Script::new();
        let source = script.call(&["source"], &[]);
        script.each(source, |script, x| {
            script.call(&["a"], std::slice::from_ref(&x));
            script.call(&["b"], &[x]);
        });
        world.submit(script).await;
        world.run_all(|held| if held.name() == "source" { list(3) } else { answer(number, held) }).await;
    }
    world.now = NOW;
}

#[tokio::test]
async fn failed_jobs_are_reset_by_step_and_text() {
    let mut hub = BulkHub::start().await;
    // runs 1 to 4 have failed jobs: all of `a` in run 1, one of `b` in each
    let answer = |number: u128, held: &LeasedJob| match held.name() {
        "a" if number == 1 => failed("timeout after 7 s"),
        "b" if number < 5 && held.arguments()[0].ends_with("[2]") => {
            failed(if number == 2 { "no route" } else { "timeout" })
        }
        _ => completed("1"),
    };
    five_runs(&mut hub.world, answer).await;
    let by_step = hub.twice("reset", json!({"step": "a"})).await;
    assert_eq!((by_step.runs, by_step.jobs, numbers(&by_step)), (1, 3, vec![1]));
    assert_eq!(hub.world.view(id(1)).await.counts.failed, 1, "the job of `b` is left alone");
    let by_text = hub.twice("reset", json!({"error": "time", "since": "4m 30s"})).await;
    assert_eq!((by_text.runs, by_text.jobs, numbers(&by_text)), (2, 2, vec![4, 3]));
    let both = hub.twice("reset", json!({"step": "b", "error": "no route"})).await;
    assert_eq!((both.runs, numbers(&both)), (1, vec![2]));
    let none = hub.bulk("reset", &json!({"filter": {"step": "b", "error": "TIMEOUT"}})).await;
    assert_eq!((none.runs, none.jobs, none.next), (0, 0, None));
    let rest = hub.twice("reset", json!({"state": "failed,running"})).await;
    assert_eq!((rest.runs, rest.jobs, numbers(&rest)), (1, 1, vec![1]));
    assert_eq!(rest.examples[0].state, RunState::Running, "it has jobs to do since the first reset");
}

#[tokio::test]
async fn runs_are_cancelled_and_deleted_by_what_they_are() {
    let mut hub = BulkHub::start().await;
    publish(&hub.world, "p", 77, plan("a")).await;
    for number in 1..=30_u32 {
        let day = if number % 2 == 0 { "mon" } else { "tue" };
        hub.world.now = NOW - 86_400_000 + i64::from(number);
        let run = invocation("p", number.into(), day);
        hub.world.store.invoke(hub.world.time(), vec![run]).await.expect("a run");
    }
    let cancelled = hub.twice("cancel", json!({"params": {"day": "mon"}, "pipeline": "p"})).await;
    assert_eq!((cancelled.runs, cancelled.jobs, cancelled.examples.len()), (15, 15, 15));
    assert_eq!(cancelled.examples[0].name, "test.bue");
    let deleted = hub.twice("delete", json!({"name": "test*", "until": "1h"})).await;
    assert_eq!((deleted.runs, deleted.jobs), (15, 15), "those that run are left alone");
    let all = hub.bulk("cancel", &json!({"all": true})).await;
    assert_eq!((all.runs, all.next), (15, None));
    // what was cancelled comes back only if it is named
    assert_eq!(hub.bulk("reset", &json!({"all": true})).await.runs, 0);
    let reset = hub.twice("reset", json!({"state": "cancelled"})).await;
    assert_eq!((reset.runs, reset.jobs), (15, 15));
    let none = hub.bulk("delete", &json!({"all": true})).await;
    assert_eq!((none.runs, none.skipped), (0, 0));
    assert_eq!(hub.world.store.runs(100).await.expect("runs").len(), 15);
}

/// A request changes a thousand runs at most, and says where the next one continues.
#[tokio::test]
async fn a_long_operation_is_continued() {
    let hub = BulkHub::start().await;
    publish(&hub.world, "p", 9_999, plan("a")).await;
    for batch in 0..3 {
        let runs = (1..=500).map(|number| invocation("p", batch * 500 + number, "mon"));
        hub.world.store.invoke(hub.world.time(), runs.collect()).await.expect("runs");
    }
    let mut request = json!({"filter": {"state": ["running"]}, "dry_run": true});
    for dry_run in [true, false] {
        let (mut runs, mut requests) = (0, 0);
        request["dry_run"] = json!(dry_run);
        request.as_object_mut().expect("an object").remove("after");
        loop {
            let view = hub.bulk("cancel", &request).await;
            assert!(view.runs <= 1_000 && view.examples.len() == 20);
            (runs, requests) = (runs + view.runs, requests + 1);
            let Some(next) = view.next else { break };
            request["after"] = json!(next);
        }
        assert_eq!(runs, 1_500);
        assert!(requests >= 2);
    }
    let view = hub.bulk("cancel", &json!({"all": true, "dry_run": true})).await;
    assert_eq!(view.runs, 0);
}

#[tokio::test]
async fn what_cannot_be_changed_is_named() {
    let mut hub = BulkHub::start().await;
    // a job of the `finally` block runs, so jobs outside of it are not reset
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.finally(|script, run| script.call(&["end"], &[run]));
    let ending = hub.world.submit(script).await;
    hub.world.lease_and_report("a", failed("no")).await;
    let view = hub.bulk("reset", &json!({"filter": {"step": "a"}})).await;
    assert_eq!((view.runs, view.jobs, view.skipped), (0, 0, 1));
    assert_eq!((view.problems[0].run, view.problems[0].code.as_str()), (ending, "run_ending"));
    for (operation, body, fields) in [
        ("delete", json!({}), &["filter"][..]),
        ("delete", json!({"filter": {}}), &["filter"]),
        ("cancel", json!({"filter": {"sate": "x"}}), &["filter.sate"]),
        ("delete", json!({"filter": {"state": "running"}}), &["filter.state"]),
        (
            "reset",
            json!({"filter": {"since": "soon", "state": "lost", "error": ""}}),
            &["filter.error", "filter.since", "filter.state"],
        ),
        ("reset", json!({"all": true, "dryrun": true}), &["dryrun"]),
        ("reset", json!({"all": true, "after": "1"}), &["after"]),
    ] {
        let (status, answer) = hub.post(operation, &body).await;
        let fields_of = answer["error"]["fields"].as_array().into_iter().flatten();
        let mut named: Vec<_> = fields_of.filter_map(|one| one["field"].as_str()).collect();
        named.sort_unstable();
        assert_eq!((status, named), (422, fields.to_vec()), "{body}: {answer}");
    }
    let response = raw_request(&hub.address, "POST", "/v1/runs:delete", "text/plain", b"{}").await;
    assert_eq!(response.status, 415);
}
