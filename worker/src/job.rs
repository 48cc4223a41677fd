//! [`JobRunner`]: runs a job, from its lease to its report.

use std::sync::Arc;
use std::time::Instant;

use bue_client::ClientError;
use bue_model::attempt::AttemptUsage;
use bue_model::language::Engine;
use bue_model::wire::{Lease, LeasedStep, Report};
use bue_model::{Answer, ArgumentSummary, Failure, FailureKind, Outcome};
use bue_runtime::{
    BadPackages, CompileError, CompiledStep, Databases, Event, Finished, HostLost, Hosts, Limits, PackageProblem,
    Running, RuntimeError, Usage,
};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use crate::admission::{PendingStart, Permit, WaitingForCompiler};
use crate::arguments::summarize_arguments;
use crate::environment::Environment;
use crate::fetch::{Fetch, FetchError};
use crate::held_leases::{CancelReason, HeldLeases};
use crate::input_budget::{InputBudget, check_code_size};
use crate::job_log::JobLog;
use crate::list_job::{ListError, run_list_job};
use crate::list_report::{ListReport, ListReportError, PieceSender};
use crate::live_log::LiveLogs;
use crate::output::{Output, store_list};
use crate::printed::PrintedOutput;
use crate::rate_key::rate_key;
use crate::reporter::QueuedReport;
use crate::task::{FetchedStep, StepTask};
use crate::value_summary::Secrets;

/// What running a job needs.
#[derive(Debug)]
pub(crate) struct JobRunner {
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) databases: Databases,
    pub(crate) fetch: Fetch,
    pub(crate) input_budget: InputBudget,
    pub(crate) limits: Limits,
    pub(crate) environment: Environment,
    pub(crate) held_leases: Arc<HeldLeases>,
    /// Left out of what is reported of failed attempts.
    pub(crate) secrets: Secrets,
    pub(crate) reports: mpsc::UnboundedSender<QueuedReport>,
    pub(crate) live_logs: LiveLogs,
    /// `None` for a job that is run outside its run, of which nothing is reported.
    pub(crate) pieces: Option<PieceSender>,
    pub(crate) printed: Arc<PrintedOutput>,
}

/// The result of an attempt, before its log is stored.
struct Attempt {
    outcome: Outcome,
    log: Bytes,
    /// If it failed.
    arguments: Vec<ArgumentSummary>,
    /// Without its duration.
    usage: AttemptUsage,
}

impl From<Outcome> for Attempt {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, log: Bytes::new(), arguments: Vec::new(), usage: AttemptUsage::default() }
    }
}

/// Why an attempt ended without an answer of the step.
enum AttemptError {
    /// The step or its input is at fault: the attempt failed.
    Failed(Failure),
    /// The cause is elsewhere: the lease is released, and another attempt may succeed.
    Released(String),
    /// So is that of the step's sandbox host, which died.
    HostLost(HostLost),
}

impl From<FetchError> for AttemptError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Bucket(..) => Self::Released(error.to_string()),
            FetchError::Malformed(..) => Self::Failed(Failure::new(FailureKind::Internal, error.to_string())),
            FetchError::Corrupt(_) => Self::Failed(Failure::new(FailureKind::BadCode, error.to_string())),
            FetchError::Packages(error) => bad_packages(&error),
        }
    }
}

fn bad_packages(error: &BadPackages) -> AttemptError {
    let kind = match error.problem {
        // the disk of another worker may have space
        PackageProblem::Io(_) => return AttemptError::Released(error.to_string()),
        PackageProblem::Limit { .. } => FailureKind::Limit,
        PackageProblem::NotZip(_) | PackageProblem::Unfit(..) => FailureKind::BadCode,
    };
    AttemptError::Failed(Failure::new(kind, error.to_string()))
}

impl From<ClientError> for AttemptError {
    fn from(error: ClientError) -> Self {
        Self::Released(format!("failed to store the step's result: {error}"))
    }
}

