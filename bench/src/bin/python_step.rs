//! A fresh sandbox and a trivial Python step, whole, beside a `python3 -I -S` process on the same input.
//!
//! `cargo run --release -p bue-bench --bin python_step`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its table")]

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bue_bench::{Samples, interleave, table};
use bue_model::{Answer, BlobHash, Bundle, SourceFile, Value, cbor};
use bue_runtime::sandbox::Sandbox;
use bue_runtime::{Code, Finished, Limits, Permissions, Prepared, Task};
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

const SOURCE: &str = "def step(number):\n    return number + 1\n";
const INPUT: i64 = 41;

/// Steps timed together as one sample of ours: one alone is near the clock's own grain.
const STEPS_A_SAMPLE: u32 = 50;

fn main() -> Result<()> {
    let ours = Ours::new()?;
    let first = ours.step()?;
    let (of_ours, of_python) = interleave(15, || ours.sample(), python)?;
    let mut single = Samples::default();
    let mut cpu = Samples::default();
    for _ in 0..1_000 {
        let finished = ours.step()?;
        single.push(finished.usage.wall);
        cpu.push(finished.usage.cpu);
    }
    let ratio = of_python.median().as_secs_f64() / of_ours.median().as_secs_f64();
    let mut figures = table(&["arm", "median (p10 to p90)"]);
    figures.add_row([format!("fresh sandbox + step (mean of {STEPS_A_SAMPLE} in a row)"), of_ours.cell()]);
    figures.add_row(["fresh sandbox + step (each of 1,000)".to_owned(), single.cell()]);
    figures.add_row(["its time on the processor".to_owned(), cpu.cell()]);
    figures.add_row(["python3 -I -S, the same step".to_owned(), of_python.cell()]);
    figures.add_row(["python3 / ours".to_owned(), format!("{ratio:.0}")]);
    figures.add_row(["dirty pages of a step".to_owned(), pages(&first)]);
    println!("{figures}");
    Ok(())
}

fn pages(finished: &Finished) -> String {
    finished.usage.dirty_pages.map_or_else(|| "not told by this system".to_owned(), |pages| pages.to_string())
}

struct Ours {
    runtime: Runtime,
    sandbox: Sandbox,
    task: Task,
}

impl Ours {
    fn new() -> Result<Self> {
        let cache = dirs::cache_dir().context("no cache directory")?.join("bue");
        let prepared = Prepared::open(&cache, &|talk| eprintln!("{talk}"))?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let sandbox = runtime.block_on(async { Sandbox::open(&prepared) })?;
        Ok(Self { runtime, sandbox, task: task() })
    }

    fn step(&self) -> Result<Finished> {
        let (items, _none) = mpsc::channel(1);
        let finished = self.runtime.block_on(self.sandbox.run(&self.task, items));
        let expected = cbor::encode(&Value::Int(INPUT + 1));
        let right = matches!(&finished.answer, Answer::Completed { value, .. } if *value == expected);
        ensure!(right, "the step answered {:?}", finished.answer);
        Ok(finished)
    }

    fn sample(&self) -> Result<Duration> {
        let start = Instant::now();
        for _ in 0..STEPS_A_SAMPLE {
            self.step()?;
        }
        Ok(start.elapsed() / STEPS_A_SAMPLE)
    }
}

fn task() -> Task {
    let file = SourceFile { path: "step.py".to_owned(), content: Bytes::from_static(SOURCE.as_bytes()) };
    let bundle = Bundle { entry: file.path.clone(), first_line: 1, files: vec![file], ..Bundle::default() };
    Task {
        code: Code::Python {
            bundle: Arc::new(bundle),
            key: BlobHash([1; 32]),
            function: "step".to_owned(),
            packages: None,
        },
        inputs: vec![cbor::encode(&Value::Int(INPUT)).into()],
        env: None,
        loop_text: None,
        limits: Limits::default(),
        permissions: Permissions::default(),
    }
}

fn python() -> Result<Duration> {
    let start = Instant::now();
    let program = format!("{SOURCE}print(step({INPUT}))");
    let output = Command::new("python3").args(["-I", "-S", "-c", &program]).output()?;
    ensure!(output.status.success(), "python3 failed");
    Ok(start.elapsed())
}
