//! One job from its lease to its report.

use std::sync::Arc;
use std::time::Instant;

use bue_client::ClientError;
use bue_model::wire::{Lease, LeasedStep, Report};
use bue_model::{Answer, Failure, FailureKind, Outcome};
use bue_runtime::{BadPackages, Databases, Event, Finished, Hosts, Limits, PackageProblem, Running, RuntimeError};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use crate::admission::{Arrival, Place};
use crate::fetch::{Fetch, FetchError};
use crate::held::{Held, Stop};
use crate::output::{ListWriter, Output, cut_list};
use crate::rate_key::rate_key;
use crate::reporter::Ready;
use crate::task::{self, Work};

/// What running jobs needs.
#[derive(Debug)]
pub(crate) struct JobRunner {
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) databases: Databases,
    pub(crate) fetch: Fetch,
    pub(crate) limits: Limits,
    pub(crate) held: Arc<Held>,
    pub(crate) reports: mpsc::UnboundedSender<Ready>,
}

/// What became of an attempt, before its log is stored.
struct Attempt {
    outcome: Outcome,
    log: Bytes,
}

impl From<Outcome> for Attempt {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, log: Bytes::new() }
    }
}

/// Ways an attempt ends without the step having said anything.
enum Unfinished {
    /// The step, or what it was given, is at fault.
    Fault(Failure),
    /// Nobody is: another try may do better.
    GiveBack(String),
}

impl From<FetchError> for Unfinished {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Bucket(..) => Self::GiveBack(error.to_string()),
            FetchError::Malformed(..) => Self::Fault(Failure::new(FailureKind::Internal, error.to_string())),
            FetchError::Damaged(_) => Self::Fault(Failure::new(FailureKind::BadCode, error.to_string())),
            FetchError::Packages(bad) => packages_fault(&bad),
        }
    }
}

fn packages_fault(bad: &BadPackages) -> Unfinished {
    let kind = match bad.problem {
        // a disk that is full here may be empty elsewhere
        PackageProblem::Io(_) => return Unfinished::GiveBack(bad.to_string()),
        PackageProblem::Limit { .. } => FailureKind::Limit,
        PackageProblem::NotZip(_) | PackageProblem::Unfit(..) => FailureKind::BadCode,
    };
    Unfinished::Fault(Failure::new(kind, bad.to_string()))
}

impl From<ClientError> for Unfinished {
    fn from(error: ClientError) -> Self {
        Self::GiveBack(format!("failed to store what the step gave: {error}"))
    }
}

impl From<RuntimeError> for Unfinished {
    fn from(error: RuntimeError) -> Self {
        Self::GiveBack(format!("no sandbox to run the step in: {error}"))
    }
}

impl From<Unfinished> for Attempt {
    fn from(unfinished: Unfinished) -> Self {
        match unfinished {
            Unfinished::Fault(failure) => Outcome::Failed(failure).into(),
            Unfinished::GiveBack(reason) => Outcome::Released { reason }.into(),
        }
    }
}

impl JobRunner {
    /// Runs the job unless it is stopped, and hands its report on with its slot.
    pub(crate) async fn run(
        self: Arc<Self>,
        lease: Lease,
        step: Arc<LeasedStep>,
        mut stopped: watch::Receiver<Option<Stop>>,
        place: Place,
    ) {
        let started = Instant::now();
        let Place { slot, arrival } = place;
        let attempt = tokio::select! {
            attempt = self.attempt(&lease, &step, Some(arrival)) => Some(attempt.unwrap_or_else(Attempt::from)),
            why = stop(&mut stopped) => given_back(why),
        };
        let Some(attempt) = attempt else { return self.held.let_go(lease.job, lease.token) };
        let report = self.report(&lease, attempt, started).await;
        if self.reports.send((report, slot)).is_err() {
            tracing::error!(job = %lease.job, "nobody is left to report to the hub; the lease will end");
        }
    }

    /// Hands on that the job was not begun.
    pub(crate) fn give_back(&self, lease: &Lease, slot: OwnedSemaphorePermit) {
        let report = Report { job: lease.job, token: lease.token, outcome: shutting_down(), log: None, run_ms: 0 };
        // without a reporter the lease ends by itself
        let _ = self.reports.send((report, slot));
    }

    /// Runs the job and hands nothing on: what came of it, and what it printed.
    pub(crate) async fn once(&self, lease: &Lease, step: &LeasedStep) -> (Outcome, Bytes) {
        let attempt = self.attempt(lease, step, None).await.unwrap_or_else(Attempt::from);
        (attempt.outcome, attempt.log)
    }

