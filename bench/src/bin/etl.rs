//! The speed of Python in a sandbox compared with CPython: both run the kernels of `bench/etl.py`.
//!
//! `cargo run --release -p bue-bench --bin etl -- [ROUNDS [PYTHON]]`; the defaults are 15 and `python3`.
//!
//! How to read the figures: a kernel times itself after its module was imported, so starting a sandbox or process is not
//! included. `ours / CPython` is the ratio of the median processor times; above 1, the sandbox is slower. `bare loop` measures
//! the interpreter alone and is not part of any mean. CPython builds differ: one without profile-guided optimization is a third
//! slower than Debian's.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bue_bench::{PythonStep, Samples, interleave, table, thread_time};
use bue_model::{Answer, Value, cbor};
use comfy_table::Table;

const SOURCE: &str = include_str!("../../etl.py");

/// The kernel that measures the interpreter alone.
const FLOOR: &str = "bare loop";

/// Prefixes of the kernels whose mean is also reported separately.
const TEXT_KERNELS: [&str; 3] = ["json", "csv", "regex"];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().map_or(Ok(15), |text| text.parse())?;
    let python = Python { program: arguments.next().unwrap_or_else(|| "python3".to_owned()) };
    let mut ours = PythonStep::new(SOURCE)?;
    let mut figures =
        table(&["kernel", "ours, wall", "ours, processor", "CPython, wall", "CPython, processor", "ours / CPython"]);
    let mut ratios = Vec::new();
    for name in python.kernels()? {
        eprintln!("{name}");
        let arms = Arms::measure(&name, rounds, &mut ours, &python)?;
        arms.add_row(&name, &mut figures);
        if name != FLOOR {
            ratios.push((name, arms.ratio()));
        }
    }
    println!("{}, {rounds} rounds A B B A, median (p10 to p90)\n{figures}", python.version()?);
    let text = |name: &str| TEXT_KERNELS.iter().any(|prefix| name.starts_with(prefix));
    let mean = |filter: &dyn Fn(&str) -> bool| {
        geometric_mean(ratios.iter().filter(|(name, _)| filter(name)).map(|(_, ratio)| *ratio))
    };
    println!(
        "geometric mean: all {:.2}, json csv regex {:.2}, others {:.2}",
        mean(&|_| true),
        mean(&text),
        mean(&|name| !text(name))
    );
    Ok(())
}

/// One run of a kernel.
struct KernelRun {
    wall: Duration,
    cpu: Duration,
    result: String,
}

/// One kernel in both arms, with wall and processor time.
struct Arms {
    ours: Samples,
    ours_cpu: Samples,
    python: Samples,
    python_cpu: Samples,
}

impl Arms {
    fn measure(name: &str, rounds: usize, ours: &mut PythonStep, python: &Python) -> Result<Self> {
        let expected = python.run(name)?.result;
        let (mut ours_cpu, mut python_cpu) = (Samples::default(), Samples::default());
        // imports the module, so that its memory image exists
        run_in_sandbox(ours, name)?;
        let (ours, python) = interleave(
            rounds,
            || run_in_sandbox(ours, name).and_then(|run| record(&run, &expected, &mut ours_cpu)),
            || python.run(name).and_then(|run| record(&run, &expected, &mut python_cpu)),
        )?;
        Ok(Self { ours, ours_cpu, python, python_cpu })
    }

    fn ratio(&self) -> f64 {
        self.ours_cpu.median().as_secs_f64() / self.python_cpu.median().as_secs_f64()
    }

    fn add_row(&self, name: &str, figures: &mut Table) {
        let cells = [self.ours.cell(), self.ours_cpu.cell(), self.python.cell(), self.python_cpu.cell()];
        figures.add_row([name.to_owned()].into_iter().chain(cells).chain([format!("{:.2}", self.ratio())]));
    }
}

/// Adds the processor time to `cpu` and returns the wall time. Both arms must have the same result.
fn record(run: &KernelRun, expected: &str, cpu: &mut Samples) -> Result<Duration> {
    ensure!(run.result == expected, "the result is {}, but CPython's is {expected}", run.result);
    cpu.push(run.cpu);
    Ok(run.wall)
}

/// Runs a kernel in a fresh sandbox. Its processor time is that of the whole step, of which the start is a few tenths of a
/// millisecond.
fn run_in_sandbox(step: &mut PythonStep, name: &str) -> Result<KernelRun> {
    let before = thread_time()?;
    let finished = step.run(&Value::Text(name.to_owned()));
    let cpu = thread_time()?.saturating_sub(before);
    let Answer::Completed { value, .. } = &finished.answer else { bail!("{name} answered {:?}", finished.answer) };
    let answer = cbor::decode(value)?;
    let Value::List(parts) = &answer else { bail!("{name} returned {answer:?}") };
    let [Value::Float(wall), Value::Text(result)] = parts.as_slice() else { bail!("{name} returned {parts:?}") };
    Ok(KernelRun { wall: Duration::from_secs_f64(*wall), cpu, result: result.clone() })
}

/// CPython.
struct Python {
    program: String,
}

impl Python {
    fn kernels(&self) -> Result<Vec<String>> {
        Ok(serde_json::from_str(&self.run_script(&[])?)?)
    }

    fn run(&self, name: &str) -> Result<KernelRun> {
        let (wall, cpu, result) = serde_json::from_str(&self.run_script(&[name])?)?;
        Ok(KernelRun { wall: Duration::from_secs_f64(wall), cpu: Duration::from_secs_f64(cpu), result })
    }

    fn version(&self) -> Result<String> {
        let program = "import sys; print(sys.executable, sys.version.replace('\\n', ''))";
        self.output(Command::new(&self.program).args(["-c", program]))
    }

    fn run_script(&self, arguments: &[&str]) -> Result<String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("etl.py");
        self.output(Command::new(&self.program).args(["-I", "-S"]).arg(script).args(arguments))
    }

    fn output(&self, command: &mut Command) -> Result<String> {
        let output = command.output().with_context(|| format!("failed to start {}", self.program))?;
        ensure!(output.status.success(), "{} failed: {}", self.program, String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

fn geometric_mean(ratios: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = ratios.fold((0.0, 0.0), |(sum, count), ratio| (sum + ratio.ln(), count + 1.0));
    (sum / f64::max(count, 1.0)).exp()
}
