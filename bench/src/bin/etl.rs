//! Python's work inside a sandbox beside CPython: the kernels of `bench/etl.py`, the same file in both.
//!
//! `cargo run --release -p bue-bench --bin etl -- [ROUNDS [PYTHON]]`, 15 and `python3` where nothing is said. A kernel times
//! itself, after its module was imported: what a sandbox or a process costs to start is not in it. `ours / CPython` is
//! the ratio of the medians of processor time; above 1, the sandbox is slower. `bare loop` is the floor, nothing but the
//! interpreter, and in no mean. CPythons differ: one that was built without
//! profile-guided optimisation is a third slower than Debian's.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its table")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bue_bench::{PythonStep, Samples, interleave, table, thread_time};
use bue_model::{Answer, Value, cbor};
use comfy_table::Table;

const SOURCE: &str = include_str!("../../etl.py");

/// The kernel that is the interpreter alone, and no work.
const FLOOR: &str = "bare loop";

/// Kernels that begin so have a goal of their own.
const TEXT_WORK: [&str; 3] = ["json", "csv", "regex"];

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
        arms.row(&name, &mut figures);
        if name != FLOOR {
            ratios.push((name, arms.ratio()));
        }
    }
    println!("{}, {rounds} rounds A B B A, median (p10 to p90)\n{figures}", python.version()?);
    let text = |name: &str| TEXT_WORK.iter().any(|word| name.starts_with(word));
    let mean = |wanted: &dyn Fn(&str) -> bool| {
        geometric_mean(ratios.iter().filter(|(name, _)| wanted(name)).map(|(_, ratio)| *ratio))
    };
    println!(
        "geometric mean: all {:.2}, json csv regex {:.2}, the rest {:.2}",
        mean(&|_| true),
        mean(&text),
        mean(&|name| !text(name))
    );
    Ok(())
}

/// What a kernel said of itself.
struct Measured {
    wall: Duration,
    cpu: Duration,
    made: String,
}

/// One kernel on both sides; the processor's time beside the wall's.
struct Arms {
    ours: Samples,
    ours_cpu: Samples,
    python: Samples,
    python_cpu: Samples,
}

impl Arms {
    fn measure(name: &str, rounds: usize, ours: &mut PythonStep, python: &Python) -> Result<Self> {
        let expected = python.run(name)?.made;
        let (mut ours_cpu, mut python_cpu) = (Samples::default(), Samples::default());
        // the module is imported and its memory kept
        inside(ours, name)?;
        let (of_ours, of_python) = interleave(
            rounds,
            || inside(ours, name).and_then(|measured| kept(&measured, &expected, &mut ours_cpu)),
            || python.run(name).and_then(|measured| kept(&measured, &expected, &mut python_cpu)),
        )?;
        Ok(Self { ours: of_ours, ours_cpu, python: of_python, python_cpu })
    }

    fn ratio(&self) -> f64 {
        self.ours_cpu.median().as_secs_f64() / self.python_cpu.median().as_secs_f64()
    }

    fn row(&self, name: &str, figures: &mut Table) {
        let cells = [self.ours.cell(), self.ours_cpu.cell(), self.python.cell(), self.python_cpu.cell()];
        figures.add_row([name.to_owned()].into_iter().chain(cells).chain([format!("{:.2}", self.ratio())]));
    }
}

/// The wall's time; the processor's goes to `cpu`. Both arms must have made the same.
fn kept(measured: &Measured, expected: &str, cpu: &mut Samples) -> Result<Duration> {
    ensure!(measured.made == expected, "made {}, and CPython made {expected}", measured.made);
    cpu.push(measured.cpu);
    Ok(measured.wall)
}

/// A kernel in a fresh sandbox. Its processor time is the whole step's: the start is a few tenths of a millisecond of it.
fn inside(step: &mut PythonStep, name: &str) -> Result<Measured> {
    let before = thread_time()?;
    let finished = step.run(&Value::Text(name.to_owned()));
    let cpu = thread_time()?.saturating_sub(before);
    let Answer::Completed { value, .. } = &finished.answer else { bail!("{name} answered {:?}", finished.answer) };
    let answer = cbor::decode(value)?;
    let Value::List(parts) = &answer else { bail!("{name} gave {answer:?}") };
    let [Value::Float(wall), Value::Text(made)] = parts.as_slice() else { bail!("{name} gave {parts:?}") };
    Ok(Measured { wall: Duration::from_secs_f64(*wall), cpu, made: made.clone() })
}

struct Python {
    program: String,
}

impl Python {
    fn kernels(&self) -> Result<Vec<String>> {
        Ok(serde_json::from_str(&self.script(&[])?)?)
    }

    fn run(&self, name: &str) -> Result<Measured> {
        let (wall, cpu, made) = serde_json::from_str(&self.script(&[name])?)?;
        Ok(Measured { wall: Duration::from_secs_f64(wall), cpu: Duration::from_secs_f64(cpu), made })
    }

    fn version(&self) -> Result<String> {
        let program = "import sys; print(sys.executable, sys.version.replace('\\n', ''))";
        self.output(Command::new(&self.program).args(["-c", program]))
    }

    fn script(&self, arguments: &[&str]) -> Result<String> {
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
