//! The schemas of JSON bodies, a file for each topic. A test compares those of responses with the types that are serialized.

mod bucket;
mod common;
mod jobs;
mod lists;
mod pipelines;
mod records;
mod reruns;
mod runs;
mod schedules;
mod shapes;
mod workers;

use serde_json::{Value, json};

use bucket::bucket;
use common::common;
use jobs::jobs;
use lists::lists;
use pipelines::pipelines;
use records::records;
use reruns::reruns;
use runs::runs;
use schedules::schedules;
pub(super) use shapes::reference;
use shapes::{uuid, with_entries};
use workers::workers;

/// The schema of a path's parameter.
pub(super) fn path_parameter(path: &str, name: &str) -> Value {
    match name {
        "hash" => json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" }),
        "key" => {
            json!({ "type": "string", "minLength": 1, "maxLength": 1024, "description": "parts separated by /" })
        }
        "name" => json!({ "type": "string", "pattern": "^[0-9A-Za-z][0-9A-Za-z._-]{0,99}$" }),
        _ if path.starts_with("/v1/runs") => uuid(),
        _ => json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX }),
    }
}

/// All schemas, by name.
pub(super) fn all() -> Value {
    let topics =
        [bucket(), common(), pipelines(), runs(), workers(), jobs(), schedules(), reruns(), lists(), records()];
    topics.into_iter().fold(json!({}), with_entries)
}

#[cfg(test)]
mod tests {
    use bue_model::attempt::{AttemptView, StepUsage};
    use bue_model::audit::{AuditPage, AuditView};
    use bue_model::bulk::BulkView;
    use bue_model::failed_jobs::{FailedJobEntry, FailedJobPage, FailedJobTime, FailureGroup, FailureGroupPage};
    use bue_model::history::{CountsView, HistorySample, HistoryView};
    use bue_model::keys::{KeyPage, KeyView};
    use bue_model::rerun::RunPlanView;
    use bue_model::schedule::{
        AppliedSchedule, BackfillProgress, RunCounts, ScheduleChange, SchedulePage, ScheduledRun,
    };
    use bue_model::wire::{
        AtMostView, Changed, ErrorBody, ErrorView, FieldError, HubView, JobCounts, JobPage, JobView, ParentView,
        RunPage, RunView, StepView, UnservedScope, WhyView, WorkerAbilities, WorkerView,
    };
    use bue_model::{ArgumentSummary, Failure, FailureKind, JobId, JobState, Round, RunId, RunState, Timestamp};
    use serde::Serialize;
    use uuid::Uuid;

    use super::*;
    use crate::schedules::progress::Progress;
    use crate::schedules::spec::ScheduleSpec;
    use crate::schedules::view::view_of;

    fn names(value: &Value) -> Vec<String> {
        let mut names: Vec<_> = value.as_object().expect("an object").keys().cloned().collect();
        names.sort();
        names
    }

    fn check_fields<T: Serialize>(schema: &str, value: &T) {
        let value = serde_json::to_value(value).expect("JSON");
        assert_eq!(names(&all()[schema]["properties"]), names(&value), "{schema}");
    }

