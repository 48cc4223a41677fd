//! Second start of `bue run` on a one-step script: whole process, wall, beside a bare `python3 -I -S` process.
//!
//! `cargo run --release -p bue-bench --bin startup`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bue_bench::{Bue, interleave, table};

const SCRIPT: &str = "hello:\n    python\n    hello\n    `\ndef hello():\n    return 'hello'\n`\nhello()\n";

fn main() -> Result<()> {
    let bue = Bue::find()?;
    // The first start fills the cache.
    let first = bue.run(SCRIPT, &[])?.wall;
    let (ours, peer) = interleave(15, || bue.run(SCRIPT, &[]).map(|run| run.wall), python)?;
    let mut figures = table(&["arm", "median (p10 to p90)"]);
    figures.add_row(["bue run, one step, second start".to_owned(), ours.cell()]);
    figures.add_row(["python3 -I -S, the same function".to_owned(), peer.cell()]);
    println!("first start in this run: {first:.3?}\n{figures}");
    Ok(())
}

fn python() -> Result<Duration> {
    let start = Instant::now();
    let status =
        Command::new("python3").args(["-I", "-S", "-c", "def hello():\n    return 'hello'\nhello()"]).status()?;
    ensure!(status.success(), "python3 failed");
    Ok(start.elapsed())
}
