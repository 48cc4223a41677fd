//! [`World`]: a store, a clock that is moved by hand, and a worker that the test controls.

use std::path::Path;
use std::sync::Arc;

use bue_hub::{Durability, HubError, JobStore, SqliteStore};
use bue_model::attempt::AttemptUsage;
use bue_model::job::Hints;
use bue_model::wire::{
    Gathered, Heartbeat, JobInput, JobView, Lease, LeaseRequest, LeasedStep, ListPiece, PieceVerdict, Report,
    ReportBatch, ResultCursor, ResultPage, RoundValue, RunView, StepView, Verdict, WorkerStatus,
};
use bue_model::{Chunk, Failure, FailureKind, JobId, Outcome, RunId, RunState, Timestamp, ValueRef};
use tempfile::TempDir;

use crate::script::{Script, submission};

/// The environment of a test.
pub(crate) struct World {
    pub(crate) store: Arc<dyn JobStore>,
    pub(crate) now: i64,
    pub(crate) runs: u128,
    /// The scopes that the worker serves.
    pub(crate) scopes: Vec<String>,
    pub(crate) reverse: bool,
    /// Deleted with the world.
    #[expect(dead_code, reason = "it is deleted with the world")]
    pub(crate) folder: Option<TempDir>,
}

/// A job that the worker holds.
#[derive(Clone, Debug)]
pub(crate) struct LeasedJob {
    pub(crate) lease: Lease,
    pub(crate) step: LeasedStep,
}

impl LeasedJob {
    pub(crate) fn name(&self) -> &str {
        &self.step.name
    }

    pub(crate) fn job(&self) -> JobId {
        self.lease.job
    }

    /// Returns the arguments as texts: values as they are, elements as `chunk[index]`, gathered ones in brackets.
    pub(crate) fn arguments(&self) -> Vec<String> {
        self.lease.inputs.iter().map(argument).collect()
    }
}

fn argument(input: &JobInput) -> String {
    match input {
        JobInput::Value(value) => text_of(value),
        JobInput::Element { chunk, index } => format!("{}[{index}]", text_of(&chunk.value)),
        JobInput::Part { chunk, index, part } => format!("{}[{index}][{part}]", text_of(&chunk.value)),
        JobInput::Gathered(values) => {
            let texts: Vec<_> = values
                .iter()
                .map(|value| match value {
                    Gathered::Value(value) => text_of(value),
                    Gathered::Nothing => "-".to_owned(),
                })
                .collect();
            format!("[{}]", texts.join(" "))
        }
    }
}

