//! The throughput of durable no-op jobs, end to end through a `bue hub` process: a loop is submitted, and its jobs are leased and
//! reported in batches over HTTP, as a worker does, but without a sandbox. Compared with the bare databases (the lower bounds),
//! with graphile-worker on the same PostgreSQL, and with Buelon, which keeps its jobs in memory.
//!
//! `cargo run --release -p bue-bench --bin jobs -- [JOBS [ROUNDS [BATCH [CONNECTIONS]]]]`; the defaults are 30,000, 15, 1,000 and
//! 4. `bench/peers.sh` installs the other systems; those that are missing are left out. Each measurement has a new database. All
//! arms but Buelon are durable: they wait for the disk. Buelon gets only a few hundred jobs, because it is slow.
//!
//! How to read the figures:
//! - `jobs/s` covers everything from the submission to the last acknowledgement: adding, running and completing.
//! - `hub`, `PostgreSQL` and `client` are the processor time per job of the hub, of PostgreSQL's processes, and of the process
//!   that completes the jobs (which contains SQLite in the arm `bare SQLite`); `all` is their sum.
//! - `bytes per job` are the bodies of a lease and of a report.
//! - `fsyncs per 1,000 jobs` come from a separate run: of the hub from strace, of PostgreSQL from its own statistics, which count
//!   its write-ahead log but not its checkpoints.
//! - A ratio above 1 means that the first arm has the higher throughput, or uses more processor time.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

mod floors;
mod peers;

use std::time::Duration;

use anyhow::{Context, Result};
use bue_bench::{Database, HubProcess, Load, LoadMeasurement, Peers, Samples, StoreKind, table, thread_time};
use tokio::time::sleep;

/// Jobs for Buelon, which completes about two hundred per second.
const BUELON_JOBS: u32 = 300;

/// PostgreSQL's processes publish their counts after a second of idleness.
const STATISTICS_DELAY: Duration = Duration::from_secs(2);

/// One measurement of an arm: wall time, and processor time by process.
#[derive(Default)]
struct Sample {
    wall: Duration,
    server: Duration,
    database: Duration,
    client: Duration,
    load: LoadMeasurement,
}

/// The measurements of one arm.
struct Arm {
    name: &'static str,
    jobs: u32,
    walls: Samples,
    server: Samples,
    database: Samples,
    client: Samples,
    acknowledged: Samples,
    lease_bytes: usize,
    report_bytes: usize,
}

impl Arm {
    fn new(name: &'static str, jobs: u32) -> Self {
        let samples = Samples::default;
        let (walls, server, database, client) = (samples(), samples(), samples(), samples());
        Self { name, jobs, walls, server, database, client, acknowledged: samples(), lease_bytes: 0, report_bytes: 0 }
    }

    fn push(&mut self, sample: Sample) {
        self.walls.push(sample.wall);
        self.server.push(sample.server);
        self.database.push(sample.database);
        self.client.push(sample.client);
        self.acknowledged.append(sample.load.acknowledged);
        self.lease_bytes = self.lease_bytes.max(sample.load.lease_bytes);
        self.report_bytes = self.report_bytes.max(sample.load.report_bytes);
    }

    /// Jobs per second at this percentile of the wall times.
    fn rate(&self, percent: usize) -> f64 {
        f64::from(self.jobs) / self.walls.percentile(percent).as_secs_f64()
    }

    /// Processor time per job of all processes.
    fn cpu(&self) -> Duration {
        (self.server.median() + self.database.median() + self.client.median()) / self.jobs
    }

    fn row(&self) -> Vec<String> {
        let cell = |time: Duration| if time.is_zero() { "-".to_owned() } else { format!("{time:.1?}") };
        let per_job = |samples: &Samples| cell(samples.median() / self.jobs);
        let is_ours = !self.acknowledged.is_empty();
        let ack = |percent| format!("{:.1?}", self.acknowledged.percentile(percent));
        vec![
            self.name.to_owned(),
            format!("{:.0} ({:.0} to {:.0})", self.rate(50), self.rate(90), self.rate(10)),
            per_job(&self.server),
            per_job(&self.database),
            per_job(&self.client),
            cell(self.cpu()),
            if is_ours { format!("{} {}", ack(50), ack(99)) } else { "-".to_owned() },
            if is_ours { format!("{} + {}", self.lease_bytes, self.report_bytes) } else { "-".to_owned() },
        ]
    }
}

/// All arms. They are measured in this order, in every other round in reverse.
struct Arms {
    load: Load,
    database: Database,
    peers: Peers,
    sqlite: Arm,
    sqlite_floor: Arm,
    postgres: Arm,
    postgres_floor: Arm,
    graphile: Arm,
    graphile_running: Arm,
    buelon: Arm,
}

/// The order of the arms in a round.
#[derive(Clone, Copy)]
enum Order {
    Forward,
    Backward,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<u32> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let number = |index: usize, default| arguments.get(index).copied().unwrap_or(default);
    let load = Load { jobs: number(0, 30_000), batch: number(2, 1_000), connections: number(3, 4) as usize };
    let mut arms = Arms::new(load)?;
    for round in 0..number(1, 15) {
        eprintln!("round {}", round + 1);
        arms.measure(if round % 2 == 0 { Order::Forward } else { Order::Backward }).await?;
    }
    arms.print();
    println!("fsyncs per 1,000 jobs: SQLite {}, PostgreSQL {:.2}", fsyncs_of_sqlite(load).await, arms.fsyncs().await?);
    Ok(())
}

