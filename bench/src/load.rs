//! No-op jobs as a worker does them, without a sandbox: lease a batch, report it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bue_client::HubClient;
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

/// Elements of one piece of the list that a loop runs over.
const PIECE: u32 = 1_000;

/// Milliseconds a lease may wait for jobs: some of a run's last jobs are always with somebody else.
const WAIT_MS: u64 = 20;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Rounds of the loop, one job each.
    pub jobs: u32,
    /// Jobs of one lease and of one report.
    pub batch: u32,
    /// Requests at a time.
    pub connections: usize,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Moved {
    /// From the run's submission to the last job's acknowledgement.
    pub wall: Duration,
    /// From a report's start to its answer.
    pub acknowledged: Samples,
    /// Bytes of the first full lease and of its report, by the job.
    pub bytes_a_job: (usize, usize),
}

impl Load {
    /// Hands in a loop and does all of it.
    ///
    /// # Errors
    /// The hub refuses something, or goes.
    pub async fn run(self, client: &HubClient) -> Result<Moved> {
        let start = Instant::now();
        open(client, 1, self.jobs).await?;
        let left = AtomicU64::new(self.jobs.into());
        let all = try_join_all((0..self.connections).map(|index| self.work(client, index, &left))).await?;
        let mut moved = Moved::default();
        for (end, one) in all {
            moved.wall = moved.wall.max(end.duration_since(start));
            moved.acknowledged.append(one.acknowledged);
            moved.bytes_a_job = moved.bytes_a_job.max(one.bytes_a_job);
        }
        Ok(moved)
    }

    /// One connection of a worker, until nothing is left. Also when its last job was acknowledged.
    async fn work(self, client: &HubClient, index: usize, left: &AtomicU64) -> Result<(Instant, Moved)> {
        let worker = format!("w{index}");
        let (mut moved, mut end) = (Moved::default(), Instant::now());
        while left.load(Ordering::Relaxed) > 0 {
            let leased = client.lease(&lease_request(&worker, self.batch, WAIT_MS)).await?;
            if leased.leases.is_empty() {
                continue;
            }
            let reports = leased.leases.iter().map(|lease| report(lease, completed())).collect();
            let batch = ReportBatch { worker: worker.clone(), reports };
            if moved.bytes_a_job.0 == 0 && leased.leases.len() == self.batch as usize {
                let jobs = leased.leases.len();
                moved.bytes_a_job =
                    (postcard::to_allocvec(&leased)?.len() / jobs, postcard::to_allocvec(&batch)?.len() / jobs);
            }
            let asked = Instant::now();
            let verdicts = client.report(&batch).await?;
            end = Instant::now();
            moved.acknowledged.push(end.duration_since(asked));
            let taken = verdicts.iter().filter(|verdict| **verdict == Verdict::Accepted).count();
            left.fetch_sub(taken as u64, Ordering::Relaxed);
        }
        Ok((end, moved))
    }
}

/// Submits a loop and does its source, so that its rounds are there.
///
/// # Errors
/// The hub refuses something, or goes.
pub async fn open(client: &HubClient, number: u128, rounds: u32) -> Result<RunId> {
    let run = client.submit(&looped(number)).await?;
    let leased = client.lease(&lease_request("source", 1, 10_000)).await?;
    let lease = leased.leases.first().context("the source is not there")?;
    let source = Outcome::Completed { value: ValueRef::List(pieces(rounds)), hints: Hints::default() };
    client.report(&ReportBatch { worker: "source".to_owned(), reports: vec![report(lease, source)] }).await?;
    Ok(run)
}

/// A request for jobs.
#[must_use]
pub fn lease_request(worker: &str, count: u32, wait_ms: u64) -> LeaseRequest {
    LeaseRequest { worker: worker.to_owned(), scopes: vec!["default".to_owned()], reverse: false, count, wait_ms }
}

/// A report of a leased job.
#[must_use]
pub fn report(lease: &Lease, outcome: Outcome) -> Report {
    Report { job: lease.job, token: lease.token, outcome, log: None, arguments: Vec::new(), run_ms: 1 }
}

/// The outcome of a step that returns nothing.
#[must_use]
pub fn completed() -> Outcome {
    Outcome::Completed { value: ValueRef::Inline(vec![0xf6].into()), hints: Hints::default() }
}

/// A list as a worker reports it: pieces that lie in the bucket, which the hub never opens.
fn pieces(elements: u32) -> Vec<Chunk> {
    let blob = |from: u32| BlobRef { hash: BlobHash(*blake3::hash(&from.to_le_bytes()).as_bytes()), len: 3_000 };
    let piece = |from: u32| Chunk { count: (elements - from).min(PIECE), value: Box::new(ValueRef::Blob(blob(from))) };
    (0..elements).step_by(PIECE as usize).map(piece).collect()
}

/// `for x in source(): body(x)`
fn looped(number: u128) -> Submission {
    let body = vec![job(2, vec![Input::Loop(NodeId(1))])];
    let fan_out = ForEach { id: NodeId(1), variable: "x".to_owned(), over: NodeId(0), line: 1, body, gather: None };
    submission(number, vec![job(0, Vec::new()), Node::ForEach(fan_out)], &["source", "body"])
}

/// `step()`
#[must_use]
pub fn single(number: u128) -> Submission {
    submission(number, vec![job(0, Vec::new())], &["step"])
}

fn submission(number: u128, nodes: Vec<Node>, steps: &[&str]) -> Submission {
    let call = |id| Call { line: 1, name: None, first: NodeId(id), last: NodeId(id), nested: false };
    let calls = (0_u32..).step_by(2).map(call).take(steps.len()).collect();
    let code = vec![BlobRef { hash: BlobHash([0; 32]), len: 1 }; steps.len()];
    let steps = steps.iter().map(|name| step(name)).collect();
    let plan = Plan { version: PLAN_VERSION, steps, nodes, calls };
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
