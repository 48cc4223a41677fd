//! No-op jobs a second through the store alone: lease and complete in batches, no HTTP, no sandbox.
//!
//! `cargo run --release -p bue-hub --example throughput -- [JOBS] [BATCH] [--store postgres:URL]`
//!
//! On PostgreSQL four workers lease and complete side by side, since a round trip is most of what one of them waits for. The
//! database must be empty.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bue_hub::{Durability, HubError, JobStore, PostgresStore, SqliteStore};
use bue_model::job::Hints;
use bue_model::plan::{Language, PLAN_VERSION, Settings, Source};
use bue_model::wire::{LeaseRequest, Report, ReportBatch, Submission};
use bue_model::{
    BlobHash, BlobRef, Call, CallIndex, Chunk, ForEach, Input, JobNode, Node, NodeId, Outcome, Plan, RunId, RunState,
    Step, StepIndex, Timestamp, ValueRef,
};
use futures_util::future::try_join_all;
use uuid::Uuid;

/// What a measurement is about.
#[derive(Clone, Copy)]
struct Load {
    jobs: u32,
    batch: u32,
    workers: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let flag = arguments.iter().position(|argument| argument == "--store");
    let place = flag.map(|at| arguments.drain(at..).nth(1).ok_or("--store wants postgres:URL")).transpose()?;
    let mut numbers = arguments.into_iter();
    let jobs = numbers.next().map_or(Ok(10_000), |text| text.parse())?;
    let batch = numbers.next().map_or(Ok(1_000), |text| text.parse())?;
    println!("{jobs} jobs in a loop, batches of {batch}");
    if let Some(place) = place {
        let url = place.strip_prefix("postgres:").filter(|url| !url.starts_with("//")).unwrap_or(&place);
        let store: Arc<dyn JobStore> = Arc::new(PostgresStore::connect(url).await?);
        return Ok(measure("PostgreSQL, four workers", &store, Load { jobs, batch, workers: 4 }).await?);
    }
    let folder = tempfile::tempdir_in(".")?;
    let path = folder.path().join("hub.db");
    for (what, path, durability) in [
        ("in memory", Path::new(":memory:"), Durability::Off),
        ("file, fsync before each answer", path.as_path(), Durability::Full),
    ] {
        let store: Arc<dyn JobStore> = Arc::new(SqliteStore::open(path, durability)?);
        measure(what, &store, Load { jobs, batch, workers: 1 }).await?;
    }
    Ok(())
}

async fn measure(what: &str, store: &Arc<dyn JobStore>, load: Load) -> Result<(), HubError> {
    let started = Instant::now();
    let rate = f64::from(load.jobs) / run(store, load).await?.max(f64::MIN_POSITIVE);
    println!("{what:32} {rate:>10.0} jobs/s, {:.2} s in all", started.elapsed().as_secs_f64());
    Ok(())
}

/// Seconds for all rounds of a loop with one step.
async fn run(store: &Arc<dyn JobStore>, load: Load) -> Result<f64, HubError> {
    let now = Timestamp(1_000_000);
    let run = store.submit(now, submission()).await?;
    work(&**store, now, 1, load.jobs).await?;
    let started = Instant::now();
    let worker = async || {
        while store.run(run).await?.is_some_and(|view| view.state == RunState::Running) {
            work(&**store, now, load.batch, 0).await?;
        }
        Ok::<_, HubError>(())
    };
    try_join_all((0..load.workers).map(|_| worker())).await?;
    Ok(started.elapsed().as_secs_f64())
}

/// Leases a batch and reports it done; the source gives as many elements as asked for.
async fn work(store: &dyn JobStore, now: Timestamp, count: u32, elements: u32) -> Result<usize, HubError> {
    let worker = "w1".to_owned();
    let request =
        LeaseRequest { worker: worker.clone(), scopes: vec!["default".into()], reverse: false, count, wait_ms: 0 };
    let leased = store.lease(now, request).await?;
    let reports: Vec<Report> = leased
        .batch
        .leases
        .iter()
        .map(|lease| Report {
            job: lease.job,
            token: lease.token,
            outcome: Outcome::Completed { value: value(elements), hints: Hints::default() },
            log: None,
            run_ms: 1,
        })
        .collect();
    let done = reports.len();
    if done > 0 {
        store.complete(now, ReportBatch { worker, reports }).await?;
    }
    Ok(done)
}

fn value(elements: u32) -> ValueRef {
    let one = || ValueRef::Inline(vec![0xf6].into());
    let chunk = |from: u32| Chunk { count: (elements - from).min(1_000), value: Box::new(one()) };
    if elements == 0 { one() } else { ValueRef::List((0..elements).step_by(1_000).map(chunk).collect()) }
}

/// `for x in source(): body(x)`
fn submission() -> Submission {
    let step = |name: &str| Step {
        name: name.to_owned(),
        language: Language::Python,
        function: name.to_owned(),
        source: Source::File("steps.py".to_owned()),
        line: 1,
        settings: Settings::default(),
    };
    let job = |id, inputs| {
        let (step, call) = (StepIndex(id / 2), CallIndex(id / 2));
        Node::Job(JobNode { id: NodeId(id), step, call, inputs })
    };
    let call = |id| Call { line: 1, name: None, first: NodeId(id), last: NodeId(id), nested: false };
    let body = vec![job(2, vec![Input::Loop(NodeId(1))])];
    let fan_out = ForEach { id: NodeId(1), variable: "x".to_owned(), over: NodeId(0), line: 1, body, gather: None };
    let plan = Plan {
        version: PLAN_VERSION,
        steps: vec![step("source"), step("body")],
        nodes: vec![job(0, Vec::new()), Node::ForEach(fan_out)],
        calls: vec![call(0), call(2)],
    };
    let code = vec![BlobRef { hash: BlobHash([0; 32]), len: 1 }; 2];
    Submission { run: RunId(Uuid::from_u128(1)), name: "throughput".to_owned(), plan, code }
}