    /// The arrival ends when a sandbox host has the step; a postgres step, which none ever has, keeps it.
    async fn attempt(&self, lease: &Lease, step: &LeasedStep, arrival: Option<Arrival>) -> Result<Attempt, Unfinished> {
        if let Some(field) = &lease.count_by {
            return self.key(lease, field).await.map(Attempt::from);
        }
        let bundle = self.fetch.bundle(&step.code).await?;
        let packages = self.fetch.packages(&bundle, &self.limits).await?;
        let mut inputs = Vec::with_capacity(lease.inputs.len());
        for input in &lease.inputs {
            inputs.push(self.fetch.input(input).await?);
        }
        let compiled = match step.language.is_compiled() {
            true => Some(self.hosts.compile(&bundle, step.code.hash).await.map_err(Unfinished::Fault)?),
            false => None,
        };
        let work =
            task::work(lease, step, bundle, packages, compiled, inputs, &self.limits).map_err(Unfinished::Fault)?;
        let running = match work {
            Work::Sandboxed(task) => {
                let running = self.hosts.run_with(task, self.fetch.blobs(lease.run, &self.limits)).await?;
                drop(arrival);
                running
            }
            Work::Queried(query) => return self.follow(self.databases.run(query), lease, step).await,
        };
        self.follow(running, lease, step).await
    }

    /// What the job's start counts as. Its code is not needed for that.
    async fn key(&self, lease: &Lease, field: &str) -> Result<Outcome, Unfinished> {
        let input = match lease.inputs.first() {
            Some(input) => Some(self.fetch.input(input).await?),
            None => None,
        };
        Ok(Outcome::Keyed { key: rate_key(input.as_deref(), field) })
    }

    /// Takes what the step gives until it has finished.
    async fn follow(&self, mut running: Running, lease: &Lease, step: &LeasedStep) -> Result<Attempt, Unfinished> {
        let output = self.output(lease);
        let mut list = ListWriter::default();
        loop {
            match running.next().await.map_err(|lost| Unfinished::GiveBack(lost.to_string()))? {
                Event::Items { count, items } => list.push(count, items, output).await?,
                Event::Finished(finished) => return finish(finished, list, step, output).await,
            }
        }
    }

    /// Where what the job gives is put.
    fn output(&self, lease: &Lease) -> Output<'_> {
        Output { fetch: &self.fetch, run: lease.run }
    }

    async fn report(&self, lease: &Lease, attempt: Attempt, started: Instant) -> Report {
        let log = match attempt.log.is_empty() {
            true => None,
            // A log that cannot be stored is no reason to run the step again.
            false => self
                .output(lease)
                .store(attempt.log)
                .await
                .inspect_err(|error| tracing::warn!(job = %lease.job, %error, "failed to store a log"))
                .ok(),
        };
        let run_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Report { job: lease.job, token: lease.token, outcome: attempt.outcome, log, run_ms }
    }
}

async fn finish(
    finished: Finished,
    list: ListWriter,
    step: &LeasedStep,
    output: Output<'_>,
) -> Result<Attempt, Unfinished> {
    let outcome = match finished.answer {
        Answer::Completed { streamed: true, hints, .. } => Outcome::Completed { value: list.finish(), hints },
        Answer::Completed { value, hints, .. } => match &step.loop_text {
            Some(loop_text) => cut_list(&value, loop_text, hints, output).await?,
            None => Outcome::Completed { value: output.store(value).await?, hints },
        },
        Answer::Pending { delay_ms } => Outcome::Pending { delay_ms },
        Answer::Reset { delay_ms } => Outcome::Reset { delay_ms },
        Answer::Cancelled => Outcome::Cancelled,
        Answer::Failed(failure) => Outcome::Failed(failure),
    };
    Ok(Attempt { outcome, log: finished.log })
}

/// Waits until the job is to be stopped.
async fn stop(stopped: &mut watch::Receiver<Option<Stop>>) -> Stop {
    // The sender is dropped only when the lease was taken again by this very worker: the older one is lost.
    stopped.wait_for(Option::is_some).await.map_or(Stop::Lost, |why| why.unwrap_or(Stop::Lost))
}

fn given_back(why: Stop) -> Option<Attempt> {
    match why {
        Stop::Lost => None,
        Stop::GiveBack => Some(shutting_down().into()),
    }
}

fn shutting_down() -> Outcome {
    Outcome::Released { reason: "the worker is shutting down".to_owned() }
}