    #[test]
    fn schemas_have_the_fields_that_are_serialized() {
        let run = RunId(Uuid::nil());
        let failure = Failure::new(FailureKind::Raised, "no");
        let round = Round { variable: "x".to_owned(), line: 1, round: 1, rounds: 2 };
        let argument = ArgumentSummary { name: None, value: "7".to_owned() };
        let attempt = AttemptView {
            started_at: Timestamp(1),
            ended_at: None,
            worker: None,
            verdict: None,
            run_ms: None,
            cpu_ms: None,
            peak_memory: None,
        };
        let job = JobView {
            id: JobId(1),
            run,
            step: String::new(),
            line: 1,
            rounds: vec![round.clone()],
            arguments: vec![argument.clone()],
            state: JobState::Failed,
            available_at: Timestamp(1),
            attempts: 1,
            started_at: None,
            run_ms: None,
            last_attempts: vec![attempt.clone()],
            waiting_for: 0,
            worker: None,
            failure: Some(failure.clone()),
            blocked_by: None,
            reused: false,
            digest: Some(String::new()),
        };
        let why = WhyView {
            job: job.clone(),
            now: Timestamp(1),
            scope: String::new(),
            parents: Vec::new(),
            pendings: 0,
            releases: 0,
            lease_ends_at: None,
            rate_opens_at: None,
            at_most: Some(AtMostView { running: 1, limit: 2 }),
            expires_at: None,
            served_by: Vec::new(),
        };
        let view = RunView {
            id: run,
            name: String::new(),
            state: RunState::Running,
            created_at: Timestamp(1),
            finished_at: None,
            version: 1,
            counts: JobCounts::default(),
            step_count: 0,
            steps: Vec::new(),
            now: Timestamp(1),
            eta: None,
            unserved: Vec::new(),
            rerun_of: None,
            pipeline: None,
        };
        let (pipeline, params, steps) = (None, Vec::new(), Vec::new());
        let plan = RunPlanView { run, name: String::new(), pipeline, rerun_of: None, params, steps };
        check_fields("RunPlan", &plan);
        let field = FieldError { field: String::new(), message: String::new() };
        let error = ErrorView { code: String::new(), message: String::new(), hint: String::new(), fields: vec![field] };
        let entry = AuditView {
            at: Timestamp(1),
            actor: String::new(),
            role: None,
            action: String::new(),
            target: String::new(),
            run: None,
            detail: json!({}),
        };
        check_fields("AuditEntry", &entry);
        check_fields("AuditPage", &AuditPage::default());
        check_fields("History", &HistoryView::default());
        check_fields("Counts", &CountsView::default());
        check_fields("HistorySample", &HistorySample::default());
        check_fields("Run", &view);
        check_fields("StepCounts", &StepView::default());
        check_fields("StepUsage", &StepUsage::default());
        check_fields("Attempt", &attempt);
        check_fields("KeyPage", &KeyPage::default());
        check_fields("Key", &KeyView { key: String::new(), bytes: 1, expires_at: None });
        check_fields("JobCounts", &view.counts);
        check_fields("Job", &job);
        check_fields("Round", &round);
        check_fields("Argument", &argument);
        check_fields("Why", &why);
        check_fields("Failure", &failure);
        let parent = ParentView { job: JobId(1), name: String::new(), state: JobState::Blocked, rounds: Some((1, 2)) };
        check_fields("Parent", &parent);
        check_fields("AtMost", &AtMostView { running: 1, limit: 2 });
        check_fields("Info", &HubView { version: String::new(), bucket: None, scopes: Vec::new(), wire: 8 });
        check_fields("JobPage", &JobPage::default());
        check_fields(
            "UnservedScope",
            &UnservedScope { scope: String::new(), steps: Vec::new(), more_steps: 0, jobs: 1 },
        );
        check_fields("WorkerAbilities", &WorkerAbilities::default());
        check_fields("Worker", &WorkerView::default());
        check_fields("BackfillProgress", &BackfillProgress::default());
        check_fields("RunCounts", &RunCounts::default());
        let applied = AppliedSchedule { name: String::new(), change: ScheduleChange::Created, next: None };
        check_fields("AppliedSchedule", &applied);
        check_fields("SchedulePage", &SchedulePage { schedules: Vec::new(), next: None });
        let spec = ScheduleSpec::from_json(r#"{"pipeline": "p", "every": "1h"}"#).expect("a schedule");
        let schedule = view_of(String::new(), &spec, &Progress::default(), 1, (None, None));
        check_fields("Schedule", &schedule);
        check_fields("ScheduledRun", &ScheduledRun { run, state: RunState::Running, due: Timestamp(1) });
        check_fields("Changed", &Changed { jobs: 1 });
        check_fields("RunPage", &RunPage::default());
        check_fields("ErrorPage", &FailedJobPage::default());
        check_fields("ErrorEntry", &FailedJobEntry { at: Timestamp(1), name: String::new(), job });
        check_fields("ErrorGroupPage", &FailureGroupPage::default());
        let newest = FailedJobTime { at: Timestamp(1), run, job: JobId(1) };
        check_fields("ErrorTime", &newest);
        let (step, message, oldest) = (String::new(), String::new(), newest.clone());
        check_fields("ErrorGroup", &FailureGroup { step, message, count: 1, newest, oldest });
        check_fields("Bulk", &BulkView::default());
        check_fields("Error", &ErrorBody { error });
    }
}
