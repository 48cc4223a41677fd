//! The throughput and memory of a large fan-out: a loop over 10,000 elements with two trivial Python steps each.
//!
//! `cargo run --release -p bue-bench --bin fan_out`
//!
//! How to read the figures: the time is that of the whole command `bue run`, including its start, so the steps per second are a
//! lower bound. Both memory figures are the peaks of all rounds.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use anyhow::{Result, ensure};
use bue_bench::{Bue, Samples, table};

const ELEMENTS: u32 = 10_000;
const ROUNDS: usize = 3;

fn main() -> Result<()> {
    let bue = Bue::find()?;
    let mut walls = Samples::default();
    let (mut own, mut all) = (0, 0);
    for _ in 0..ROUNDS {
        let run = bue.run(&script(), &[])?;
        ensure!(run.stdout.contains(&format!("{}", 2 * (ELEMENTS - 1))), "the last element's result is missing");
        walls.push(run.wall);
        own = own.max(run.peak_kib);
        all = all.max(run.peak_all_kib);
    }
    let steps = f64::from(2 * ELEMENTS + 1);
    let mut figures = table(&["figure", "value"]);
    figures.add_row(["whole run, wall".to_owned(), walls.cell()]);
    figures.add_row([
        "steps per second, start included".to_owned(),
        format!("{:.0}", steps / walls.median().as_secs_f64()),
    ]);
    figures.add_row(["peak resident memory of the bue process".to_owned(), format!("{} MiB", own / 1024)]);
    figures.add_row(["peak private memory of bue and its sandbox hosts".to_owned(), format!("{} MiB", all / 1024)]);
    println!("{figures}");
    Ok(())
}

fn script() -> String {
    format!(
        "import python (numbers, double, same) `\n\
         def numbers():\n    return list(range({ELEMENTS}))\n\
         def double(number):\n    return number * 2\n\
         def same(number):\n    return number\n\
         `\n\
         source = | numbers\nwork = double | same\n\
         for number in source():\n    work(number)\n"
    )
}
