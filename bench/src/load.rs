//! No-op jobs, leased and reported in batches as a worker does, but without a sandbox.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bue_client::HubClient;
use bue_model::attempt::AttemptUsage;
use bue_model::job::Hints;
use bue_model::plan::{PLAN_VERSION, Settings, Source};
use bue_model::wire::{Lease, LeaseRequest, Report, ReportBatch, Submission, Verdict};
use bue_model::{
    BlobHash, BlobRef, Call, CallIndex, Chunk, ForEach, Input, JobNode, Language, Node, NodeId, Outcome, Plan, RunId,
    Step, StepIndex, ValueRef,
};
use futures_util::future::try_join_all;
use uuid::Uuid;

use crate::Samples;

/// Elements of one chunk of the list that a loop runs over.
const CHUNK_LEN: u32 = 1_000;

/// Milliseconds that a lease request may wait for jobs. Short, because near the end all remaining jobs may be leased by other
/// connections.
const WAIT_MS: u64 = 20;

/// The size of a load.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Rounds of the loop, each with one job.
    pub jobs: u32,
    /// Jobs per lease request and per report request.
    pub batch: u32,
    /// Concurrent connections.
    pub connections: usize,
}

/// The measurement of a load.
#[derive(Debug, Default)]
pub struct LoadMeasurement {
    /// From the submission of the run to the acknowledgement of the last job.
    pub wall: Duration,
    /// From sending a report to its response.
    pub acknowledged: Samples,
    /// Bytes per job of the first full lease.
    pub lease_bytes: usize,
    /// Bytes per job of its report.
    pub report_bytes: usize,
}

impl Load {
    /// Submits a loop and completes all its jobs.
    ///
    /// # Errors
    /// The hub refuses a request or cannot be reached.
    pub async fn run(self, client: &HubClient) -> Result<LoadMeasurement> {
        let start = Instant::now();
        open_loop(client, 1, self.jobs).await?;
        let remaining = AtomicU64::new(self.jobs.into());
        let all =
            try_join_all((0..self.connections).map(|index| self.run_connection(client, index, &remaining))).await?;
        let mut measurement = LoadMeasurement::default();
        for (end, one) in all {
            measurement.wall = measurement.wall.max(end.duration_since(start));
            measurement.acknowledged.append(one.acknowledged);
            measurement.lease_bytes = measurement.lease_bytes.max(one.lease_bytes);
            measurement.report_bytes = measurement.report_bytes.max(one.report_bytes);
        }
        Ok(measurement)
    }

    /// Completes jobs until none remain. Returns also when the last one was acknowledged.
    async fn run_connection(
        self,
        client: &HubClient,
        index: usize,
        remaining: &AtomicU64,
    ) -> Result<(Instant, LoadMeasurement)> {
        let worker = format!("w{index}");
        let (mut measurement, mut end) = (LoadMeasurement::default(), Instant::now());
        while remaining.load(Ordering::Relaxed) > 0 {
            let leased = client.lease(&lease_request(&worker, self.batch, WAIT_MS)).await?;
            if leased.leases.is_empty() {
                continue;
            }
            let reports = leased.leases.iter().map(|lease| report(lease, completed())).collect();
            let batch = ReportBatch { worker: worker.clone(), reports };
            if measurement.lease_bytes == 0 && leased.leases.len() == self.batch as usize {
                let jobs = leased.leases.len();
                measurement.lease_bytes = postcard::to_allocvec(&leased)?.len() / jobs;
                measurement.report_bytes = postcard::to_allocvec(&batch)?.len() / jobs;
            }
            let sent_at = Instant::now();
            let verdicts = client.report(&batch).await?;
            end = Instant::now();
            measurement.acknowledged.push(end.duration_since(sent_at));
            let accepted = verdicts.iter().filter(|verdict| **verdict == Verdict::Accepted).count();
            remaining.fetch_sub(accepted as u64, Ordering::Relaxed);
        }
        Ok((end, measurement))
    }
}

