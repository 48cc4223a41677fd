//! Rust components and plain commands, compiled by a child process and run in a sandbox host, as in jobs. Their sources are in
//! `tests/programs`.

mod commands;
mod components;
pub(crate) mod guests;
mod network;
mod refused;

use bue_model::{BlobHash, Bundle, SourceFile};
use bue_model::{Value, cbor};
use bue_runtime::{Code, CompiledStep, Finished, Hosts, Limits, Permissions, Task};
use bytes::Bytes;

use crate::{Test, run};

pub(crate) fn tests() -> Vec<Test> {
    [components::TESTS, commands::TESTS, network::TESTS, refused::TESTS].concat()
}

/// Bundles a module as a step; returns its key too.
fn bundle(wasm: &[u8]) -> (Bundle, BlobHash) {
    let file = SourceFile { path: "step.wasm".to_owned(), content: Bytes::copy_from_slice(wasm) };
    let key = BlobHash(*blake3::hash(wasm).as_bytes());
    (Bundle { entry: "step.wasm".to_owned(), first_line: 1, files: vec![file], packages: Vec::new() }, key)
}

pub(crate) async fn compiled(hosts: &Hosts, wasm: &[u8]) -> CompiledStep {
    let (bundle, key) = bundle(wasm);
    hosts.compile(&bundle, key).await.expect("a step")
}

/// A task that calls a function of a compiled step.
fn task(step: &CompiledStep, function: &str, inputs: &[Value]) -> Task {
    Task {
        code: Code::Wasm { step: step.clone(), function: function.to_owned() },
        inputs: inputs.iter().map(|value| Bytes::from(cbor::encode(value))).collect(),
        env: None,
        loop_text: None,
        limits: Limits::default(),
        permissions: Permissions::default(),
    }
}

async fn call(hosts: &Hosts, step: &CompiledStep, function: &str, inputs: &[Value]) -> Finished {
    run(hosts, task(step, function, inputs)).await
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// Returns the lines of a log without their timestamps.
fn lines(finished: &Finished) -> Vec<String> {
    let log = String::from_utf8_lossy(&finished.log);
    log.lines().map(|line| line.get(25..).unwrap_or(line).to_owned()).collect()
}
