//! The fixed costs of bue: the size of the program, an idle hub, the start of `bue run` and of a worker.
//!
//! `cargo run --release -p bue-bench --bin startup`
//!
//! How to read the figures: `bue run` is the time of the whole process, with one Python step; the `python3 -I -S` process calls the
//! same function. The time of a worker is from the start of its process to the end of a Python step that was ready in the hub; an
//! earlier worker has already filled the image cache. `first start` depends on whether the cache was filled before the
//! benchmark.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bue_bench::{BucketProcess, Bue, HubProcess, Samples, StoreKind, interleave, run, status_kib, table};
use bue_model::{RunId, RunState};
use tokio::runtime::{Builder, Runtime};

const SCRIPT: &str = "hello:\n    python\n    hello\n    `\ndef hello():\n    return 'hello'\n`\nhello()\n";
const ROUNDS: usize = 15;
/// The time over which the idle hub is measured.
const IDLE: Duration = Duration::from_secs(20);

fn main() -> Result<()> {
    let bue = Bue::find()?;
    println!("the program: {} MB", fs::metadata(bue.program())?.len() / 1_000_000);
    measure_idle_hub()?;
    // the first start fills the cache
    let first = bue.run(SCRIPT, &[])?.wall;
    let (ours, peer) = interleave(ROUNDS, || bue.run(SCRIPT, &[]).map(|run| run.wall), run_python)?;
    let mut figures = table(&["arm", "median (p10 to p90)"]);
    figures.add_row(["bue run, one step, second start".to_owned(), ours.cell()]);
    figures.add_row(["python3 -I -S, the same function".to_owned(), peer.cell()]);
    figures.add_row([
        "a worker to the end of its first step".to_owned(),
        Services::start(&bue)?.measure_workers()?.cell(),
    ]);
    println!("first start in this run: {first:.3?}\n{figures}");
    Ok(())
}

/// Prints the memory and the processor time of an idle hub.
fn measure_idle_hub() -> Result<()> {
    let hub = HubProcess::start(&StoreKind::Sqlite)?;
    let before = hub.cpu();
    sleep(IDLE);
    let busy = hub.cpu().saturating_sub(before).as_secs_f64() / IDLE.as_secs_f64();
    let (anonymous, resident) = (status_kib(hub.id(), "RssAnon:"), status_kib(hub.id(), "VmRSS:"));
    println!(
        "an idle hub: {} MiB of anonymous memory, {} MiB resident, {:.2} % of a core",
        anonymous / 1024,
        resident / 1024,
        busy * 100.0
    );
    Ok(())
}

fn run_python() -> Result<Duration> {
    let start = Instant::now();
    let status =
        Command::new("python3").args(["-I", "-S", "-c", "def hello():\n    return 'hello'\nhello()"]).status()?;
    ensure!(status.success(), "python3 failed");
    Ok(start.elapsed())
}

/// A hub and a bucket for the measured workers.
struct Services<'b> {
    bue: &'b Bue,
    hub: HubProcess,
    bucket: BucketProcess,
    runtime: Runtime,
}

impl<'b> Services<'b> {
    fn start(bue: &'b Bue) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { bue, hub: HubProcess::start(&StoreKind::Sqlite)?, bucket: BucketProcess::start()?, runtime })
    }

    fn measure_workers(&self) -> Result<Samples> {
        // fills the image cache
        self.measure_worker()?;
        let mut samples = Samples::default();
        for _ in 0..2 * ROUNDS {
            samples.push(self.measure_worker()?);
        }
        Ok(samples)
    }

    /// Uploads a run, and measures the time from the start of a worker to the end of the run.
    fn measure_worker(&self) -> Result<Duration> {
        let run = self.upload()?;
        let started = Instant::now();
        let mut worker = self.command("worker").stderr(Stdio::null()).spawn()?;
        let followed = self.runtime.block_on(self.follow(run));
        let wall = started.elapsed();
        worker.kill()?;
        worker.wait()?;
        followed.map(|()| wall)
    }

    fn upload(&self) -> Result<RunId> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("hello.bue");
        fs::write(&script, SCRIPT)?;
        let mut upload = self.command("upload");
        upload.arg("-f").arg(&script);
        run(upload)?.stdout.trim().parse().ok().context("`bue upload` printed no run id")
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(self.bue.program());
        command.args([verb, "-b", self.hub.address(), "-k", self.bucket.address()]);
        command
    }

    async fn follow(&self, id: RunId) -> Result<()> {
        let client = self.hub.client()?;
        let mut version = None;
        loop {
            let view = client.run(id, version, 10_000).await?;
            if view.state != RunState::Running {
                ensure!(view.state == RunState::Completed, "the run is {}", view.state.name());
                return Ok(());
            }
            version = Some(view.version);
        }
    }
}