/// Submits a loop and completes its source, so that its rounds exist.
///
/// # Errors
/// The hub refuses a request or cannot be reached.
pub async fn open_loop(client: &HubClient, number: u128, rounds: u32) -> Result<RunId> {
    let run = client.submit(&loop_submission(number)).await?;
    let leased = client.lease(&lease_request("source", 1, 10_000)).await?;
    let lease = leased.leases.first().context("the source was not leased")?;
    let source = Outcome::Completed { value: ValueRef::List(chunks(rounds)), hints: Hints::default() };
    client.report(&ReportBatch { worker: "source".to_owned(), reports: vec![report(lease, source)] }).await?;
    Ok(run)
}

/// Returns a request for jobs.
#[must_use]
pub fn lease_request(worker: &str, count: u32, wait_ms: u64) -> LeaseRequest {
    LeaseRequest {
        worker: worker.to_owned(),
        scopes: vec!["default".to_owned()],
        reverse: false,
        count,
        wait_ms,
        ..LeaseRequest::default()
    }
}

/// Returns a report of a leased job.
#[must_use]
pub fn report(lease: &Lease, outcome: Outcome) -> Report {
    Report {
        job: lease.job,
        token: lease.token,
        outcome,
        log: None,
        arguments: Vec::new(),
        usage: AttemptUsage::of_ms(1),
    }
}

/// Returns the outcome of a step that returns null.
#[must_use]
pub fn completed() -> Outcome {
    Outcome::Completed { value: ValueRef::Inline(vec![0xf6].into()), hints: Hints::default() }
}

/// Returns a list as a worker reports it: chunks in the bucket, which the hub never reads.
fn chunks(elements: u32) -> Vec<Chunk> {
    let blob = |from: u32| BlobRef { hash: BlobHash(*blake3::hash(&from.to_le_bytes()).as_bytes()), len: 3_000 };
    let chunk =
        |from: u32| Chunk { count: (elements - from).min(CHUNK_LEN), value: Box::new(ValueRef::Blob(blob(from))) };
    (0..elements).step_by(CHUNK_LEN as usize).map(chunk).collect()
}

/// `for x in source(): body(x)`
fn loop_submission(number: u128) -> Submission {
    let body = vec![job(2, vec![Input::Loop(NodeId(1))])];
    let fan_out =
        ForEach { id: NodeId(1), variable: "x".to_owned(), over: NodeId(0), line: 1, body, gather: None, window: None };
    submission(number, vec![job(0, Vec::new()), Node::ForEach(fan_out)], &["source", "body"])
}

/// `step()`
#[must_use]
pub fn single_job(number: u128) -> Submission {
    submission(number, vec![job(0, Vec::new())], &["step"])
}

fn submission(number: u128, nodes: Vec<Node>, steps: &[&str]) -> Submission {
    let call = |id| Call { line: 1, name: None, first: NodeId(id), last: NodeId(id), nested: false };
    let calls = (0_u32..).step_by(2).map(call).take(steps.len()).collect();
    let code = vec![BlobRef { hash: BlobHash([0; 32]), len: 1 }; steps.len()];
    let steps = steps.iter().map(|name| step(name)).collect();
    let plan = Plan { version: PLAN_VERSION, steps, nodes, calls, params: Vec::new() };
    Submission { run: RunId(Uuid::from_u128(number)), name: "bench".to_owned(), plan, code }
}

fn step(name: &str) -> Step {
    Step {
        name: name.to_owned(),
        language: Language::Python,
        function: name.to_owned(),
        source: Source::File("steps.py".to_owned()),
        line: 1,
        settings: Settings::default(),
    }
}

fn job(id: u32, inputs: Vec<Input>) -> Node {
    Node::Job(JobNode { id: NodeId(id), step: StepIndex(id / 2), call: CallIndex(id / 2), inputs })
}