impl From<ListError> for AttemptError {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Failed(failure) => Self::Failed(failure),
            ListError::Fetch(error) => error.into(),
            ListError::Store(error) => error.into(),
        }
    }
}

impl From<ListReportError> for AttemptError {
    fn from(error: ListReportError) -> Self {
        match error {
            ListReportError::Failed(failure) => Self::Failed(failure),
            // a report under the lease changes nothing
            ListReportError::LeaseLost => Self::Released("its lease has ended".to_owned()),
            ListReportError::Fetch(error) => error.into(),
            ListReportError::Store(error) => error.into(),
        }
    }
}

impl From<RuntimeError> for AttemptError {
    fn from(error: RuntimeError) -> Self {
        Self::Released(format!("no sandbox to run the step in: {error}"))
    }
}

impl From<AttemptError> for Attempt {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Failed(failure) => Outcome::Failed(failure).into(),
            AttemptError::Released(reason) => Outcome::Released { reason, alone: false }.into(),
            AttemptError::HostLost(lost) => Outcome::Released { reason: lost.to_string(), alone: lost.alone }.into(),
        }
    }
}

impl JobRunner {
    /// Runs a job unless it is cancelled, and queues its report with its slot.
    pub(crate) async fn run(
        self: Arc<Self>,
        lease: Lease,
        step: Arc<LeasedStep>,
        mut cancelled: watch::Receiver<Option<CancelReason>>,
        permit: Permit,
    ) {
        let started_at = Instant::now();
        let Permit { slot, pending_start } = permit;
        let attempt = tokio::select! {
            attempt = self.attempt(&lease, &step, Some(pending_start)) => Some(attempt.unwrap_or_else(Attempt::from)),
            reason = wait_for_cancel(&mut cancelled) => cancelled_attempt(reason),
        };
        let Some(attempt) = attempt else { return self.held_leases.remove(lease.job, lease.token) };
        let report = self.report(&lease, attempt, started_at, &mut cancelled).await;
        if self.reports.send(QueuedReport { report, slot }).is_err() {
            tracing::error!(job = %lease.job, "the reporter has ended; the lease will end");
        }
    }

    /// Releases a lease whose job was not started.
    pub(crate) fn release(&self, lease: &Lease, slot: OwnedSemaphorePermit) {
        let report = Report {
            job: lease.job,
            token: lease.token,
            outcome: shutting_down(),
            log: None,
            arguments: Vec::new(),
            usage: AttemptUsage::default(),
        };
        // without a reporter, the lease ends by itself
        let _ = self.reports.send(QueuedReport { report, slot });
    }

    /// Runs a job and reports nothing. Returns its outcome and its log.
    pub(crate) async fn run_unreported(&self, lease: &Lease, step: &LeasedStep) -> (Outcome, Bytes) {
        let attempt = self.attempt(lease, step, None).await.unwrap_or_else(Attempt::from);
        (attempt.outcome, attempt.log)
    }

    /// Runs the step. If it fails, summarizes its arguments.
    async fn attempt(
        &self,
        lease: &Lease,
        step: &LeasedStep,
        pending_start: Option<PendingStart>,
    ) -> Result<Attempt, AttemptError> {
        let mut attempt = match self.execute(lease, step, pending_start).await {
            Err(AttemptError::Failed(failure)) => Outcome::Failed(failure).into(),
            result => result?,
        };
        if matches!(attempt.outcome, Outcome::Failed(_)) {
            attempt.arguments = summarize_arguments(lease, step, &self.fetch, &self.secrets).await;
        }
        Ok(attempt)
    }

