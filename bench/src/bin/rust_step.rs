//! The cost of a trivial Rust step in a fresh sandbox, compared with the lower bound: the same component in bare wasmtime,
//! instantiated from an `InstancePre` and called.
//!
//! `cargo run --release -p bue-bench --bin rust_step`
//!
//! How to read the figures: both arms create and drop an instance for each call. `ours / floor` is the cost of limits, clocks,
//! host functions and usage counters. The mean of 200 steps is the more precise time, because a single step is close to the
//! resolution of the clock.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bue_bench::{Samples, host_command, interleave, measure_or_serve, table};
use bue_model::{Answer, BlobHash, Bundle, SourceFile, Value, cbor};
use bue_runtime::sandbox::Sandbox;
use bue_runtime::{Code, Finished, Limits, Permissions, Prepared, StepCompiler, Task, WallMode};
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};

use bindings::exports::bue::step::guest::{Call, Outcome};
use bindings::{Step, StepPre};

mod bindings {
    wasmtime::component::bindgen!({ path: "../guest-sdk/wit", world: "step" });
}

/// Steps per sample, because the time of one is close to the resolution of the clock.
const STEPS_PER_SAMPLE: u32 = 200;

fn main() -> ExitCode {
    measure_or_serve(measure)
}

fn measure() -> Result<()> {
    let wasm = build_guest()?;
    let ours = Ours::new(&wasm)?;
    let floor = Floor::new(&wasm)?;
    ours.step()?;
    let (our_samples, floor_samples) = interleave(25, || ours.sample(), || floor.sample())?;
    let (mut single, mut cpu) = (Samples::default(), Samples::default());
    for _ in 0..5_000 {
        let finished = ours.step()?;
        single.push(finished.usage.wall);
        cpu.push(finished.usage.cpu);
    }
    let ratio = our_samples.median().as_secs_f64() / floor_samples.median().as_secs_f64();
    let mut figures = table(&["arm", "median (p10 to p90)"]);
    figures.add_row([format!("fresh sandbox + step (mean of {STEPS_PER_SAMPLE} in a row)"), our_samples.cell()]);
    figures.add_row(["fresh sandbox + step (each of 5,000)".to_owned(), single.cell()]);
    figures.add_row(["its processor time".to_owned(), cpu.cell()]);
    figures.add_row(["bare wasmtime: InstancePre + call".to_owned(), floor_samples.cell()]);
    figures.add_row(["ours / floor".to_owned(), format!("{ratio:.2}")]);
    println!("{figures}");
    Ok(())
}

/// Builds the component of the tests' Rust steps, whose `sum` is the trivial step.
fn build_guest() -> Result<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/programs/guests");
    let target = std::env::current_exe()?.parent().context("no folder")?.join("bench-guests");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--locked", "--quiet", "--target", "wasm32-wasip2", "--target-dir"]).arg(&target);
    let status = cargo.current_dir(folder).status()?;
    ensure!(status.success(), "the guest does not build");
    Ok(std::fs::read(target.join("wasm32-wasip2/release/guests.wasm"))?)
}

fn inputs() -> Vec<Vec<u8>> {
    [20, 22].map(|number| cbor::encode(&Value::Int(number))).to_vec()
}

struct Ours {
    runtime: Runtime,
    sandbox: Sandbox,
    task: Task,
}

impl Ours {
    fn new(wasm: &[u8]) -> Result<Self> {
        let cache = dirs::cache_dir().context("no cache directory")?.join("bue");
        let keys = dirs::state_dir().context("no state directory")?.join("bue");
        let prepared = Prepared::open(&cache, &keys, &|message| eprintln!("{message}"))?;
        let command = host_command()?;
        let compiler = StepCompiler::open(&prepared, command, WallMode::Best)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let file = SourceFile { path: "step.wasm".to_owned(), content: Bytes::copy_from_slice(wasm) };
        let bundle = Bundle { entry: file.path.clone(), first_line: 1, files: vec![file], packages: Vec::new() };
        let compiled = runtime.block_on(compiler.compile(&bundle, BlobHash([1; 32])));
        let step = compiled.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        let task = Task {
            code: Code::Wasm { step, function: "sum".to_owned() },
            inputs: inputs().into_iter().map(Bytes::from).collect(),
            env: None,
            loop_text: None,
            limits: Limits::default(),
            permissions: Permissions::default(),
        };
        let sandbox = runtime.block_on(async { Sandbox::open(&prepared) })?;
        Ok(Self { runtime, sandbox, task })
    }

    fn step(&self) -> Result<Finished> {
        let (items, _receiver) = mpsc::channel(1);
        let finished = self.runtime.block_on(self.sandbox.run(&self.task, items));
        let expected = cbor::encode(&Value::Int(42));
        let is_correct = matches!(&finished.answer, Answer::Completed { value, .. } if *value == expected);
        ensure!(is_correct, "the step answered {:?}", finished.answer);
        Ok(finished)
    }

    fn sample(&self) -> Result<Duration> {
        let start = Instant::now();
        for _ in 0..STEPS_PER_SAMPLE {
            self.step()?;
        }
        Ok(start.elapsed() / STEPS_PER_SAMPLE)
    }
}

/// An instance and a call, without limits, clocks or host functions.
struct Floor {
    engine: Engine,
    pre: StepPre<()>,
}

impl Floor {
    fn new(wasm: &[u8]) -> Result<Self> {
        let mut config = Config::new();
        config.memory_init_cow(true);
        let engine = Engine::new(&config).map_err(to_anyhow)?;
        let component = Component::new(&engine, wasm).map_err(to_anyhow)?;
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&component).map_err(to_anyhow)?;
        let pre = linker.instantiate_pre(&component).and_then(StepPre::new).map_err(to_anyhow)?;
        Ok(Self { engine, pre })
    }

    fn step(&self) -> wasmtime::Result<()> {
        let mut store = Store::new(&self.engine, ());
        let step: Step = self.pre.instantiate(&mut store)?;
        let call = Call { function: "sum".to_owned(), inputs: inputs(), env: None };
        match step.bue_step_guest().call_run(&mut store, &call)? {
            Ok(Outcome::Completed(_)) => Ok(()),
            other => Err(wasmtime::Error::msg(format!("the step answered {other:?}"))),
        }
    }

    fn sample(&self) -> Result<Duration> {
        let start = Instant::now();
        for _ in 0..STEPS_PER_SAMPLE {
            self.step().map_err(to_anyhow)?;
        }
        Ok(start.elapsed() / STEPS_PER_SAMPLE)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that `map_err` takes")]
fn to_anyhow(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}
