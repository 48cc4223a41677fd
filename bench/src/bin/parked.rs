//! A million jobs at a `bue hub` process: how much of its memory they use while they are parked, how late parked jobs become
//! ready, and whether the hub's memory stays constant during a loop over as many elements.
//!
//! `cargo run --release -p bue-bench --bin parked -- [JOBS [sqlite|postgres]]`; the defaults are 1,000,000 and sqlite.
//!
//! How to read the figures:
//! - `all parked`: every round of some loops was leased and reported as pending for a day. Compare its memory with `idle hub`.
//! - Lateness: a thousand more jobs are parked, the first for 3 s and each for 10 ms longer than the one before. Lateness is the time
//!   from when a job was due, counted from when its report was sent, to when a waiting worker has leased it. It includes the
//!   transmission of the report, so it is an upper bound.
//! - `loop`: the jobs of `for x in source()` over JOBS elements are completed; memory and throughput are printed after each
//!   tenth. Memory should not grow from 20 % on.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bue_bench::{
    Database, HubProcess, Samples, StoreKind, completed, lease_request, open_loop, pss_kib, report, status_kib, table,
};
use bue_client::HubClient;
use bue_model::wire::{LeaseBatch, ReportBatch};
use bue_model::{JobId, Outcome};
use comfy_table::Table;

/// Rounds of one loop: the most that the hub instantiates at once.
const ROUNDS: u32 = 50_000;

/// Jobs of one lease.
const BATCH: u32 = 1_000;

/// Jobs whose lateness is measured.
const MEASURED: u32 = 1_000;
/// The interval at which they become due.
const DUE_INTERVAL: Duration = Duration::from_millis(10);

/// The delay until the first of them is due.
const FIRST_DUE: Duration = Duration::from_secs(3);

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let jobs: u32 = arguments.first().map_or(Ok(1_000_000), |text| text.parse())?;
    let postgres = arguments.get(1).is_some_and(|store| store == "postgres");
    let database = postgres.then(Database::start);
    let mut figures = table(&["figure", "RssAnon", "Pss", "jobs/s"]);
    let lateness = measure_parked(jobs, &new_store(database.as_ref()).await, &mut figures).await?;
    measure_loop(jobs, &new_store(database.as_ref()).await, &mut figures).await?;
    println!("{}, {jobs} jobs\n{figures}", if postgres { "PostgreSQL" } else { "SQLite" });
    let late = |percent| lateness.percentile(percent);
    println!(
        "lateness of {MEASURED} jobs beside them: p50 {:.1?}, p99 {:.1?}, max {:.1?}",
        late(50),
        late(99),
        late(100)
    );
    Ok(())
}

async fn new_store(database: Option<&Database>) -> StoreKind {
    match database {
        Some(database) => StoreKind::Postgres(database.create().await),
        None => StoreKind::Sqlite,
    }
}

/// Parks all jobs, and then measures the lateness of a few more.
async fn measure_parked(jobs: u32, store: &StoreKind, figures: &mut Table) -> Result<Samples> {
    let hub = HubProcess::start(store)?;
    let client = hub.client()?;
    add_row("idle hub", &hub, None, figures);
    let (start, mut done) = (Instant::now(), 0);
    for from in (0..jobs).step_by(ROUNDS as usize) {
        let rounds = ROUNDS.min(jobs - from);
        open_loop(&client, u128::from(from) + 1, rounds).await?;
        done += report_jobs(&client, rounds, &Outcome::Pending { delay_ms: Some(DAY_MS), scope: None }).await?;
        eprintln!("{done} parked");
    }
    add_row("all parked", &hub, Some((done, start.elapsed())), figures);
    let lateness = measure_lateness(&client).await?;
    add_row("... after a thousand became ready", &hub, None, figures);
    Ok(lateness)
}

/// Leases and reports this many jobs, batch after batch.
async fn report_jobs(client: &HubClient, jobs: u32, outcome: &Outcome) -> Result<u32> {
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

/// Parks jobs for a short time and waits for them.
async fn measure_lateness(client: &HubClient) -> Result<Samples> {
    open_loop(client, u128::MAX, MEASURED).await?;
    let leased = lease(client, MEASURED).await?;
    let sent = Instant::now();
    let mut due: HashMap<JobId, Instant> = HashMap::new();
    let mut reports = Vec::new();
    for (number, lease) in (0_u32..).zip(&leased.leases) {
        let delay = FIRST_DUE + DUE_INTERVAL * number;
        due.insert(lease.job, sent + delay);
        let delay_ms = Some(u64::try_from(delay.as_millis())?);
        reports.push(report(lease, Outcome::Pending { delay_ms, scope: None }));
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

/// Completes a loop and samples the hub's memory after each tenth.
async fn measure_loop(jobs: u32, store: &StoreKind, figures: &mut Table) -> Result<()> {
    let hub = HubProcess::start(store)?;
    let client = hub.client()?;
    open_loop(&client, 1, jobs).await?;
    let mut memory = Vec::new();
    for tenth in 1..=10 {
        let (start, before) = (Instant::now(), hub.cpu());
        let done = report_jobs(&client, jobs / 10, &completed()).await?;
        let cpu = hub.cpu().saturating_sub(before);
        memory.push(status_kib(hub.id(), "RssAnon:"));
        add_row(
            &format!("loop, {tenth}0 % done ({:.1?} of the hub per job)", cpu / done),
            &hub,
            Some((done, start.elapsed())),
            figures,
        );
    }
    let steady = memory.get(1..).unwrap_or_default();
    let (min, max) = (steady.iter().min().copied().unwrap_or(0), steady.iter().max().copied().unwrap_or(0));
    println!("a loop's RssAnon from 20 % on: {} to {} MiB", min / 1024, max / 1024);
    Ok(())
}

fn add_row(name: &str, hub: &HubProcess, completed: Option<(u32, Duration)>, figures: &mut Table) {
    let mib = |kib: u64| format!("{} MiB", kib / 1024);
    let rate =
        completed.map_or_else(String::new, |(jobs, wall)| format!("{:.0}", f64::from(jobs) / wall.as_secs_f64()));
    figures.add_row([name.to_owned(), mib(status_kib(hub.id(), "RssAnon:")), mib(pss_kib(hub.id())), rate]);
}
