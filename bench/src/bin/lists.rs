//! How long the lists of the HTTP API take in a hub with many runs and jobs, while workers lease and report; and how much longer
//! leases take because of them.
//!
//! `cargo run --release -p bue-bench --bin lists -- [RUNS [JOBS [SECONDS]]]`; the defaults are 10,000, 1,000,000 and 20.
//!
//! How to read the figures: RUNS runs of a pipeline have JOBS jobs together. Of a tenth of the runs the jobs have completed, of a
//! twentieth they have failed, a tenth was cancelled; the others are open. Four connections lease sixteen jobs at a time and report
//! them, first for SECONDS seconds alone, then while one client requests one list after the other, each a hundred times. p50 and p99
//! are of the requests of each list, over HTTP, from sending the request to the decoded answer. Every list should be
//! within 50 ms, and leases at most twice as slow as alone.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bue_bench::{Database, HubProcess, Samples, StoreKind, completed, lease_request, report, single_job, table};
use bue_client::HubClient;
use bue_model::bulk::{BulkRequest, RunFilter};
use bue_model::param::{Allowed, Param, ParamKind};
use bue_model::pipeline::Publication;
use bue_model::wire::{JobQuery, LeaseBatch, ReportBatch, ResultCursor};
use bue_model::{
    BlobHash, BlobRef, Call, CallIndex, Failure, FailureKind, JobNode, JobState, Node, NodeId, Outcome, Plan, RunId,
    StepIndex,
};
use futures_util::future::{join, try_join_all};
use uuid::Uuid;

/// Requests of each list.
const REQUESTS: usize = 100;
/// Connections that lease and report.
const CONNECTIONS: usize = 4;
/// Jobs that one of them leases at a time.
const BATCH: u32 = 16;
/// Jobs that are leased and reported together while the store is filled.
const FILL_BATCH: u32 = 1_000;

/// The size of the store.
#[derive(Clone, Copy)]
struct Size {
    runs: u32,
    jobs_per_run: u32,
    seconds: u64,
}

/// What was measured on one store.
struct Measurement {
    lists: Vec<(&'static str, Samples)>,
    alone: Samples,
    beside: Samples,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<u32> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let number = |index: usize, default| arguments.get(index).copied().unwrap_or(default).max(1);
    let runs = number(0, 10_000);
    let size = Size { runs, jobs_per_run: (number(1, 1_000_000) / runs).max(1), seconds: number(2, 20).into() };
    let database = Database::start();
    for (name, store) in [("SQLite", StoreKind::Sqlite), ("PostgreSQL", StoreKind::Postgres(database.create().await))] {
        eprintln!("{name}");
        print(name, size, &measure(size, &store).await?);
    }
    Ok(())
}

fn print(name: &str, size: Size, measurement: &Measurement) {
    let ms = |duration: Duration| format!("{:.1}", duration.as_secs_f64() * 1_000.0);
    let mut figures = table(&["request", "p50 ms", "p99 ms"]);
    for (list, samples) in &measurement.lists {
        figures.add_row([(*list).to_owned(), ms(samples.median()), ms(samples.percentile(99))]);
    }
    for (name, samples) in [("a lease alone", &measurement.alone), ("a lease beside lists", &measurement.beside)] {
        figures.add_row([name.to_owned(), ms(samples.median()), ms(samples.percentile(99))]);
    }
    println!("{name}: {} runs, {} jobs each\n{figures}", size.runs, size.jobs_per_run);
    let ratio = measurement.beside.percentile(99).as_secs_f64() / measurement.alone.percentile(99).as_secs_f64();
    println!("p99 of leases beside lists / alone: {ratio:.2}");
}

async fn measure(size: Size, store: &StoreKind) -> Result<Measurement> {
    let hub = HubProcess::start(store)?;
    let client = hub.client()?;
    let begin = Instant::now();
    fill(size, &client).await?;
    eprintln!("filled in {:.0} s", begin.elapsed().as_secs_f64());
    let alone = with_leases(&client, async {
        tokio::time::sleep(Duration::from_secs(size.seconds)).await;
        Ok(())
    })
    .await?
    .1;
    let (lists, beside) = with_leases(&client, all_lists(&client)).await?;
    Ok(Measurement { lists, alone, beside })
}

/// Starts the runs, and ends some of them.
async fn fill(size: Size, client: &HubClient) -> Result<()> {
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
async fn with_leases<T>(client: &HubClient, work: impl Future<Output = Result<T>>) -> Result<(T, Samples)> {
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

/// Requests each list again and again.
async fn all_lists(client: &HubClient) -> Result<Vec<(&'static str, Samples)>> {
    let deep = deep_position(client).await?;
    let (after, failed) = (deep.as_str(), [("state", "failed")]);
    let run = client.run_page(&failed).await?.runs.first().map_or(RunId(Uuid::nil()), |run| run.id);
    let state = |state| JobQuery { state: Some(state), limit: 200, ..JobQuery::default() };
    let of_step = JobQuery { step: Some("step".to_owned()), limit: 200, ..JobQuery::default() };
    let mut lists = Vec::new();
    macro_rules! measured {
        ($($name:literal: $request:expr;)*) => {$(
            let mut samples = Samples::default();
            for _ in 0..REQUESTS {
                let sent_at = Instant::now();
                $request.await?;
                samples.push(sent_at.elapsed());
            }
            lists.push(($name, samples));
        )*};
    }
    measured! {
        "runs": client.run_page(&[]);
        "runs, behind 5,000": client.run_page(&[("after", after)]);
        "runs?state=failed": client.run_page(&failed);
        "runs?state=failed,cancelled,completed": client.run_page(&[("state", "failed,cancelled,completed")]);
        "runs?pipeline=p": client.run_page(&[("pipeline", "p")]);
        "runs?pipeline=p&state=failed": client.run_page(&[("pipeline", "p"), ("state", "failed")]);
        "runs?name=p.bue": client.run_page(&[("name", "p.bue")]);
        "runs?name=none*": client.run_page(&[("name", "none*")]);
        "runs?param.n=500": client.run_page(&[("param.n", "500")]);
        "runs?since=1h&until=1s": client.run_page(&[("since", "1h"), ("until", "1s")]);
        "runs/ID/jobs": client.jobs(run, &JobQuery { limit: 200, ..JobQuery::default() });
        "runs/ID/jobs?step=": client.jobs(run, &of_step);
        "runs/ID/jobs?state=failed": client.jobs(run, &state(JobState::Failed));
        "runs/ID/jobs?state=running": client.jobs(run, &state(JobState::Running));
        "runs/ID/results": client.result_page(run, ResultCursor::default());
        "errors": client.failed_jobs(&[]);
        "errors?step=": client.failed_jobs(&[("step", "step")]);
        "errors?group=1": client.failure_groups(&[]);
        "pipelines": client.pipelines();
        "pipelines/p": client.pipeline("p");
        "schedules": client.schedules("");
        "workers": client.workers();
    }
    Ok(lists)
}

/// Returns the position behind the latest 5,000 runs, or behind as many as there are.
async fn deep_position(client: &HubClient) -> Result<String> {
    let mut position = String::new();
    for _ in 0..50 {
        let filters = [("after", position.as_str())];
        let page = client.run_page(if position.is_empty() { &[] } else { &filters }).await?;
        let Some(next) = page.next else { break };
        position = next;
    }
    ensure!(!position.is_empty(), "there are too few runs for a second page");
    Ok(position)
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