    /// The pending start is dropped when a sandbox host has the step; a postgres step, which no host ever has, keeps it.
    async fn execute(
        &self,
        lease: &Lease,
        step: &LeasedStep,
        pending_start: Option<PendingStart>,
    ) -> Result<Attempt, AttemptError> {
        check_code_size(&step.code).map_err(AttemptError::Failed)?;
        if step.language.engine() == Engine::Lists {
            let outcome = run_list_job(lease, step, &self.limits, self.output(lease)).await?;
            return Ok(outcome.into());
        }
        let is_compiled = step.language.is_compiled() && lease.count_by.is_none();
        // before the inputs, which take memory while the job waits
        let (compiled, pending_start) = match is_compiled {
            true => self.compile(lease, step, pending_start).await.map(|(code, start)| (Some(code), start))?,
            false => (None, pending_start),
        };
        // kept until they are written to the host
        let reserved = self.input_budget.reserve(lease, &self.limits).await.map_err(AttemptError::Failed)?;
        if let Some(field) = &lease.count_by {
            return self.rate_key(lease, field).await.map(Attempt::from);
        }
        let bundle = if is_compiled { Arc::default() } else { self.fetch.bundle(&step.code).await? };
        let packages = self.fetch.packages(&bundle, &self.limits).await?;
        let mut inputs = Vec::with_capacity(lease.inputs.len());
        for input in &lease.inputs {
            inputs.push(self.fetch.input(input).await?);
        }
        let fetched = FetchedStep { bundle, packages, compiled, inputs };
        let task =
            StepTask::new(lease, step, fetched, &self.limits, &self.environment).map_err(AttemptError::Failed)?;
        let running = match task {
            StepTask::Sandbox(task) => {
                let bucket = self.fetch.step_bucket(lease.run, &self.limits);
                let running = self.hosts.run_with((*task, lease.job.0), bucket, reserved).await?;
                drop(pending_start);
                running
            }
            StepTask::Query(query) => return self.follow(self.databases.run(*query), lease, step).await,
        };
        self.follow(running, lease, step).await
    }

    /// Returns the machine code of a step. While the job waits for the compiler, it is not about to start.
    async fn compile(
        &self,
        lease: &Lease,
        step: &LeasedStep,
        pending_start: Option<PendingStart>,
    ) -> Result<(CompiledStep, Option<PendingStart>), AttemptError> {
        let compiler = self.hosts.compiler();
        if let Some(known) = compiler.known(step.code.hash) {
            return Ok((known.map_err(AttemptError::Failed)?, pending_start));
        }
        let waiting = pending_start.map(PendingStart::wait_for_compiler);
        let load = self.fetch.bundle(&step.code);
        let compiled = compiler.compile_in_turn(lease.run.0.as_u128(), step.code.hash, load).await;
        let compiled = compiled.map_err(|error| match error {
            CompileError::Load(error) => error.into(),
            CompileError::Failed(failure) => AttemptError::Failed(failure),
        })?;
        Ok((compiled, waiting.map(WaitingForCompiler::end)))
    }

    /// Computes the rate key of a job, without its code.
    async fn rate_key(&self, lease: &Lease, field: &str) -> Result<Outcome, AttemptError> {
        let input = match lease.inputs.first() {
            Some(input) => Some(self.fetch.input(input).await?),
            None => None,
        };
        Ok(Outcome::Keyed { key: rate_key(input.as_deref(), field) })
    }

    /// Reports the elements that the step emits, and sends what it prints while somebody follows it, until it has finished.
    async fn follow(&self, mut running: Running, lease: &Lease, step: &LeasedStep) -> Result<Attempt, AttemptError> {
        let output = self.output(lease);
        let mut list = ListReport::new(lease, step, output, self.pieces.as_ref());
        let mut log = JobLog::new(&self.live_logs, lease, step);
        let mut is_held = false;
        loop {
            if is_held && list.takes_more() {
                running.acknowledge_items();
                is_held = false;
            }
            let event = tokio::select! {
                event = running.next_unacknowledged() => event,
                position = log.request() => {
                    running.request_lines(position);
                    continue;
                }
                progress = list.progress() => {
                    progress?;
                    continue;
                }
            };
            match event.map_err(AttemptError::HostLost)? {
                Event::Items { count, items, early } => {
                    // the step goes on while they are stored, unless it has to wait for rounds
                    is_held = !list.lets_run_ahead();
                    if !is_held {
                        running.acknowledge_items();
                    }
                    list.push(count, items, early).await?;
                }
                Event::Lines { position, text, next } => log.send(position, text, next).await,
                Event::Finished(finished) => {
                    log.finish(&finished.log).await;
                    return finish(finished, list, step, output).await;
                }
            }
        }
    }

