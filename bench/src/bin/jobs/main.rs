//! Durable no-op jobs a second, end to end through a `bue hub` process: a loop is submitted, and its jobs are leased and
//! reported in batches over HTTP, as a worker does, without a sandbox. Beside it, in turn, what the databases alone take for
//! the same (the floors), and what others make of it on the same PostgreSQL (graphile-worker) and in memory (Buelon).
//!
//! `cargo run --release -p bue-bench --bin jobs -- [JOBS [ROUNDS [BATCH [CONNECTIONS]]]]`, 30,000, 15, 1,000 and 4 where
//! nothing is said. The peers come from `bench/peers.sh`; those that are missing are left out. Every arm has a new database
//! each time; all are on disk and wait for it, Buelon apart, which keeps nothing. Its jobs are few.
//!
//! `jobs/s` is from the submission to the last acknowledgement: adding, running and completing. Times on the processor are by
//! the job: of the hub, of PostgreSQL's processes, of whoever does the jobs (bare SQLite is in its process). Bytes a job are
//! those of a lease and of a report, bodies alone. fsyncs are counted in a run of their own: of the hub by strace, of PostgreSQL by itself (its log only, not its
//! checkpoints).
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its table")]

mod floors;
mod peers;

use std::time::Duration;

use anyhow::{Context, Result};
use bue_bench::{Database, HubProcess, Load, Moved, Place, Samples, table, thread_time};
use tokio::time::sleep;

use crate::peers::Peers;

/// Buelon's, of which there are some two hundred a second.
const FEW: u32 = 300;

/// PostgreSQL's processes tell what they counted when they were idle for a second.
const TOLD: Duration = Duration::from_secs(2);

/// One measurement of an arm.
#[derive(Default)]
struct Sample {
    wall: Duration,
    server: Duration,
    database: Duration,
    client: Duration,
    moved: Moved,
}

/// One arm.
struct Arm {
    name: &'static str,
    jobs: u32,
    walls: Samples,
    server: Samples,
    database: Samples,
    client: Samples,
    acknowledged: Samples,
    bytes: (usize, usize),
}

impl Arm {
    fn new(name: &'static str, jobs: u32) -> Self {
        let none = Samples::default;
        let (walls, server, database, client, acknowledged) = (none(), none(), none(), none(), none());
        Self { name, jobs, walls, server, database, client, acknowledged, bytes: (0, 0) }
    }

    fn push(&mut self, sample: Sample) {
        self.walls.push(sample.wall);
        self.server.push(sample.server);
        self.database.push(sample.database);
        self.client.push(sample.client);
        self.acknowledged.append(sample.moved.acknowledged);
        self.bytes = self.bytes.max(sample.moved.bytes_a_job);
    }

    /// Jobs a second at this percentile of the times.
    fn rate(&self, percent: usize) -> f64 {
        f64::from(self.jobs) / self.walls.percentile(percent).as_secs_f64()
    }

    /// Time on the processor by the job, of all processes.
    fn cpu(&self) -> Duration {
        (self.server.median() + self.database.median() + self.client.median()) / self.jobs
    }

    fn row(&self) -> Vec<String> {
        let a_job = |samples: &Samples| match samples.median() / self.jobs {
            Duration::ZERO => "-".to_owned(),
            time => format!("{time:.1?}"),
        };
        let seen = !self.acknowledged.is_empty();
        let ack = |percent| format!("{:.1?}", self.acknowledged.percentile(percent));
        vec![
            self.name.to_owned(),
            format!("{:.0} ({:.0} to {:.0})", self.rate(50), self.rate(90), self.rate(10)),
            a_job(&self.server),
            a_job(&self.database),
            a_job(&self.client),
            format!("{:.1?}", self.cpu()),
            if seen { format!("{} {}", ack(50), ack(99)) } else { "-".to_owned() },
            if seen { format!("{} + {}", self.bytes.0, self.bytes.1) } else { "-".to_owned() },
        ]
    }
}

