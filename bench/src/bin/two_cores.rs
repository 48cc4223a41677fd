//! The gain from a second sandbox host: the same steps with one host process and with two. Needs at least two cores.
//!
//! `cargo run --release -p bue-bench --bin two_cores`
//!
//! How to read the figures: `one / two` is the speed-up, at best 2. The parent process, which dispatches the steps, needs part of a
//! core too, so very short steps gain less.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bue_bench::{host_command, interleave, measure_or_serve, python_task, table};
use bue_model::{Answer, Value, cbor};
use bue_runtime::{Egress, EgressConfig, Event, HostLifecycle, Hosts, HostsConfig, Prepared, WallMode};
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use tokio::runtime::{Builder, Runtime};

/// What each step computes, its argument, and the number of steps per sample.
const LOADS: [(&str, i64, usize); 3] =
    [("sum of no numbers", 0, 4_000), ("sum of 1,000", 1_000, 2_000), ("sum of 50,000", 50_000, 200)];
const SOURCE: &str = "def step(numbers):\n    return sum(n * n for n in range(numbers))\n";
const ROUNDS: usize = 15;
/// Concurrent steps per host.
const CONCURRENCY: usize = 8;

fn main() -> ExitCode {
    measure_or_serve(measure)
}

fn measure() -> Result<()> {
    let (one, two) = (Arm::start(1)?, Arm::start(2)?);
    let mut figures = table(&["step", "one host, per step", "two hosts, per step", "one / two"]);
    for (name, numbers, steps) in LOADS {
        let (one_samples, two_samples) =
            interleave(ROUNDS, || one.sample(numbers, steps), || two.sample(numbers, steps))?;
        let ratio = one_samples.median().as_secs_f64() / two_samples.median().as_secs_f64();
        figures.add_row([name.to_owned(), one_samples.cell(), two_samples.cell(), format!("{ratio:.2}")]);
    }
    println!("{figures}");
    Ok(())
}

struct Arm {
    runtime: Runtime,
    hosts: Hosts,
    concurrency: usize,
}

impl Arm {
    fn start(hosts: usize) -> Result<Self> {
        let cache = dirs::cache_dir().context("no cache directory")?.join("bue");
        let keys = dirs::state_dir().context("no state directory")?.join("bue");
        let prepared = Prepared::open(&cache, &keys, &|message| eprintln!("{message}"))?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let command = host_command()?;
        let concurrency = hosts * CONCURRENCY;
        let hosts = runtime.block_on(async {
            let egress = Egress::new(EgressConfig::default(), None)?;
            anyhow::Ok(
                Hosts::start(HostsConfig {
                    command,
                    hosts,
                    prepared,
                    egress,
                    packages: None,
                    wall: WallMode::Best,
                    lifecycle: HostLifecycle::default(),
                })
                .await?,
            )
        })?;
        Ok(Self { runtime, hosts, concurrency })
    }

    /// Runs this many steps; returns the time per step.
    fn sample(&self, numbers: i64, steps: usize) -> Result<Duration> {
        let started = Instant::now();
        let all = iter(0..steps).map(|_| Ok(self.step(numbers))).try_buffer_unordered(self.concurrency);
        self.runtime.block_on(all.try_for_each(async |()| anyhow::Ok(())))?;
        Ok(started.elapsed() / u32::try_from(steps)?)
    }

    async fn step(&self, numbers: i64) -> Result<()> {
        let mut running = self.hosts.run(python_task(SOURCE, &Value::Int(numbers))).await?;
        let expected = cbor::encode(&Value::Int((0..numbers).map(|n| n * n).sum()));
        match running.next().await? {
            Event::Finished(finished) => {
                let is_correct = matches!(&finished.answer, Answer::Completed { value, .. } if *value == expected);
                ensure!(is_correct, "the step answered {:?}", finished.answer);
                Ok(())
            }
            Event::Items { .. } | Event::Lines { .. } => bail!("the step sent what was not requested"),
        }
    }
}
