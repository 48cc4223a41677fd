//! A fresh sandbox and a trivial Python step, whole, beside a `python3 -I -S` process on the same input.
//!
//! `cargo run --release -p bue-bench --bin python_step`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bue_bench::{PythonStep, Samples, interleave, table};
use bue_model::{Answer, Value, cbor};
use bue_runtime::Finished;

const SOURCE: &str = "def step(number):\n    return number + 1\n";
const INPUT: i64 = 41;

/// Steps timed together as one sample of ours: one alone is near the clock's own grain.
const STEPS_A_SAMPLE: u32 = 50;

fn main() -> Result<()> {
    let mut ours = Ours { step: PythonStep::new(SOURCE)? };
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
    step: PythonStep,
}

impl Ours {
    fn step(&mut self) -> Result<Finished> {
        let finished = self.step.run(&Value::Int(INPUT));
        let expected = cbor::encode(&Value::Int(INPUT + 1));
        let right = matches!(&finished.answer, Answer::Completed { value, .. } if *value == expected);
        ensure!(right, "the step answered {:?}", finished.answer);
        Ok(finished)
    }

    fn sample(&mut self) -> Result<Duration> {
        let start = Instant::now();
        for _ in 0..STEPS_A_SAMPLE {
            self.step()?;
        }
        Ok(start.elapsed() / STEPS_A_SAMPLE)
    }
}

fn python() -> Result<Duration> {
    let start = Instant::now();
    let program = format!("{SOURCE}print(step({INPUT}))");
    let output = Command::new("python3").args(["-I", "-S", "-c", &program]).output()?;
    ensure!(output.status.success(), "python3 failed");
    Ok(start.elapsed())
}
