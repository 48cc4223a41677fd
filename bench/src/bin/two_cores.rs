//! What a second sandbox host adds: the same steps with one host process and with two, on a machine of two cores or more.
//!
//! `cargo run --release -p bue-bench --bin two_cores`
//!
//! The parent that hands steps out needs some of a core too, which is why steps of no length at all gain less.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its table")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bue_bench::{interleave, table};
use bue_model::{Answer, BlobHash, Bundle, SourceFile, Value, cbor};
use bue_runtime::{
    Code, Egress, EgressConfig, Event, Hosts, HostsConfig, Limits, Permissions, Prepared, Task, serve_sandbox_host,
};
use bytes::Bytes;
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use tokio::runtime::{Builder, Runtime};

/// The hidden verb: this program serves as its own sandbox host.
const SERVE: &str = "sandbox-host";
/// What each step computes, and how many of them are one sample.
const LOADS: [(&str, i64, usize); 3] =
    [("a sum of nothing", 0, 4_000), ("of 1,000 numbers", 1_000, 2_000), ("of 50,000", 50_000, 200)];
const SOURCE: &str = "def step(numbers):\n    return sum(n * n for n in range(numbers))\n";
const ROUNDS: usize = 15;
/// Steps given to each host at a time.
const IN_HAND: usize = 8;

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|first| first == SERVE) {
        return serve_sandbox_host();
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
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
        let command: (PathBuf, Vec<OsString>) = (std::env::current_exe()?, vec![SERVE.into()]);
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
        let mut running = self.hosts.run(task(numbers)).await?;
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

fn task(numbers: i64) -> Task {
    let file = SourceFile { path: "step.py".to_owned(), content: Bytes::from_static(SOURCE.as_bytes()) };
    let bundle = Bundle { entry: file.path.clone(), first_line: 1, files: vec![file], ..Bundle::default() };
    Task {
        code: Code::Python {
            bundle: Arc::new(bundle),
            key: BlobHash([1; 32]),
            function: "step".to_owned(),
            packages: None,
        },
        inputs: vec![cbor::encode(&Value::Int(numbers)).into()],
        env: None,
        loop_text: None,
        limits: Limits::default(),
        permissions: Permissions::default(),
    }
}