pub(crate) fn text_of(value: &ValueRef) -> String {
    match value {
        ValueRef::Inline(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Blob(blob) => blob.hash.to_string(),
        ValueRef::List(chunks) => format!("list of {}", chunks.iter().map(|chunk| chunk.count).sum::<u32>()),
    }
}

pub(crate) fn value(text: &str) -> ValueRef {
    ValueRef::Inline(text.as_bytes().to_vec().into())
}

/// Returns a list in pieces of at most ten elements, called `c0`, `c1`, ...
pub(crate) fn list(count: u32) -> Outcome {
    let pieces = (0..count)
        .step_by(10)
        .map(|from| Chunk { count: (count - from).min(10), value: Box::new(value(&format!("c{}", from / 10))) });
    Outcome::Completed { value: ValueRef::List(pieces.collect()), hints: Hints::default() }
}

pub(crate) fn completed(text: &str) -> Outcome {
    Outcome::Completed { value: value(text), hints: Hints::default() }
}

pub(crate) fn failed(text: &str) -> Outcome {
    Outcome::Failed(Failure::new(FailureKind::Raised, text))
}

pub(crate) const PENDING: Outcome = Outcome::Pending { delay_ms: None, scope: None };
pub(crate) const RESET: Outcome = Outcome::Reset { delay_ms: Some(0) };

impl World {
    pub(crate) fn new(store: Arc<dyn JobStore>) -> Self {
        Self { store, now: 1_000_000, runs: 0, scopes: vec!["default".into()], reverse: false, folder: None }
    }

    /// A world on SQLite in memory.
    pub(crate) fn sqlite() -> Self {
        Self::at(Path::new(":memory:"))
    }

    /// A world on SQLite in a file of its own.
    pub(crate) fn in_new_file() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let world = Self::at(&folder.path().join("hub.db"));
        Self { folder: Some(folder), ..world }
    }

    /// A world on SQLite in a file.
    pub(crate) fn at(path: &Path) -> Self {
        Self::new(Arc::new(SqliteStore::open(path, Durability::Off).expect("a store")))
    }

    pub(crate) fn time(&self) -> Timestamp {
        Timestamp(self.now)
    }

    pub(crate) async fn submit(&mut self, script: Script) -> RunId {
        self.runs += 1;
        let submission = submission(self.runs, script.plan());
        self.store.submit(self.time(), submission).await.expect("a run")
    }

    pub(crate) fn request(&self, count: u32) -> LeaseRequest {
        let (scopes, reverse) = (self.scopes.clone(), self.reverse);
        LeaseRequest { worker: "w1".into(), scopes, reverse, count, wait_ms: 0, ..LeaseRequest::default() }
    }

    /// Leases up to `count` jobs.
    pub(crate) async fn lease(&mut self, count: u32) -> Vec<LeasedJob> {
        let leased = self.store.lease(self.time(), self.request(count)).await.expect("leases");
        let steps = leased.batch.steps;
        let hold = |lease: Lease| LeasedJob { step: steps[lease.step as usize].clone(), lease };
        leased.batch.leases.into_iter().map(hold).collect()
    }

    /// Leases up to a thousand jobs, and returns their names.
    pub(crate) async fn lease_names(&mut self) -> Vec<String> {
        self.lease(1000).await.iter().map(|held| held.name().to_owned()).collect()
    }

    /// Leases the one job that is ready.
    pub(crate) async fn lease_one(&mut self) -> LeasedJob {
        let mut held = self.lease(10).await;
        assert_eq!(held.len(), 1, "{:?}", held.iter().map(LeasedJob::name).collect::<Vec<_>>());
        held.remove(0)
    }

    /// Leases this many jobs, of which more are ready, and returns the first.
    pub(crate) async fn lease_one_of(&mut self, count: u32) -> LeasedJob {
        let mut held = self.lease(count).await;
        assert_eq!(held.len(), count as usize);
        held.remove(0)
    }

    /// Leases the one job that is ready, which must have this name.
    pub(crate) async fn lease_named(&mut self, name: &str) -> LeasedJob {
        let held = self.lease_one().await;
        assert_eq!(held.name(), name);
        held
    }

    pub(crate) async fn expect_nothing_ready(&mut self) {
        let held = self.lease(10).await;
        assert!(held.is_empty(), "{:?}", held.iter().map(LeasedJob::name).collect::<Vec<_>>());
    }

    pub(crate) async fn report(&self, held: &LeasedJob, outcome: Outcome) -> Verdict {
        let report = Report {
            job: held.job(),
            token: held.lease.token,
            outcome,
            log: None,
            arguments: Vec::new(),
            usage: AttemptUsage::of_ms(10),
        };
        self.send_report(report).await
    }

    pub(crate) async fn send_report(&self, report: Report) -> Verdict {
        let batch = ReportBatch { worker: "w1".into(), reports: vec![report] };
        self.store.complete(self.time(), batch).await.expect("verdicts").remove(0)
    }

    /// Reports the elements of a running job that follow the first `first` ones, called `c{first}`.
    pub(crate) async fn send_piece(&self, held: &LeasedJob, first: u32, count: u32) -> Result<PieceVerdict, HubError> {
        let chunk = Chunk { count, value: Box::new(value(&format!("c{first}"))) };
        let chunks = if count > 0 { vec![chunk] } else { Vec::new() };
        let (job, token, run) = (held.job(), held.lease.token, held.lease.run);
        let piece = ListPiece { worker: "w1".into(), run, job, token, first: first.into(), chunks, wait_ms: 0 };
        self.store.record_piece(self.time(), piece).await
    }

    /// Reports elements that must be accepted.
    pub(crate) async fn piece_accepted(&self, held: &LeasedJob, first: u32, count: u32) {
        let verdict = self.send_piece(held, first, count).await;
        assert!(matches!(verdict, Ok(PieceVerdict::Accepted)), "{verdict:?}");
    }

    /// Reports an outcome that must be accepted.
    pub(crate) async fn report_accepted(&mut self, held: &LeasedJob, outcome: Outcome) {
        assert_eq!(self.report(held, outcome).await, Verdict::Accepted, "{}", held.name());
    }

    /// Leases the one ready job, which must have this name, and reports its outcome.
    pub(crate) async fn lease_and_report(&mut self, name: &str, outcome: Outcome) -> LeasedJob {
        let held = self.lease_named(name).await;
        self.report_accepted(&held, outcome).await;
        held
    }

    /// Completes one of several ready jobs of this name.
    pub(crate) async fn complete_one_of(&mut self, name: &str) {
        let held = self.lease(1).await;
        assert_eq!(held.iter().map(LeasedJob::name).collect::<Vec<_>>(), [name]);
        self.report_accepted(&held[0], completed("1")).await;
    }

    /// Runs everything that is ready, and what becomes ready thereby, at this time.
    pub(crate) async fn run_all(&mut self, mut answer: impl FnMut(&LeasedJob) -> Outcome) -> usize {
        let mut done = 0;
        loop {
            let held = self.lease(100).await;
            if held.is_empty() {
                return done;
            }
            done += held.len();
            let outcomes = held.into_iter().map(|held| {
                let outcome = answer(&held);
                (held, outcome)
            });
            self.report_all_accepted(outcomes.collect()).await;
        }
    }

    /// Reports in one batch, as a worker does; all must be accepted.
    pub(crate) async fn report_all_accepted(&mut self, outcomes: Vec<(LeasedJob, Outcome)>) {
        let report = |(held, outcome): (LeasedJob, Outcome)| {
            let (job, token) = (held.job(), held.lease.token);
            Report { job, token, outcome, log: None, arguments: Vec::new(), usage: AttemptUsage::of_ms(10) }
        };
        let batch = ReportBatch { worker: "w1".into(), reports: outcomes.into_iter().map(report).collect() };
        let verdicts = self.store.complete(self.time(), batch).await.expect("verdicts");
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Accepted), "{verdicts:?}");
    }

    pub(crate) async fn reap(&mut self) -> Vec<JobId> {
        self.store.reap(self.time()).await.expect("reaped").jobs
    }

    /// Fails the jobs that have expired, and returns them and when the next one does.
    pub(crate) async fn expire(&mut self) -> (Vec<JobId>, Option<i64>) {
        let expired = self.store.expire(self.time()).await.expect("expired");
        (expired.jobs, expired.next_at.map(|at| at.0))
    }

    /// Sends a heartbeat, and returns the jobs that are lost.
    pub(crate) async fn heartbeat(&mut self, held: &[&LeasedJob]) -> Vec<JobId> {
        let leases = held.iter().map(|held| (held.job(), held.lease.token)).collect();
        let heartbeat = Heartbeat { worker: "w1".into(), leases, status: WorkerStatus::default() };
        self.store.heartbeat(self.time(), heartbeat).await.expect("an answer").lost
    }

    pub(crate) async fn view(&self, run: RunId) -> RunView {
        self.store.run(run).await.expect("a view").expect("the run")
    }

    pub(crate) async fn state(&self, run: RunId) -> RunState {
        self.view(run).await.state
    }

    pub(crate) async fn step(&self, run: RunId, name: &str) -> StepView {
        let view = self.view(run).await;
        view.steps.into_iter().find(|step| step.name == name).expect("the step")
    }

    pub(crate) async fn job(&self, job: JobId) -> JobView {
        self.store.job(job).await.expect("a view").expect("the job")
    }

    pub(crate) async fn page(&self, run: RunId) -> ResultPage {
        self.store.results(run, ResultCursor::default()).await.expect("a page").expect("the run")
    }

    /// Returns the results as one text: rounds in brackets, no value as `-`.
    pub(crate) async fn results(&self, run: RunId) -> String {
        let page = self.page(run).await;
        assert_eq!(page.next, None);
        page.results.iter().map(|result| round_text(&result.value)).collect::<Vec<_>>().join(" ")
    }

    /// Returns why results are missing as one text: rounds in brackets, `value` where there is one.
    pub(crate) async fn missing(&self, run: RunId) -> String {
        let page = self.page(run).await;
        page.results.iter().map(|result| missing_text(&result.value)).collect::<Vec<_>>().join(" ")
    }
}

/// Returns the reason why there is no value.
fn missing_text(value: &RoundValue) -> String {
    match value {
        RoundValue::Nothing(reason) => reason.name().to_owned(),
        RoundValue::Value(_) => "value".to_owned(),
        RoundValue::Rounds(rounds) => format!("[{}]", rounds.iter().map(missing_text).collect::<Vec<_>>().join(" ")),
    }
}

pub(crate) fn round_text(value: &RoundValue) -> String {
    match value {
        RoundValue::Nothing(_) => "-".to_owned(),
        RoundValue::Value(value) => text_of(value),
        RoundValue::Rounds(rounds) => format!("[{}]", rounds.iter().map(round_text).collect::<Vec<_>>().join(" ")),
    }
}
