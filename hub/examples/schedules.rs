//! How late runs start if many schedules are due at the same moment, and how much memory a hub needs for many schedules.
//!
//! `cargo run --release -p bue-hub --example schedules -- [DUE] [STORED] [--store postgres:URL]`; by default 10,000 are due at
//! once, and 100,000 are stored, which are the most.
//!
//! A hub and its scheduler run on a thread of this process. DUE schedules of one pipeline with one step become due at the same second. The
//! lateness of a run is the time from there to the beginning of the transaction that created it, on the hub's clock; the
//! transaction itself takes a few milliseconds more. Meanwhile a client sends empty reads (`GET /v1/runs?limit=1`) to the same
//! hub, and their latency shows whether other requests starve; `idle` is their latency before. Memory is what this process has
//! resident, before and after STORED schedules were created. The PostgreSQL database must be empty.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bue_client::HubClient;
use bue_hub::{Durability, Hub, JobStore, PostgresStore, SqliteStore, serve_hub};
use bue_model::pipeline::Publication;
use bue_model::plan::{PLAN_VERSION, Settings, Source};
use bue_model::schedule::{MAX_APPLIED, ScheduleView};
use bue_model::{
    BlobHash, BlobRef, Call, CallIndex, JobNode, Language, Node, NodeId, Plan, RunId, Step, StepIndex, Timestamp,
};
use uuid::Uuid;

type AnyResult<T> = Result<T, Box<dyn std::error::Error>>;

/// Time between two reads of the client.
const PAUSE: Duration = Duration::from_millis(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> AnyResult<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let flag = arguments.iter().position(|argument| argument == "--store");
    let location = flag.map(|at| arguments.drain(at..).nth(1).ok_or("--store needs postgres:URL")).transpose()?;
    let mut numbers = arguments.into_iter();
    let due: usize = numbers.next().map_or(Ok(10_000), |text| text.parse())?;
    let stored: usize = numbers.next().map_or(Ok(100_000), |text| text.parse())?;
    let folder = tempfile::tempdir_in(".")?;
    let path = folder.path().join("hub.db");
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        if let Err(error) = serve(listener, location.as_deref(), &path) {
            println!("the hub failed: {error}");
        }
    });
    let client = HubClient::new(&[address])?;
    client.publish("p", &publication()).await?;
    measure_lateness(&client, due).await?;
    measure_memory(&client, due, stored).await
}

/// Runs a hub on this thread, as `bue hub` does.
fn serve(listener: std::net::TcpListener, location: Option<&str>, path: &Path) -> AnyResult<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store: Arc<dyn JobStore> = match location {
            Some(location) => {
                let url = location.strip_prefix("postgres:").filter(|url| !url.starts_with("//")).unwrap_or(location);
                Arc::new(PostgresStore::connect(url).await?)
            }
            None => Arc::new(SqliteStore::open(path, Durability::Full)?),
        };
        listener.set_nonblocking(true)?;
        serve_hub(tokio::net::TcpListener::from_std(listener)?, Hub::new(store), pending()).await;
        Ok(())
    })
}

/// Lets many schedules become due at once.
async fn measure_lateness(client: &HubClient, due: usize) -> AnyResult<()> {
    let idle = read_for(client, Duration::from_secs(2)).await?;
    let created = Instant::now();
    // far enough away for their creation, and once only
    let at = now_ms() / 1_000 * 1_000 + 10_000 + i64::try_from(due)?;
    let from = jiff::Timestamp::from_millisecond(at)?;
    put(client, "due", due, &format!(r#""every": "100d", "from": "{from}""#)).await?;
    println!("{due} schedules created in {:.1?}", created.elapsed());
    let wait = u64::try_from(at - now_ms()).map_err(|_| "they were due before they were created")?;
    tokio::time::sleep(Duration::from_millis(wait)).await;
    let (mut reads, mut started) = (Vec::new(), Vec::new());
    while started.len() < due {
        reads.extend(read_for(client, Duration::from_millis(500)).await?);
        started = all(client).await?.into_iter().filter_map(|one| one.last_run).collect();
    }
    let mut lateness = Vec::new();
    for last in &started {
        let run = client.run(last.run, None, 0).await?;
        lateness.push(Duration::from_millis(run.created_at.since_ms(Timestamp(at))));
    }
    println!("lateness: {}", percentiles(lateness));
    println!("reads meanwhile: {}; idle: {}", percentiles(reads), percentiles(idle));
    Ok(())
}

/// Creates as many schedules as are to be stored, which are not due yet.
async fn measure_memory(client: &HubClient, existing: usize, stored: usize) -> AnyResult<()> {
    let before = resident_kib()?;
    let created = Instant::now();
    put(client, "stored", stored.saturating_sub(existing), r#""cron": "0 6 1 1 *", "timezone": "Europe/Berlin""#)
        .await?;
    println!("{stored} schedules stored after {:.1?}", created.elapsed());
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!("resident: {} MiB before, {} MiB after", before / 1024, resident_kib()? / 1024);
    Ok(())
}

async fn put(client: &HubClient, prefix: &str, count: usize, times: &str) -> AnyResult<()> {
    let schedule = |number: usize| format!(r#"{{"name": "{prefix}{number}", "pipeline": "p", {times}}}"#);
    let all: Vec<String> = (0..count).map(schedule).collect();
    for part in all.chunks(MAX_APPLIED) {
        client.apply_schedules(format!(r#"{{"schedules": [{}]}}"#, part.join(","))).await?;
    }
    Ok(())
}

async fn all(client: &HubClient) -> AnyResult<Vec<ScheduleView>> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = client.schedules(&after).await?;
        all.extend(page.schedules);
        match page.next {
            Some(next) => after = next,
            None => return Ok(all),
        }
    }
}

/// Reads for a while, and returns how long each read took.
async fn read_for(client: &HubClient, duration: Duration) -> AnyResult<Vec<Duration>> {
    let (start, mut reads) = (Instant::now(), Vec::new());
    while start.elapsed() < duration {
        let sent = Instant::now();
        client.latest_run().await?;
        reads.push(sent.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    Ok(reads)
}

fn percentiles(mut samples: Vec<Duration>) -> String {
    samples.sort_unstable();
    let at = |percent: usize| samples.get(samples.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default();
    format!("p50 {:.1?}, p99 {:.1?}, largest {:.1?} of {}", at(50), at(99), at(100), samples.len())
}

fn now_ms() -> i64 {
    jiff::Timestamp::try_from(
        #[expect(clippy::disallowed_methods, reason = "a program that measures")]
        std::time::SystemTime::now(),
    )
    .unwrap_or_default()
    .as_millisecond()
}

fn resident_kib() -> AnyResult<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// A pipeline with one step.
fn publication() -> Publication {
    let step = Step {
        name: "a".to_owned(),
        language: Language::Python,
        function: "a".to_owned(),
        source: Source::File("steps.py".to_owned()),
        line: 1,
        settings: Settings::default(),
    };
    let job = JobNode { id: NodeId(0), step: StepIndex(0), call: CallIndex(0), inputs: Vec::new() };
    let call = Call { line: 1, name: None, first: NodeId(0), last: NodeId(0), nested: false };
    let plan = Plan {
        version: PLAN_VERSION,
        steps: vec![step],
        nodes: vec![Node::Job(job)],
        calls: vec![call],
        params: Vec::new(),
    };
    let code = vec![BlobRef { hash: BlobHash([7; 32]), len: 1 }];
    Publication { upload: RunId(Uuid::from_u128(1)), script: "p.bue".to_owned(), plan, code }
}
