//! Cost of a hop: a chain of 101 trivial steps against a chain of one, by the whole command.
//!
//! `cargo run --release -p bue-bench --bin hop`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use anyhow::Result;
use bue_bench::{Bue, interleave, table};

const HOPS: u32 = 100;

fn main() -> Result<()> {
    let bue = Bue::find()?;
    let (long, short) = (chain(HOPS + 1), chain(1));
    bue.run(&short, &[])?;
    let (of_long, of_short) =
        interleave(15, || bue.run(&long, &[]).map(|run| run.wall), || bue.run(&short, &[]).map(|run| run.wall))?;
    let hop = of_long.median().saturating_sub(of_short.median()) / HOPS;
    let mut figures = table(&["arm", "median (p10 to p90)"]);
    figures.add_row([format!("chain of {} steps", HOPS + 1), of_long.cell()]);
    figures.add_row(["chain of 1 step".to_owned(), of_short.cell()]);
    figures.add_row(["one hop (difference of the medians / 100)".to_owned(), format!("{hop:.3?}")]);
    println!("{figures}");
    Ok(())
}

/// A pipe through the same step, again and again.
fn chain(length: u32) -> String {
    let names = vec!["step"; length as usize].join(" | ");
    format!("step:\n    python\n    step\n    `\ndef step(*inputs):\n    return 1\n`\nchain = | {names}\nchain()\n")
}
