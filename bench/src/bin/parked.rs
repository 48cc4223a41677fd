//! A million jobs at a `bue hub` process: what they take of its memory while they wait, how late one of them is woken, and
//! whether a loop over as many elements keeps the hub's memory flat.
//!
//! `cargo run --release -p bue-bench --bin parked -- [JOBS [sqlite|postgres]]`, 1,000,000 and sqlite where nothing is said.
//!
//! Parked: loops are opened, and each round is leased and reported as pending for a day. Then a thousand jobs more are
//! parked for 3 s and up, one due every 10 ms. Lateness is from the time such a job was due, counted from when its report
//! was sent, to when a worker that waits for it has it; it includes the report's way, so it is an upper bound.
//! Loop: `for x in source()` over JOBS elements is worked off; the hub's memory is looked at after each tenth.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its table")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bue_bench::{
    Database, HubProcess, Place, Samples, completed, lease_request, open, pss_kib, report, status_kib, table,
};
use bue_client::HubClient;
use bue_model::wire::{LeaseBatch, ReportBatch};
use bue_model::{JobId, Outcome};
use comfy_table::Table;

/// Rounds of one loop: the hub has as many alive at once, and no more.
const ROUNDS: u32 = 50_000;

/// Jobs of one lease.
const BATCH: u32 = 1_000;

/// Jobs whose waking is watched, and the time between two of them.
const WATCHED: u32 = 1_000;
const APART: Duration = Duration::from_millis(10);

/// Until the first of them is due.
const SOON: Duration = Duration::from_secs(3);

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let jobs: u32 = arguments.first().map_or(Ok(1_000_000), |text| text.parse())?;
    let postgres = arguments.get(1).is_some_and(|store| store == "postgres");
    let database = postgres.then(Database::start);
    let mut figures = table(&["figure", "RssAnon", "Pss", "jobs/s"]);
    let lateness = parked(jobs, &place(database.as_ref()).await, &mut figures).await?;
    looped(jobs, &place(database.as_ref()).await, &mut figures).await?;
    println!("{}, {jobs} jobs\n{figures}", if postgres { "PostgreSQL" } else { "SQLite" });
    let late = |percent| lateness.percentile(percent);
    println!("{WATCHED} woken beside them: late by p50 {:.1?}, p99 {:.1?}, most {:.1?}", late(50), late(99), late(100));
    Ok(())
}

async fn place(database: Option<&Database>) -> Place {
    match database {
        Some(database) => Place::Postgres(database.fresh().await),
        None => Place::Sqlite,
    }
}

/// Parks all, and then watches a few.
async fn parked(jobs: u32, place: &Place, figures: &mut Table) -> Result<Samples> {
    let hub = HubProcess::start(place)?;
    let client = hub.client()?;
    row("idle hub", &hub, None, figures);
    let (start, mut done) = (Instant::now(), 0);
    for from in (0..jobs).step_by(ROUNDS as usize) {
        let rounds = ROUNDS.min(jobs - from);
        open(&client, u128::from(from) + 1, rounds).await?;
        done += work(&client, rounds, &Outcome::Pending { delay_ms: Some(DAY_MS) }).await?;
        eprintln!("{done} parked");
    }
    row("all parked", &hub, Some((done, start.elapsed())), figures);
    let lateness = watched(&client).await?;
    row("... and a thousand woken", &hub, None, figures);
    Ok(lateness)
}

/// Leases and reports so many jobs, one batch after the other.
async fn work(client: &HubClient, jobs: u32, outcome: &Outcome) -> Result<u32> {
    let mut done = 0;
    while done < jobs {
        let leased = lease(client, BATCH.min(jobs - done)).await?;
        let reports: Vec<_> = leased.leases.iter().map(|lease| report(lease, outcome.clone())).collect();
        done += u32::try_from(reports.len())?;
        client.report(&ReportBatch { worker: "w".to_owned(), reports }).await?;
    }
    Ok(done)
}

async fn lease(client: &HubClient, count: u32) -> Result<LeaseBatch> {
    let leased = client.lease(&lease_request("w", count, 60_000)).await?;
    ensure!(!leased.leases.is_empty(), "no jobs came for a minute");
    Ok(leased)
}

/// Parks a few for a short while and waits for them.
async fn watched(client: &HubClient) -> Result<Samples> {
    open(client, u128::MAX, WATCHED).await?;
    let leased = lease(client, WATCHED).await?;
    let sent = Instant::now();
    let mut due: HashMap<JobId, Instant> = HashMap::new();
    let mut reports = Vec::new();
    for (number, lease) in (0_u32..).zip(&leased.leases) {
        let delay = SOON + APART * number;
        due.insert(lease.job, sent + delay);
        let delay_ms = Some(u64::try_from(delay.as_millis())?);
        reports.push(report(lease, Outcome::Pending { delay_ms }));
    }
    client.report(&ReportBatch { worker: "w".to_owned(), reports }).await?;
    let mut lateness = Samples::default();
    while !due.is_empty() {
        let leased = lease(client, BATCH).await?;
        let now = Instant::now();
        for lease in &leased.leases {
            let due = due.remove(&lease.job).context("a job that was not due")?;
            lateness.push(now.saturating_duration_since(due));
        }
        let reports = leased.leases.iter().map(|lease| report(lease, completed())).collect();
        client.report(&ReportBatch { worker: "w".to_owned(), reports }).await?;
    }
    Ok(lateness)
}

/// Works a loop off, with a look at the memory after each tenth.
async fn looped(jobs: u32, place: &Place, figures: &mut Table) -> Result<()> {
    let hub = HubProcess::start(place)?;
    let client = hub.client()?;
    open(&client, 1, jobs).await?;
    let mut seen = Vec::new();
    for tenth in 1..=10 {
        let (start, before) = (Instant::now(), hub.cpu());
        let done = work(&client, jobs / 10, &completed()).await?;
        let cpu = hub.cpu().saturating_sub(before);
        seen.push(status_kib(hub.id(), "RssAnon:"));
        row(&format!("loop, {tenth}0 % done ({:.1?} a job)", cpu / done), &hub, Some((done, start.elapsed())), figures);
    }
    let steady = seen.get(1..).unwrap_or_default();
    let (least, most) = (steady.iter().min().copied().unwrap_or(0), steady.iter().max().copied().unwrap_or(0));
    println!("a loop's RssAnon from 20 % on: {} to {} MiB", least / 1024, most / 1024);
    Ok(())
}

fn row(name: &str, hub: &HubProcess, moved: Option<(u32, Duration)>, figures: &mut Table) {
    let mib = |kib: u64| format!("{} MiB", kib / 1024);
    let rate = moved.map_or_else(String::new, |(jobs, wall)| format!("{:.0}", f64::from(jobs) / wall.as_secs_f64()));
    figures.add_row([name.to_owned(), mib(status_kib(hub.id(), "RssAnon:")), mib(pss_kib(hub.id())), rate]);
}