/// The arms, in the order they are measured in, and every other round the other way round.
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let numbers: Vec<u32> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let number = |index: usize, default| numbers.get(index).copied().unwrap_or(default);
    let load = Load { jobs: number(0, 30_000), batch: number(2, 1_000), connections: number(3, 4) as usize };
    let mut arms = Arms::new(load)?;
    for round in 0..number(1, 15) {
        eprintln!("round {}", round + 1);
        arms.round(round % 2 == 1).await?;
    }
    arms.print();
    println!("fsyncs by 1,000 jobs: SQLite {}, PostgreSQL {:.2}", fsyncs_of_sqlite(load).await, arms.fsyncs().await?);
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
            buelon: Arm::new("Buelon 1.0.78", FEW),
        })
    }

    async fn round(&mut self, backward: bool) -> Result<()> {
        let mut order = [0, 1, 2, 3, 4, 5];
        if backward {
            order.reverse();
        }
        for arm in order {
            match arm {
                0 => self.sqlite.push(self.through_hub(&Place::Sqlite).await?),
                1 => self.sqlite_floor.push(floors::sqlite(self.load)?),
                2 => self.postgres.push(self.through_hub(&Place::Postgres(self.database.fresh().await)).await?),
                3 => self.postgres_floor.push(floors::postgres(self.load, &self.database).await?),
                4 => self.graphile().await?,
                _ => self.buelon(),
            }
        }
        Ok(())
    }

    async fn through_hub(&self, place: &Place) -> Result<Sample> {
        let hub = HubProcess::start(place)?;
        let client = hub.client()?;
        let before = (hub.cpu(), self.database.cpu()?, thread_time()?);
        let moved = self.load.run(&client).await?;
        Ok(Sample {
            wall: moved.wall,
            server: hub.cpu().saturating_sub(before.0),
            database: self.database.cpu()?.saturating_sub(before.1),
            client: thread_time()?.saturating_sub(before.2),
            moved,
        })
    }

    async fn graphile(&mut self) -> Result<()> {
        if let Err(missing) = self.peers.has("graphile") {
            eprintln!("{missing}");
            return Ok(());
        }
        let (whole, running) = self.peers.graphile(self.load.jobs, &self.database).await?;
        self.graphile.push(whole);
        self.graphile_running.push(running);
        Ok(())
    }

    /// A run that hung is left out.
    fn buelon(&mut self) {
        match self.peers.has("buelon").and_then(|()| self.peers.buelon(FEW)) {
            Ok(sample) => self.buelon.push(sample),
            Err(error) => eprintln!("without Buelon this time: {error}"),
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
            "bytes a job",
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
        let address = self.database.fresh().await;
        let hub = HubProcess::start(&Place::Postgres(address.clone()))?;
        sleep(TOLD).await;
        let before = self.database.fsyncs(&address).await?;
        self.load.run(&hub.client()?).await?;
        sleep(TOLD).await;
        let after = self.database.fsyncs(&address).await?;
        Ok(thousandth(after - before, self.load))
    }
}

/// As a cell: without strace there is no figure.
async fn fsyncs_of_sqlite(load: Load) -> String {
    match count(load).await {
        Ok(count) => format!("{count:.2}"),
        Err(error) => format!("not counted ({error:#})"),
    }
}

async fn count(load: Load) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let calls = folder.path().join("calls");
    let hub = HubProcess::start_traced(&Place::Sqlite, &calls).context("strace")?;
    load.run(&hub.client()?).await?;
    // strace ends with the hub, and then all its lines are there: those of starting and ending too
    drop(hub);
    let text = std::fs::read_to_string(calls)?;
    let lines = text.lines().filter(|line| line.contains("sync("));
    Ok(thousandth(lines.count() as u64, load))
}

fn thousandth(count: u64, load: Load) -> f64 {
    Duration::from_secs(count).as_secs_f64() * 1_000.0 / f64::from(load.jobs)
}
