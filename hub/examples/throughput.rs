//! Throughput of the hub: no-op jobs per second, leased and completed in batches, without a sandbox.
//!
//! `cargo run --release -p bue-hub --example throughput -- [JOBS] [BATCH] [WORKERS] [--http] [--park] [--store postgres:URL]`
//!
//! Without `--http` it measures the store alone; with it, every worker uses our client to reach a hub on loopback, which runs on
//! a separate thread. Concurrent reports of several workers share one transaction. The PostgreSQL database must be empty.
//! Prints the rate, the processor time of this process per job, and how long reports took. With `--park`, every job becomes
//! pending for an hour, and the memory of this process is printed.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bue_client::HubClient;
use bue_hub::{Clock, Durability, Hub, JobStore, PostgresStore, SqliteStore, serve_hub};
use bue_model::attempt::AttemptUsage;
use bue_model::job::Hints;
use bue_model::plan::{PLAN_VERSION, Settings, Source};
use bue_model::wire::{Lease, LeaseBatch, LeaseRequest, Report, ReportBatch, Submission};
use bue_model::{
    BlobHash, BlobRef, Call, CallIndex, Chunk, ForEach, Input, JobNode, Language, Node, NodeId, Plan, RunId, RunState,
    Step, StepIndex, Timestamp, ValueRef,
};
use futures_util::future::try_join_all;
use uuid::Uuid;

/// The size of a measurement.
#[derive(Clone, Copy)]
struct Load {
    jobs: u32,
    batch: u32,
    workers: usize,
    park: bool,
}

/// How workers reach the store.
#[derive(Clone)]
enum Connection {
    Direct(Arc<dyn JobStore>),
    Http(Arc<HubClient>),
}

type AnyResult<T> = Result<T, Box<dyn std::error::Error>>;

const NOW: Timestamp = Timestamp(1_000_000);
const RUN: RunId = RunId(Uuid::from_u128(1));

impl Connection {
    async fn submit(&self, submission: Submission) -> AnyResult<RunId> {
        Ok(match self {
            Self::Direct(store) => store.submit(NOW, submission).await?,
            Self::Http(client) => client.submit(&submission).await?,
        })
    }

    async fn lease(&self, request: LeaseRequest) -> AnyResult<LeaseBatch> {
        Ok(match self {
            Self::Direct(store) => store.lease(NOW, request).await?.batch,
            Self::Http(client) => client.lease(&request).await?,
        })
    }

    async fn report(&self, batch: ReportBatch) -> AnyResult<()> {
        match self {
            Self::Direct(store) => drop(store.complete(NOW, batch).await?),
            Self::Http(client) => drop(client.report(&batch).await?),
        }
        Ok(())
    }