    /// Returns where the results of a job are stored.
    fn output(&self, lease: &Lease) -> Output<'_> {
        Output { fetch: &self.fetch, run: lease.run }
    }

    /// The log of a job that is cancelled while the bucket is away is dropped.
    async fn report(
        &self,
        lease: &Lease,
        attempt: Attempt,
        started_at: Instant,
        cancelled: &mut watch::Receiver<Option<CancelReason>>,
    ) -> Report {
        let Attempt { outcome, log, arguments, usage } = attempt;
        self.printed.add(&log);
        let log = match log.is_empty() {
            true => None,
            // If the log cannot be stored, the step does not run again for it.
            false => tokio::select! {
                stored = self.output(lease).store(log) => stored
                    .inspect_err(|error| tracing::warn!(job = %lease.job, %error, "failed to store a log"))
                    .ok(),
                _ = wait_for_cancel(cancelled) => None,
            },
        };
        let run_ms = u64::try_from(started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let usage = AttemptUsage { run_ms, ..usage };
        Report { job: lease.job, token: lease.token, outcome, log, arguments, usage }
    }
}

async fn finish(
    finished: Finished,
    list: ListReport<'_>,
    step: &LeasedStep,
    output: Output<'_>,
) -> Result<Attempt, AttemptError> {
    let outcome = match finished.answer {
        Answer::Completed { streamed: true, hints, .. } => Outcome::Completed { value: list.finish().await?, hints },
        Answer::Completed { value, hints, .. } => match &step.loop_text {
            Some(loop_text) => {
                list.expect_nothing()?;
                store_list(&value, loop_text, hints, output).await?
            }
            None => Outcome::Completed { value: output.store(value).await?, hints },
        },
        Answer::Pending { delay_ms, scope } => Outcome::Pending { delay_ms, scope },
        Answer::Reset { delay_ms } => Outcome::Reset { delay_ms },
        Answer::Cancelled => Outcome::Cancelled,
        Answer::Failed(failure) => Outcome::Failed(failure),
    };
    Ok(Attempt { outcome, log: finished.log, arguments: Vec::new(), usage: usage_of(&finished.usage) })
}

/// Returns what a sandbox host measured, without the duration. A step that ran in none has used nothing there.
fn usage_of(usage: &Usage) -> AttemptUsage {
    let cpu_ms = u64::try_from(usage.cpu.as_millis()).unwrap_or(u64::MAX);
    AttemptUsage {
        run_ms: 0,
        cpu_ms: (!usage.cpu.is_zero()).then_some(cpu_ms),
        peak_memory: (usage.memory_bytes > 0).then_some(usage.memory_bytes),
    }
}

/// Waits until the job is cancelled.
async fn wait_for_cancel(cancelled: &mut watch::Receiver<Option<CancelReason>>) -> CancelReason {
    // The sender is dropped only if this worker has leased the job again: then this older lease is lost.
    let lost = CancelReason::LeaseLost;
    cancelled.wait_for(Option::is_some).await.map_or(lost, |reason| reason.unwrap_or(lost))
}

/// Returns what to report of a job that was cancelled.
fn cancelled_attempt(reason: CancelReason) -> Option<Attempt> {
    match reason {
        CancelReason::LeaseLost => None,
        CancelReason::Draining => Some(shutting_down().into()),
    }
}

fn shutting_down() -> Outcome {
    Outcome::Released { reason: "the worker is shutting down".to_owned(), alone: false }
}
