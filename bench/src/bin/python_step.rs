//! The cost of a trivial Python step in a fresh sandbox, compared with a `python3 -I -S` process on the same input.
//!
//! `cargo run --release -p bue-bench --bin python_step`
//!
//! How to read the figures: the sandbox is created and dropped inside each measurement. The mean of 50 steps is the more
//! precise time, because a single step is close to the resolution of the clock; the row of single steps shows their spread.
//! `python3 / ours` is the number of sandboxed steps in the time of one process. The two rows of sandbox hosts are the same
//! step in processes of their own, behind the wall and without one; their times alternate, and are those that the hosts report.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bue_bench::{PythonStep, Samples, host_command, interleave, measure_or_serve, python_task, table, thread_faults};
use bue_model::{Answer, Value, cbor};
use bue_runtime::{Egress, Event, Finished, HostLifecycle, Hosts, HostsConfig, Prepared, Task, WallMode};
use tokio::runtime::{Builder, Runtime};

const SOURCE: &str = "def step(number):\n    return number + 1\n";
const INPUT: i64 = 41;

/// Steps per sample of ours, because the time of one is close to the resolution of the clock.
const STEPS_PER_SAMPLE: u32 = 50;

fn main() -> ExitCode {
    measure_or_serve(measure)
}

fn measure() -> Result<()> {
    let [behind_wall, without_wall] = walls()?;
    let mut ours = Ours { step: PythonStep::new(SOURCE)? };
    let first = ours.step()?;
    let (our_samples, python_samples) = interleave(15, || ours.sample(), run_python)?;
    let mut single = Samples::default();
    let mut cpu = Samples::default();
    let faults = thread_faults()?;
    for _ in 0..1_000 {
        let finished = ours.step()?;
        single.push(finished.usage.wall);
        cpu.push(finished.usage.cpu);
    }
    let faults = thread_faults()?.saturating_sub(faults);
    let ratio = python_samples.median().as_secs_f64() / our_samples.median().as_secs_f64();
    let mut figures = table(&["arm", "median (p10 to p90)"]);
    figures.add_row([format!("fresh sandbox + step (mean of {STEPS_PER_SAMPLE} in a row)"), our_samples.cell()]);
    figures.add_row(["fresh sandbox + step (each of 1,000)".to_owned(), single.cell()]);
    figures.add_row(["its processor time".to_owned(), cpu.cell()]);
    figures.add_row(["python3 -I -S, the same step".to_owned(), python_samples.cell()]);
    figures.add_row(["python3 / ours".to_owned(), format!("{ratio:.0}")]);
    figures.add_row(["in a sandbox host, behind the wall".to_owned(), behind_wall.cell()]);
    figures.add_row(["in a sandbox host, without a wall".to_owned(), without_wall.cell()]);
    figures.add_row(["dirty pages of a step".to_owned(), pages(&first)]);
    figures.add_row(["page faults of 1,000 steps".to_owned(), faults.to_string()]);
    println!("{figures}");
    Ok(())
}

fn pages(finished: &Finished) -> String {
    finished.usage.dirty_pages.map_or_else(|| "unknown on this system".to_owned(), |pages| pages.to_string())
}

struct Ours {
    step: PythonStep,
}

impl Ours {
    fn step(&mut self) -> Result<Finished> {
        let finished = self.step.run(&Value::Int(INPUT));
        let expected = cbor::encode(&Value::Int(INPUT + 1));
        let is_correct = matches!(&finished.answer, Answer::Completed { value, .. } if *value == expected);
        ensure!(is_correct, "the step answered {:?}", finished.answer);
        Ok(finished)
    }

    fn sample(&mut self) -> Result<Duration> {
        let start = Instant::now();
        for _ in 0..STEPS_PER_SAMPLE {
            self.step()?;
        }
        Ok(start.elapsed() / STEPS_PER_SAMPLE)
    }
}

/// The times of a step in sandbox hosts behind the wall and without one.
fn walls() -> Result<[Samples; 2]> {
    let (cache, keys) = (dirs::cache_dir(), dirs::state_dir());
    let (cache, keys) = (cache.context("no cache directory")?, keys.context("no state directory")?);
    let prepared = Prepared::open(&cache.join("bue"), &keys.join("bue"), &|_| ())?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let start = |wall| {
        let (command, prepared) = (host_command()?, prepared.clone());
        let config = HostsConfig {
            command,
            hosts: 1,
            prepared,
            egress: Egress::closed(),
            packages: None,
            wall,
            lifecycle: HostLifecycle::default(),
        };
        anyhow::Ok(runtime.block_on(Hosts::start(config))?)
    };
    let (behind, without) = (start(WallMode::Best)?, start(WallMode::Off)?);
    println!("the wall: {}", behind.wall());
    let task = python_task(SOURCE, &Value::Int(INPUT));
    let sample = |hosts: &Hosts| hosted_sample(&runtime, hosts, &task);
    let (behind, without) = interleave(60, || sample(&behind), || sample(&without))?;
    Ok([behind, without])
}

/// The mean time of some steps in a host.
fn hosted_sample(runtime: &Runtime, hosts: &Hosts, task: &Task) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for _ in 0..STEPS_PER_SAMPLE {
        let mut running = runtime.block_on(hosts.run(task.clone()))?;
        match runtime.block_on(running.next())? {
            Event::Finished(finished) if matches!(finished.answer, Answer::Completed { .. }) => {
                total += finished.usage.wall;
            }
            other => bail!("the step ended with {other:?}"),
        }
    }
    Ok(total / STEPS_PER_SAMPLE)
}

fn run_python() -> Result<Duration> {
    let start = Instant::now();
    let program = format!("{SOURCE}print(step({INPUT}))");
    let output = Command::new("python3").args(["-I", "-S", "-c", &program]).output()?;
    ensure!(output.status.success(), "python3 failed");
    Ok(start.elapsed())
}
