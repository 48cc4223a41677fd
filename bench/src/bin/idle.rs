//! The latency of an idle system: how soon a waiting worker gets a job after it was submitted.
//!
//! `cargo run --release -p bue-bench --bin idle -- [SAMPLES]`; the default is 1,000.
//!
//! How to read the figures: a worker waits in a long poll at a `bue hub` process, nothing else happens, and a run with one job is
//! submitted. `acknowledged to leased` is the time from the response to the submission to the response to the lease request, zero
//! if the lease arrived first. `sent to leased` includes the submission, and with it an fsync. The lower bounds are measured
//! in the same process: an empty request to the same hub, and a 4 KiB write with fdatasync. The arms are interleaved.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bue_bench::{Database, HubProcess, Samples, StoreKind, completed, lease_request, report, single_job, table};
use bue_client::HubClient;
use bue_model::wire::ReportBatch;
use comfy_table::Table;
use tokio::time::sleep;

/// The idle time before each submission.
const IDLE: Duration = Duration::from_millis(5);

/// The latencies of one hub.
#[derive(Default)]
struct Latencies {
    submitted: Samples,
    acknowledged_to_leased: Samples,
    sent_to_leased: Samples,
    reported: Samples,
    round_trip: Samples,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let samples: u32 = std::env::args().nth(1).map_or(Ok(1_000), |text| text.parse())?;
    let database = Database::start();
    let hubs = [
        ("SQLite", HubProcess::start(&StoreKind::Sqlite)?),
        ("PostgreSQL", HubProcess::start(&StoreKind::Postgres(database.create().await))?),
    ];
    let clients = [hubs[0].1.client()?, hubs[1].1.client()?];
    let mut latencies = [Latencies::default(), Latencies::default()];
    let mut fdatasync = Samples::default();
    let mut file = file_on_disk()?;
    for number in 0..samples {
        // A B B A
        let first = usize::from(number % 2 == 1);
        for arm in [first, 1 - first] {
            let (Some(client), Some(latencies)) = (clients.get(arm), latencies.get_mut(arm)) else { continue };
            measure(client, u128::from(number) + 1, latencies).await?;
        }
        fdatasync.push(write_and_sync(&mut file)?);
    }
    let mut figures = table(&["figure", "p50", "p99"]);
    for ((name, _), latencies) in hubs.iter().zip(&latencies) {
        latencies.add_rows(name, &mut figures);
    }
    add_row(&mut figures, "4 KiB on disk (fdatasync)", &fdatasync);
    println!("{samples} samples of each\n{figures}");
    Ok(())
}

/// Submits a run while a worker waits, and completes its job.
async fn measure(client: &HubClient, number: u128, latencies: &mut Latencies) -> Result<()> {
    let request = lease_request("w", 1, 30_000);
    let waiting = async { client.lease(&request).await.map(|batch| (batch, Instant::now())) };
    let submission = single_job(number);
    let submitting = async {
        // meanwhile the lease request reaches the hub
        sleep(IDLE).await;
        let sent = Instant::now();
        client.submit(&submission).await.map(|_| (sent, Instant::now()))
    };
    let ((batch, leased), (sent, acknowledged)) = tokio::try_join!(waiting, submitting)?;
    latencies.submitted.push(acknowledged.duration_since(sent));
    latencies.acknowledged_to_leased.push(leased.saturating_duration_since(acknowledged));
    latencies.sent_to_leased.push(leased.duration_since(sent));
    let lease = batch.leases.first().context("no job")?;
    let report_sent_at = Instant::now();
    client.report(&ReportBatch { worker: "w".to_owned(), reports: vec![report(lease, completed())] }).await?;
    latencies.reported.push(report_sent_at.elapsed());
    let sent_at = Instant::now();
    client.bucket().await?;
    latencies.round_trip.push(sent_at.elapsed());
    Ok(())
}

impl Latencies {
    fn add_rows(&self, name: &str, figures: &mut Table) {
        add_row(figures, &format!("{name}: acknowledged to leased"), &self.acknowledged_to_leased);
        add_row(figures, &format!("{name}: sent to leased"), &self.sent_to_leased);
        add_row(figures, &format!("{name}: submission acknowledged"), &self.submitted);
        add_row(figures, &format!("{name}: report acknowledged"), &self.reported);
        add_row(figures, &format!("{name}: empty request"), &self.round_trip);
    }
}

fn add_row(figures: &mut Table, name: &str, samples: &Samples) {
    let cell = |percent| format!("{:.3?}", samples.percentile(percent));
    figures.add_row([name.to_owned(), cell(50), cell(99)]);
}

/// Creates a file beside the program, because temporary folders may be in memory.
fn file_on_disk() -> Result<File> {
    let mut program = std::env::current_exe()?;
    program.pop();
    Ok(tempfile::tempfile_in(program)?)
}

fn write_and_sync(file: &mut File) -> Result<Duration> {
    let start = Instant::now();
    file.write_all(&[1; 4096])?;
    file.sync_data()?;
    Ok(start.elapsed())
}
