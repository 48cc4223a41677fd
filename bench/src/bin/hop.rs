//! Cost of a hop inside a pipe: a chain of 101 trivial steps against a chain of one, by the whole command.
//!
//! `cargo run --release -p bue-bench --bin hop -- [ROUNDS]`, 15 where nothing is said. A hop is what lies between a step's end
//! and the next one's start: report, commit, lease, and the way there and back. What the step itself takes in its sandbox is
//! measured beside it and taken off. `durable` keeps its jobs in a folder (`--data`), with an fsync before each
//! acknowledgement; the other keeps them in a temporary folder, without.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::time::Duration;

use anyhow::Result;
use bue_bench::{Bue, PythonStep, Samples, interleave, table};
use bue_model::Value;

const HOPS: u32 = 100;

const SOURCE: &str = "def step(*inputs):\n    return 1\n";

fn main() -> Result<()> {
    let rounds = std::env::args().nth(1).map_or(Ok(15), |text| text.parse())?;
    let bue = Bue::find()?;
    let (long, short) = (chain(HOPS + 1), chain(1));
    bue.run(&short, &[])?;
    let work = work()?.median();
    let mut figures = table(&["arm", "chain of 101", "chain of 1", "a hop and its step", "a hop"]);
    for (name, arguments) in [("durable", ["--data", "kept"].as_slice()), ("not durable", &[])] {
        let timed = |script: &str| bue.run_with(arguments, script, &[]).map(|run| run.wall);
        let (of_long, of_short) = interleave(rounds, || timed(&long), || timed(&short))?;
        let both = of_long.median().saturating_sub(of_short.median()) / HOPS;
        let cell = |time: Duration| format!("{time:.3?}");
        let hop = cell(both.saturating_sub(work));
        figures.add_row([name.to_owned(), of_long.cell(), of_short.cell(), cell(both), hop]);
    }
    println!("median (p10 to p90); the step alone takes {work:.3?}\n{figures}");
    Ok(())
}

/// The step in sandboxes of this thread.
fn work() -> Result<Samples> {
    let mut step = PythonStep::new(SOURCE)?;
    let mut samples = Samples::default();
    for _ in 0..200 {
        samples.push(step.run(&Value::Int(1)).usage.wall);
    }
    Ok(samples)
}

/// A pipe through the same step, again and again.
fn chain(length: u32) -> String {
    let names = vec!["step"; length as usize].join(" | ");
    format!("step:\n    python\n    step\n    `\n{SOURCE}`\nchain = | {names}\nchain()\n")
}