impl Arms {
    fn new(load: Load) -> Result<Self> {
        let arm = |name| Arm::new(name, load.jobs);
        Ok(Self {
            load,
            database: Database::start(),
            peers: Peers::find()?,
            sqlite: arm("bue, SQLite"),
            sqlite_floor: arm("bare SQLite"),
            postgres: arm("bue, PostgreSQL"),
            postgres_floor: arm("bare PostgreSQL"),
            graphile: arm("graphile-worker, adding and running"),
            graphile_running: arm("graphile-worker, running alone"),
            buelon: Arm::new("Buelon 1.0.78", BUELON_JOBS),
        })
    }

    async fn measure(&mut self, order: Order) -> Result<()> {
        let mut arms = [0, 1, 2, 3, 4, 5];
        if matches!(order, Order::Backward) {
            arms.reverse();
        }
        for arm in arms {
            match arm {
                0 => self.sqlite.push(self.measure_hub(&StoreKind::Sqlite).await?),
                1 => self.sqlite_floor.push(floors::sqlite(self.load)?),
                2 => self.postgres.push(self.measure_hub(&StoreKind::Postgres(self.database.create().await)).await?),
                3 => self.postgres_floor.push(floors::postgres(self.load, &self.database).await?),
                4 => self.graphile().await?,
                _ => self.buelon(),
            }
        }
        Ok(())
    }

    async fn measure_hub(&self, store: &StoreKind) -> Result<Sample> {
        let hub = HubProcess::start(store)?;
        let client = hub.client()?;
        let (hub_before, database_before, client_before) = (hub.cpu(), self.database.cpu()?, thread_time()?);
        let load = self.load.run(&client).await?;
        Ok(Sample {
            wall: load.wall,
            server: hub.cpu().saturating_sub(hub_before),
            database: self.database.cpu()?.saturating_sub(database_before),
            client: thread_time()?.saturating_sub(client_before),
            load,
        })
    }

    async fn graphile(&mut self) -> Result<()> {
        if let Err(missing) = self.peers.check_installed("graphile") {
            eprintln!("{missing}");
            return Ok(());
        }
        let (whole, running) = peers::graphile(&self.peers, self.load.jobs, &self.database).await?;
        self.graphile.push(whole);
        self.graphile_running.push(running);
        Ok(())
    }

    /// Leaves out a run that hangs.
    fn buelon(&mut self) {
        match self.peers.check_installed("buelon").and_then(|()| peers::buelon(&self.peers, BUELON_JOBS)) {
            Ok(sample) => self.buelon.push(sample),
            Err(error) => eprintln!("this round is without Buelon: {error}"),
        }
    }

    fn print(&self) {
        let mut figures = table(&[
            "arm",
            "jobs/s (p10 to p90)",
            "hub",
            "PostgreSQL",
            "client",
            "all",
            "acknowledgement p50 p99",
            "bytes per job",
        ]);
        let all = [
            &self.sqlite,
            &self.sqlite_floor,
            &self.postgres,
            &self.postgres_floor,
            &self.graphile,
            &self.graphile_running,
            &self.buelon,
        ];
        for arm in all.into_iter().filter(|arm| !arm.walls.is_empty()) {
            figures.add_row(arm.row());
        }
        println!("{:?}, {} rounds\n{figures}", self.load, self.sqlite.walls.len());
        let ratio = |one: &Arm, other: &Arm| {
            let cpu = one.cpu().as_secs_f64() / other.cpu().as_secs_f64();
            let cpu = if cpu.is_finite() { format!(", {cpu:.2} processor") } else { String::new() };
            println!("{} / {}: {:.2} jobs/s{cpu}", one.name, other.name, one.rate(50) / other.rate(50));
        };
        ratio(&self.sqlite, &self.sqlite_floor);
        ratio(&self.postgres, &self.postgres_floor);
        ratio(&self.postgres, &self.graphile);
        ratio(&self.postgres, &self.graphile_running);
        ratio(&self.sqlite, &self.buelon);
    }

    async fn fsyncs(&self) -> Result<f64> {
        let address = self.database.create().await;
        let hub = HubProcess::start(&StoreKind::Postgres(address.clone()))?;
        sleep(STATISTICS_DELAY).await;
        let before = self.database.fsyncs(&address).await?;
        self.load.run(&hub.client()?).await?;
        sleep(STATISTICS_DELAY).await;
        let after = self.database.fsyncs(&address).await?;
        Ok(per_thousand(after - before, self.load))
    }
}

/// Counts the fsyncs with SQLite and formats them. Without strace there is no figure.
async fn fsyncs_of_sqlite(load: Load) -> String {
    match count_fsyncs(load).await {
        Ok(count) => format!("{count:.2}"),
        Err(error) => format!("not counted ({error:#})"),
    }
}

async fn count_fsyncs(load: Load) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let trace = folder.path().join("trace");
    let hub = HubProcess::start_traced(&StoreKind::Sqlite, &trace).context("strace")?;
    load.run(&hub.client()?).await?;
    // strace ends with the hub and has then written all lines, including those of the hub's start and end
    drop(hub);
    let text = std::fs::read_to_string(trace)?;
    let lines = text.lines().filter(|line| line.contains("sync("));
    Ok(per_thousand(lines.count() as u64, load))
}

fn per_thousand(count: u64, load: Load) -> f64 {
    Duration::from_secs(count).as_secs_f64() * 1_000.0 / f64::from(load.jobs)
}
