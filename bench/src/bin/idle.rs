//! An idle system: how soon a worker that waits has the job that somebody hands in.
//!
//! `cargo run --release -p bue-bench --bin idle -- [SAMPLES]`, 1,000 where nothing is said. A worker waits at a `bue hub`
//! process (a long poll), nothing else happens, and a run of one job is submitted. `acknowledged to leased` is from the
//! submission's answer to the lease's, zero where the lease came first; `sent to leased` has the submission in it, and
//! with it an fsync. The floors are of the same run: an empty request to the same hub, and a 4 KiB write with fdatasync. The
//! arms take turns.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bue_bench::{Database, HubProcess, Place, Samples, completed, lease_request, report, single, table};
use bue_client::HubClient;
use bue_model::wire::ReportBatch;
use comfy_table::Table;
use tokio::time::sleep;

/// Before each submission nothing happens for so long.
const IDLE: Duration = Duration::from_millis(5);

/// What was seen of one hub.
#[derive(Default)]
struct Seen {
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
        ("SQLite", HubProcess::start(&Place::Sqlite)?),
        ("PostgreSQL", HubProcess::start(&Place::Postgres(database.fresh().await))?),
    ];
    let clients = [hubs[0].1.client()?, hubs[1].1.client()?];
    let mut seen = [Seen::default(), Seen::default()];
    let mut synced = Samples::default();
    let mut file = on_disk()?;
    for number in 0..samples {
        // A B B A
        let first = usize::from(number % 2 == 1);
        for arm in [first, 1 - first] {
            let (Some(client), Some(seen)) = (clients.get(arm), seen.get_mut(arm)) else { continue };
            once(client, u128::from(number) + 1, seen).await?;
        }
        synced.push(sync(&mut file)?);
    }
    let mut figures = table(&["figure", "p50", "p99"]);
    for ((name, _), seen) in hubs.iter().zip(&seen) {
        seen.rows(name, &mut figures);
    }
    add(&mut figures, "4 KiB on disk (fdatasync)", &synced);
    println!("{samples} samples of each\n{figures}");
    Ok(())
}

async fn once(client: &HubClient, number: u128, seen: &mut Seen) -> Result<()> {
    let request = lease_request("w", 1, 30_000);
    let waiting = async { client.lease(&request).await.map(|batch| (batch, Instant::now())) };
    let submission = single(number);
    let submitting = async {
        // the worker is at the hub by then, and waits
        sleep(IDLE).await;
        let sent = Instant::now();
        client.submit(&submission).await.map(|_| (sent, Instant::now()))
    };
    let ((batch, leased), (sent, acknowledged)) = tokio::try_join!(waiting, submitting)?;
    seen.submitted.push(acknowledged.duration_since(sent));
    seen.acknowledged_to_leased.push(leased.saturating_duration_since(acknowledged));
    seen.sent_to_leased.push(leased.duration_since(sent));
    let lease = batch.leases.first().context("no job")?;
    let reporting = Instant::now();
    client.report(&ReportBatch { worker: "w".to_owned(), reports: vec![report(lease, completed())] }).await?;
    seen.reported.push(reporting.elapsed());
    let asking = Instant::now();
    client.bucket().await?;
    seen.round_trip.push(asking.elapsed());
    Ok(())
}

impl Seen {
    fn rows(&self, name: &str, figures: &mut Table) {
        add(figures, &format!("{name}: acknowledged to leased"), &self.acknowledged_to_leased);
        add(figures, &format!("{name}: sent to leased"), &self.sent_to_leased);
        add(figures, &format!("{name}: submission acknowledged"), &self.submitted);
        add(figures, &format!("{name}: report acknowledged"), &self.reported);
        add(figures, &format!("{name}: empty request"), &self.round_trip);
    }
}

fn add(figures: &mut Table, name: &str, samples: &Samples) {
    let cell = |percent| format!("{:.3?}", samples.percentile(percent));
    figures.add_row([name.to_owned(), cell(50), cell(99)]);
}

/// Beside the program: temporary folders may be in memory.
fn on_disk() -> Result<File> {
    let mut program = std::env::current_exe()?;
    program.pop();
    Ok(tempfile::tempfile_in(program)?)
}

fn sync(file: &mut File) -> Result<Duration> {
    let start = Instant::now();
    file.write_all(&[1; 4096])?;
    file.sync_data()?;
    Ok(start.elapsed())
}
