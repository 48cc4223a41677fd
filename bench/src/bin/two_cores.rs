//! What a second sandbox host adds: the same steps with one host process and with two, on a machine of two cores or more.
//!
//! `cargo run --release -p bue-bench --bin two_cores`
//!
//! The parent that hands steps out needs some of a core too, which is why steps of no length at all gain less.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its table")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bue_bench::{host_command, interleave, measure_or_serve, python_task, table};
use bue_model::{Answer, Value, cbor};
use bue_runtime::{Egress, EgressConfig, Event, Hosts, HostsConfig, Prepared};
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use tokio::runtime::{Builder, Runtime};

/// What each step computes, and how many of them are one sample.
const LOADS: [(&str, i64, usize); 3] =
    [("a sum of nothing", 0, 4_000), ("of 1,000 numbers", 1_000, 2_000), ("of 50,000", 50_000, 200)];
const SOURCE: &str = "def step(numbers):\n    return sum(n * n for n in range(numbers))\n";
const ROUNDS: usize = 15;
/// Steps given to each host at a time.
const IN_HAND: usize = 8;

fn main() -> ExitCode {
    measure_or_serve(measure)
}

fn measure() -> Result<()> {
    let (one, two) = (Arm::start(1)?, Arm::start(2)?);
    let mut figures = table(&["step", "one host, a step", "two hosts, a step", "one / two"]);
    for (name, numbers, steps) in LOADS {
        let (of_one, of_two) = interleave(ROUNDS, || one.sample(numbers, steps), || two.sample(numbers, steps))?;
        let ratio = of_one.median().as_secs_f64() / of_two.median().as_secs_f64();
        figures.add_row([name.to_owned(), of_one.cell(), of_two.cell(), format!("{ratio:.2}")]);
    }
    println!("{figures}");
    Ok(())
}

struct Arm {
    runtime: Runtime,
    hosts: Hosts,
    in_hand: usize,
}

impl Arm {
    fn start(hosts: usize) -> Result<Self> {
        let cache = dirs::cache_dir().context("no cache directory")?.join("bue");
        let prepared = Prepared::open(&cache, &|talk| eprintln!("{talk}"))?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let command = host_command()?;
        let in_hand = hosts * IN_HAND;
        let hosts = runtime.block_on(async {
            let egress = Egress::new(EgressConfig::default(), None)?;
            anyhow::Ok(Hosts::start(HostsConfig { command, hosts, prepared, egress }).await?)
        })?;
        Ok(Self { runtime, hosts, in_hand })
    }

    /// The time of one of so many steps.
    fn sample(&self, numbers: i64, steps: usize) -> Result<Duration> {
        let started = Instant::now();
        let all = iter(0..steps).map(|_| Ok(self.step(numbers))).try_buffer_unordered(self.in_hand);
        self.runtime.block_on(all.try_for_each(async |()| anyhow::Ok(())))?;
        Ok(started.elapsed() / u32::try_from(steps)?)
    }

    async fn step(&self, numbers: i64) -> Result<()> {
        let mut running = self.hosts.run(python_task(SOURCE, &Value::Int(numbers))).await?;
        let expected = cbor::encode(&Value::Int((0..numbers).map(|n| n * n).sum()));
        match running.next().await? {
            Event::Finished(finished) => {
                let right = matches!(&finished.answer, Answer::Completed { value, .. } if *value == expected);
                ensure!(right, "the step answered {:?}", finished.answer);
                Ok(())
            }
            Event::Items { .. } => bail!("the step gave elements"),
        }
    }
}
