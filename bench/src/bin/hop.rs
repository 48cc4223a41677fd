//! The latency of a hop in a pipe, from the end of a step to the start of the next: report, commit, lease, and the round trips.
//!
//! `cargo run --release -p bue-bench --bin hop -- [ROUNDS]`; the default is 15.
//!
//! How to read the figures: `a hop and its step` is the difference between a pipe of 101 trivial steps and one of a single step,
//! as whole commands, divided by 100. `a hop` is the same without the time of the step in its sandbox, which is measured
//! separately. The arm `durable` stores its jobs in a folder (`--data`), with an fsync before each acknowledgement; the other arm
//! stores them in a temporary folder without fsync.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::Duration;

use anyhow::Result;
use bue_bench::{Bue, PythonStep, Samples, interleave, table};
use bue_model::Value;

const HOPS: u32 = 100;

const SOURCE: &str = "def step(*inputs):\n    return 1\n";

fn main() -> Result<()> {
    let rounds = std::env::args().nth(1).map_or(Ok(15), |text| text.parse())?;
    let bue = Bue::find()?;
    let (long, short) = (pipe(HOPS + 1), pipe(1));
    bue.run(&short, &[])?;
    let step_time = measure_step()?.median();
    let mut figures = table(&["arm", "101 steps", "1 step", "a hop and its step", "a hop"]);
    for (name, arguments) in [("durable", ["--data", "kept"].as_slice()), ("not durable", &[])] {
        let time = |script: &str| bue.run_with(arguments, script, &[]).map(|run| run.wall);
        let (of_long, of_short) = interleave(rounds, || time(&long), || time(&short))?;
        let hop_and_step = of_long.median().saturating_sub(of_short.median()) / HOPS;
        let cell = |time: Duration| format!("{time:.3?}");
        let hop = cell(hop_and_step.saturating_sub(step_time));
        figures.add_row([name.to_owned(), of_long.cell(), of_short.cell(), cell(hop_and_step), hop]);
    }
    println!("median (p10 to p90); the step alone takes {step_time:.3?}\n{figures}");
    Ok(())
}

/// Measures the step alone, in sandboxes on this thread.
fn measure_step() -> Result<Samples> {
    let mut step = PythonStep::new(SOURCE)?;
    let mut samples = Samples::default();
    for _ in 0..200 {
        samples.push(step.run(&Value::Int(1)).usage.wall);
    }
    Ok(samples)
}

/// Returns a script with a pipe of this many steps.
fn pipe(length: u32) -> String {
    let names = vec!["step"; length as usize].join(" | ");
    format!("step:\n    python\n    step\n    `\n{SOURCE}`\nwork = | {names}\nwork()\n")
}
