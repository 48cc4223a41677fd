//! A store with many runs and jobs, and connections that lease from it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bue_client::HubClient;
use bue_model::bulk::{BulkRequest, RunFilter};
use bue_model::param::{Allowed, Param, ParamKind};
use bue_model::pipeline::Publication;
use bue_model::wire::{LeaseBatch, ReportBatch};
use bue_model::{
    BlobHash, BlobRef, Call, CallIndex, Failure, FailureKind, JobNode, Node, NodeId, Outcome, Plan, RunId, StepIndex,
};
use futures_util::future::{join, try_join_all};
use uuid::Uuid;

use crate::{Samples, completed, lease_request, report, single_job};

/// Connections that lease and report.
const CONNECTIONS: usize = 4;
/// Jobs that one of them leases at a time.
const BATCH: u32 = 16;
/// Jobs that are leased and reported together while the store is filled.
const FILL_BATCH: u32 = 1_000;

/// How many runs a store gets, and how many jobs each of them has.
#[derive(Clone, Copy, Debug)]
pub struct StoreSize {
    /// The runs.
    pub runs: u32,
    /// The jobs of each.
    pub jobs_per_run: u32,
}

impl StoreSize {
    /// Reads the arguments `[RUNS [JOBS [SECONDS]]]` of the program; by default 10,000 and 1,000,000, and these seconds.
    ///
    /// # Errors
    /// One is no number.
    pub fn from_arguments(seconds: u32) -> Result<(Self, Duration)> {
        let arguments: Vec<u32> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
        let number = |index: usize, default| arguments.get(index).copied().unwrap_or(default).max(1);
        let runs = number(0, 10_000);
        let size = Self { runs, jobs_per_run: (number(1, 1_000_000) / runs).max(1) };
        Ok((size, Duration::from_secs(number(2, seconds).into())))
    }
}

/// Publishes the pipeline `p`, starts its runs, and ends some of them: of a tenth of the runs the jobs complete, of a twentieth they
/// fail, and a tenth is cancelled.
///
/// # Errors
/// The hub refuses a request.
pub async fn fill(size: StoreSize, client: &HubClient) -> Result<()> {
    client.publish("p", &publication(size.jobs_per_run)).await?;
    let per_request = (100_000 / size.jobs_per_run).clamp(1, 1_000);
    let all: Vec<String> = (0..size.runs).map(|number| format!(r#"{{"params": {{"n": {number}}}}}"#)).collect();
    for part in all.chunks(per_request as usize) {
        client.invoke_batch("p", format!(r#"{{"runs": [{}]}}"#, part.join(","))).await?;
    }
    // the oldest jobs first, so that whole runs end
    end_jobs(client, size.runs / 10 * size.jobs_per_run, &|_| completed()).await?;
    end_jobs(client, size.runs / 20 * size.jobs_per_run, &failed).await?;
    let third = (size.runs / 10..size.runs / 5).map(|number| (size.runs - number).to_string());
    for n in third {
        let params = [("n".to_owned(), n)].into();
        let filter = RunFilter { params, ..RunFilter::default() };
        client.cancel_runs(&BulkRequest { filter, ..BulkRequest::default() }).await?;
    }
    Ok(())
}

/// Leases this many jobs, and reports an outcome for each.
async fn end_jobs(client: &HubClient, jobs: u32, outcome: &impl Fn(u64) -> Outcome) -> Result<()> {
    let mut left = jobs;
    while left > 0 {
        let leased = client.lease(&lease_request("fill", left.min(FILL_BATCH), 0)).await?;
        let count = u32::try_from(leased.leases.len())?;
        ensure!(count > 0, "there are no more jobs");
        send(client, "fill", &leased, outcome).await?;
        left = left.saturating_sub(count);
    }
    Ok(())
}

async fn send(client: &HubClient, worker: &str, leased: &LeaseBatch, outcome: &impl Fn(u64) -> Outcome) -> Result<()> {
    let reports = leased.leases.iter().map(|lease| report(lease, outcome(lease.job.0))).collect();
    client.report(&ReportBatch { worker: worker.to_owned(), reports }).await?;
    Ok(())
}

/// A failure, one of thirty kinds, with numbers in its message.
fn failed(job: u64) -> Outcome {
    let message = format!("kind {}: row {job} is bad", char::from(b'a' + u8::try_from(job % 26).unwrap_or(0)));
    Outcome::Failed(Failure::new(FailureKind::Raised, message))
}

/// Does some work while other connections lease and report. Returns its result, and how long the leases took.
///
/// # Errors
/// The hub refuses a request, or there are no more jobs.
pub async fn with_leases<T>(client: &HubClient, work: impl Future<Output = Result<T>>) -> Result<(T, Samples)> {
    let stop = AtomicBool::new(false);
    let workers = try_join_all((0..CONNECTIONS).map(|index| lease_until(client, index, &stop)));
    let work = async {
        let result = work.await;
        stop.store(true, Ordering::Relaxed);
        result
    };
    let (result, leases) = join(work, workers).await;
    let mut all = Samples::default();
    leases?.into_iter().for_each(|samples| all.append(samples));
    Ok((result?, all))
}

async fn lease_until(client: &HubClient, index: usize, stop: &AtomicBool) -> Result<Samples> {
    let (worker, mut samples) = (format!("w{index}"), Samples::default());
    while !stop.load(Ordering::Relaxed) {
        let sent_at = Instant::now();
        let leased = client.lease(&lease_request(&worker, BATCH, 0)).await?;
        samples.push(sent_at.elapsed());
        ensure!(!leased.leases.is_empty(), "all jobs have ended; choose more jobs, or fewer seconds");
        send(client, &worker, &leased, &|_| completed()).await?;
    }
    Ok(samples)
}

/// A pipeline with a parameter, and a step that is called this many times.
fn publication(jobs: u32) -> Publication {
    let n = Param { name: "n".to_owned(), kind: ParamKind::Int, default: None, allowed: Allowed::All, line: 1 };
    let calls = (0..jobs).map(|index| Call {
        line: index + 1,
        name: None,
        first: NodeId(index),
        last: NodeId(index),
        nested: false,
    });
    let nodes = (0..jobs).map(|index| {
        let (id, call) = (NodeId(index), CallIndex(index));
        Node::Job(JobNode { id, step: StepIndex(0), call, inputs: Vec::new() })
    });
    let plan = Plan { params: vec![n], calls: calls.collect(), nodes: nodes.collect(), ..single_job(1).plan };
    let code = vec![BlobRef { hash: BlobHash([7; 32]), len: 1 }];
    Publication { upload: RunId(Uuid::from_u128(1)), script: "p.bue".to_owned(), plan, code }
}