    async fn is_running(&self) -> AnyResult<bool> {
        let state = match self {
            Self::Direct(store) => store.run(RUN).await?.map(|view| view.state),
            Self::Http(client) => Some(client.run(RUN, None, 0).await?.state),
        };
        Ok(state == Some(RunState::Running))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> AnyResult<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut has = |flag: &str| arguments.iter().position(|argument| argument == flag).map(|at| arguments.remove(at));
    let (http, park) = (has("--http").is_some(), has("--park").is_some());
    let flag = arguments.iter().position(|argument| argument == "--store");
    let location = flag.map(|at| arguments.drain(at..).nth(1).ok_or("--store needs postgres:URL")).transpose()?;
    let mut numbers = arguments.into_iter();
    let jobs = numbers.next().map_or(Ok(10_000), |text| text.parse())?;
    let batch = numbers.next().map_or(Ok(1_000), |text| text.parse())?;
    let workers = numbers.next().map_or(Ok(4), |text| text.parse())?;
    let load = Load { jobs, batch, workers, park };
    println!("{jobs} jobs in a loop, batches of {batch}, {workers} workers{}", if http { " over HTTP" } else { "" });
    if let Some(location) = location {
        let url = location.strip_prefix("postgres:").filter(|url| !url.starts_with("//")).unwrap_or(&location);
        let store: Arc<dyn JobStore> = Arc::new(PostgresStore::connect(url).await?);
        return measure("PostgreSQL", store, http, load).await;
    }
    let folder = tempfile::tempdir_in(".")?;
    let path = folder.path().join("hub.db");
    if park {
        let store = Arc::new(SqliteStore::open(&path, Durability::Full)?);
        return measure("SQLite in a file", store, http, load).await;
    }
    let store = Arc::new(SqliteStore::open(Path::new(":memory:"), Durability::Off)?);
    measure("SQLite in memory", store, http, load).await?;
    let store = Arc::new(SqliteStore::open(&path, Durability::Full)?);
    measure("SQLite, fsync before each answer", store, http, load).await
}

async fn measure(what: &str, store: Arc<dyn JobStore>, http: bool, load: Load) -> AnyResult<()> {
    let connection = if http { serve(store)? } else { Connection::Direct(store) };
    if load.park {
        return park_all(what, &connection, load).await;
    }
    connection.submit(submission(RUN)).await?;
    work(&connection, 1, load.jobs).await?;
    let (started_at, cpu_before) = (Instant::now(), cpu_seconds());
    let worker = async || {
        let mut latencies = Vec::new();
        while connection.is_running().await? {
            latencies.extend(work(&connection, load.batch, 0).await?);
        }
        Ok::<_, Box<dyn std::error::Error>>(latencies)
    };
    let mut latencies = try_join_all((0..load.workers).map(|_| worker())).await?.concat();
    let jobs = f64::from(load.jobs);
    let rate = jobs / started_at.elapsed().as_secs_f64();
    let cpu = (cpu_seconds() - cpu_before) / jobs * 1e6;
    latencies.sort_unstable();
    let percentile = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default();
    println!(
        "{what:32} {rate:>8.0} jobs/s {cpu:>6.1} us CPU per job, reports took {:.1?} (p50) {:.1?} (p99)",
        percentile(50),
        percentile(99)
    );
    Ok(())
}

/// Rounds of a loop that exist at a time.
const WINDOW: u32 = 50_000;

/// Submits runs until so many jobs exist, and parks each of them.
async fn park_all(what: &str, connection: &Connection, load: Load) -> AnyResult<()> {
    let (started_at, mut remaining, mut run) = (Instant::now(), load.jobs, 0);
    while remaining > 0 {
        run += 1;
        connection.submit(submission(RunId(Uuid::from_u128(run)))).await?;
        work(connection, 1, remaining.min(WINDOW)).await?;
        remaining = remaining.saturating_sub(WINDOW);
        while work(connection, load.batch, PENDING).await?.is_some() {}
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let memory = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    let memory: Vec<String> = memory.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    println!("{what}: {} jobs parked in {:.1?}; {}", load.jobs, started_at.elapsed(), memory.join(", "));
    Ok(())
}

/// Instead of a number of elements: the job becomes pending.
const PENDING: u32 = u32::MAX;

/// Starts a hub on loopback, on a separate thread.
fn serve(store: Arc<dyn JobStore>) -> AnyResult<Connection> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let clock: Clock = Arc::new(|| NOW);
            serve_hub(listener, Hub::with_clock(store, clock), pending()).await;
            Ok::<_, std::io::Error>(())
        })
    });
    Ok(Connection::Http(Arc::new(HubClient::new(&[address])?)))
}

/// The processor time of this process so far, from /proc.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

/// Leases a batch, reports it as completed, and returns how long the report took. The source returns a list of `elements`.
async fn work(connection: &Connection, count: u32, elements: u32) -> AnyResult<Option<Duration>> {
    let worker = "w1".to_owned();
    let request = LeaseRequest {
        worker: worker.clone(),
        scopes: vec!["default".into()],
        reverse: false,
        count,
        wait_ms: 0,
        ..LeaseRequest::default()
    };
    let batch = connection.lease(request).await?;
    let report = |lease: &Lease| Report {
        job: lease.job,
        token: lease.token,
        outcome: match elements {
            PENDING => bue_model::Outcome::Pending { delay_ms: Some(3_600_000), scope: None },
            _ => bue_model::Outcome::Completed { value: value(elements), hints: Hints::default() },
        },
        log: None,
        arguments: Vec::new(),
        usage: AttemptUsage::of_ms(1),
    };
    let reports: Vec<Report> = batch.leases.iter().map(report).collect();
    if reports.is_empty() {
        return Ok(None);
    }
    let started_at = Instant::now();
    connection.report(ReportBatch { worker, reports }).await?;
    Ok(Some(started_at.elapsed()))
}

fn value(elements: u32) -> ValueRef {
    let one = || ValueRef::Inline(vec![0xf6].into());
    let chunk = |from: u32| Chunk { count: (elements - from).min(1_000), value: Box::new(one()) };
    if elements == 0 { one() } else { ValueRef::List((0..elements).step_by(1_000).map(chunk).collect()) }
}

/// `for x in source(): body(x)`
fn submission(run: RunId) -> Submission {
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
    let fan_out =
        ForEach { id: NodeId(1), variable: "x".to_owned(), over: NodeId(0), line: 1, body, gather: None, window: None };
    let plan = Plan {
        version: PLAN_VERSION,
        steps: vec![step("source"), step("body")],
        nodes: vec![job(0, Vec::new()), Node::ForEach(fan_out)],
        calls: vec![call(0), call(2)],
        params: Vec::new(),
    };
    let code = vec![BlobRef { hash: BlobHash([0; 32]), len: 1 }; 2];
    Submission { run, name: "throughput".to_owned(), plan, code }
}
