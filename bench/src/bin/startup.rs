//! What bue costs before it does anything: its file, an idle hub, the start of a command and of a worker.
//!
//! `cargo run --release -p bue-bench --bin startup`
//!
//! `bue run` is the whole process beside a bare `python3 -I -S` process that does the same. A worker's start goes from its
//! process to the end of a Python step that waits for it in a hub; its images are there already, made by the worker before.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bue_bench::{BucketProcess, Bue, HubProcess, Place, Samples, interleave, run, status_kib, table};
use bue_model::{RunId, RunState};
use tokio::runtime::{Builder, Runtime};

const SCRIPT: &str = "hello:\n    python\n    hello\n    `\ndef hello():\n    return 'hello'\n`\nhello()\n";
const ROUNDS: usize = 15;
/// How long a hub is left alone.
const IDLE: Duration = Duration::from_secs(20);

fn main() -> Result<()> {
    let bue = Bue::find()?;
    println!("the command: {} MB", fs::metadata(bue.program())?.len() / 1_000_000);
    idle_hub()?;
    // The first start fills the cache.
    let first = bue.run(SCRIPT, &[])?.wall;
    let (ours, peer) = interleave(ROUNDS, || bue.run(SCRIPT, &[]).map(|run| run.wall), python)?;
    let mut figures = table(&["arm", "median (p10 to p90)"]);
    figures.add_row(["bue run, one step, second start".to_owned(), ours.cell()]);
    figures.add_row(["python3 -I -S, the same function".to_owned(), peer.cell()]);
    figures.add_row(["a worker to the end of its first step".to_owned(), Services::start(&bue)?.workers()?.cell()]);
    println!("first start in this run: {first:.3?}\n{figures}");
    Ok(())
}

/// Its own memory, and its share of a processor.
fn idle_hub() -> Result<()> {
    let hub = HubProcess::start(&Place::Sqlite)?;
    let before = hub.cpu();
    sleep(IDLE);
    let busy = hub.cpu().saturating_sub(before).as_secs_f64() / IDLE.as_secs_f64();
    let (own, all) = (status_kib(hub.id(), "RssAnon:"), status_kib(hub.id(), "VmRSS:"));
    println!(
        "an idle hub: {} MiB of its own, {} MiB with its file, {:.2} % of a core",
        own / 1024,
        all / 1024,
        busy * 100.0
    );
    Ok(())
}

fn python() -> Result<Duration> {
    let start = Instant::now();
    let status =
        Command::new("python3").args(["-I", "-S", "-c", "def hello():\n    return 'hello'\nhello()"]).status()?;
    ensure!(status.success(), "python3 failed");
    Ok(start.elapsed())
}

/// A hub and a bucket for workers that come and go.
struct Services<'b> {
    bue: &'b Bue,
    hub: HubProcess,
    bucket: BucketProcess,
    runtime: Runtime,
}

impl<'b> Services<'b> {
    fn start(bue: &'b Bue) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { bue, hub: HubProcess::start(&Place::Sqlite)?, bucket: BucketProcess::start()?, runtime })
    }

    fn workers(&self) -> Result<Samples> {
        self.worker()?;
        let mut samples = Samples::default();
        for _ in 0..2 * ROUNDS {
            samples.push(self.worker()?);
        }
        Ok(samples)
    }

    /// A run waits; a worker starts and does it.
    fn worker(&self) -> Result<Duration> {
        let run = self.upload()?;
        let begun = Instant::now();
        let mut worker = self.command("worker").stderr(Stdio::null()).spawn()?;
        let done = self.runtime.block_on(self.follow(run));
        let taken = begun.elapsed();
        worker.kill()?;
        worker.wait()?;
        done.map(|()| taken)
    }

    fn upload(&self) -> Result<RunId> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("hello.bue");
        fs::write(&script, SCRIPT)?;
        let mut upload = self.command("upload");
        upload.arg("-f").arg(&script);
        run(upload)?.stdout.trim().parse().ok().context("the id of a run")
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
