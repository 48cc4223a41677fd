//! Invalid modules are refused before any of their code runs, when they are uploaded and again by the worker. Modified code in
//! the cache is compiled again.

use std::cell::RefCell;
use std::convert::Infallible;
use std::sync::Arc;

use bue_model::{FailureKind, Value};
use bue_runtime::{Hosts, WasmKind, check_wasm};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::{bundle, call, compiled, guests};
use crate::common::{cache, value};
use crate::{Runtime, Test};

pub(super) const TESTS: &[Test] = &[
    ("wasm_invalid_modules_are_refused_with_the_reason", invalid_modules_are_refused_with_the_reason),
    ("wasm_imports_of_the_wrong_type_are_found_when_linking", imports_of_the_wrong_type_are_found_when_linking),
    ("wasm_modified_code_is_not_run", modified_code_is_not_run),
    ("wasm_runs_take_turns_with_the_compiler", runs_take_turns_with_the_compiler),
];

/// A run with many modules delays another by two of them at most, and a module is not even loaded before its turn.
fn runs_take_turns_with_the_compiler(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let loaded = RefCell::new(Vec::new());
        // nothing is loaded before every job has taken its place
        let gate = Semaphore::new(0);
        let compile = |run, number: usize| {
            let (bundle, key) = bundle(&module(&format!("{COMMAND} {}", "(func)".repeat(number))));
            let (hosts, loaded, gate) = (&hosts, &loaded, &gate);
            let load = async move {
                loaded.borrow_mut().push(number);
                let _open = gate.acquire().await.expect("a gate that is never closed");
                Ok::<_, Infallible>(Arc::new(bundle))
            };
            Box::pin(async move { hosts.compiler().compile_in_turn(run, key, load).await.map(drop) })
        };
        // the last one is the same module as the first one
        let jobs = [(1, 1), (1, 2), (1, 3), (2, 4), (3, 1)];
        let mut waiting: Vec<_> = jobs.into_iter().map(|(run, number)| compile(run, number)).collect();
        assert!(waiting.iter_mut().all(|job| job.as_mut().now_or_never().is_none()));
        assert_eq!(*loaded.borrow(), [1]);
        gate.add_permits(1);
        assert!(join_all(waiting).await.iter().all(Result::is_ok));
        assert_eq!(*loaded.borrow(), [1, 2, 4, 3]);
        hosts
    });
}

const COMMAND: &str = r#"(memory (export "memory") 1) (func (export "_start"))"#;

pub(super) fn module(body: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {body})")).expect("wat")
}

fn component(body: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {body})")).expect("wat")
}

fn invalid_modules() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let whole = guests::component();
    let cut = whole.get(..whole.len() / 2).expect("half").to_vec();
    let functions = format!("{COMMAND} {}", "(func)".repeat(100_001));
    let long = format!("{COMMAND} (func {})", "nop ".repeat(1 << 21));
    let newer = r#"(component $c) (instance $i (instantiate $c)) (export "bue:step/guest@0.2.0" (instance $i))"#;
    let parts = "(core module)".repeat(65);
    vec![
        ("nothing", Vec::new(), "it is empty"),
        ("text", b"#!/bin/sh".to_vec(), "not WebAssembly"),
        ("machine code", b"\x7fELF\x02\x01\x01".to_vec(), "machine code"),
        ("a cut file", cut, "not complete and valid WebAssembly"),
        ("bytes behind", [module(COMMAND), vec![0xff; 9]].concat(), "not complete and valid WebAssembly"),
        ("an unknown import", module(&format!(r#"(import "env" "system" (func)) {COMMAND}"#)), "`env.system`"),
        (
            "an unknown function of WASI",
            module(&format!(r#"(import "wasi_snapshot_preview1" "fork" (func)) {COMMAND}"#)),
            "`wasi_snapshot_preview1.fork`",
        ),
        ("no start", module(r#"(memory (export "memory") 1)"#), "`_start`"),
        ("threads", module(&format!(r#"{COMMAND} (memory 1 1 shared)"#)), "not complete and valid"),
        ("a large memory", module(&format!("{COMMAND} (memory i64 1)")), "not complete and valid"),
        ("too many functions", module(&functions), "100000 functions"),
        ("a long function", module(&long), "more than the 1024 KiB"),
        ("a newer contract", component(newer), "bue:step@0.2.0"),
        ("a newer host", component(r#"(import "bue:step/host@9.0.0" (instance))"#), "bue:step@9.0.0"),
        ("another component", component(r#"(import "wasi:cli/stdout@0.2.0" (instance))"#), "does not export"),
        (
            "an unknown interface",
            component(r#"(import "acme:disk/files@1.0.0" (instance))"#),
            "`acme:disk/files@1.0.0`",
        ),
        ("a newer WASI", component(r#"(import "wasi:cli/stdout@0.3.0" (instance))"#), "`wasi:cli/stdout@0.3.0`"),
        ("many modules", component(&parts), "64 modules"),
    ]
}

fn invalid_modules_are_refused_with_the_reason(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        for (what, wasm, words) in invalid_modules() {
            let problem = check_wasm(&wasm).expect_err(what);
            assert!(problem.message.contains(words), "{what}: {problem:?}");
            let (bundle, key) = bundle(&wasm);
            let failure = hosts.compile(&bundle, key).await.expect_err(what);
            assert!(failure.kind == FailureKind::BadCode && failure.message.contains(words), "{what}: {failure:?}");
        }
        assert_eq!(check_wasm(guests::component()), Ok(WasmKind::Component));
        assert_eq!(check_wasm(&module(COMMAND)), Ok(WasmKind::Command));
        hosts
    });
}

fn imports_of_the_wrong_type_are_found_when_linking(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let body = format!(r#"(import "wasi_snapshot_preview1" "fd_read" (func (param f64))) {COMMAND}"#);
        let step = compiled(&hosts, &module(&body)).await;
        let failure = crate::common::failure(&call(&hosts, &step, "any", &[]).await);
        assert!(failure.kind == FailureKind::BadCode && failure.message.contains("fd_read"), "{failure:?}");
        hosts
    });
}

fn modified_code_is_not_run(runtime: &Runtime) {
    // a unique module, so that no other test uses its cached code
    let body = format!(
        r#"(memory (export "memory") 1) (data (i32.const 0) "{}") (func (export "_start"))"#,
        std::process::id()
    );
    let wasm = module(&body);
    let start = || Hosts::start(runtime.config(1));
    runtime.tokio.block_on(async {
        let before = files();
        let hosts = start().await.expect("hosts");
        let step = compiled(&hosts, &wasm).await;
        assert_eq!(value(&call(&hosts, &step, "any", &[]).await), Value::Null);
        hosts.shutdown().await;
        let compiled_files: Vec<_> = files().into_iter().filter(|path| !before.contains(path)).collect();
        assert_eq!(compiled_files.len(), 1, "one step was compiled");
        for path in &compiled_files {
            // changes one byte in the middle
            let mut code = std::fs::read(path).expect("code");
            let middle = code.len() / 2;
            code[middle] ^= 1;
            std::fs::write(path, &code).expect("changed");
        }
        let hosts = start().await.expect("hosts");
        let step = compiled(&hosts, &wasm).await;
        assert_eq!(value(&call(&hosts, &step, "any", &[]).await), Value::Null);
        hosts.shutdown().await;
        for path in compiled_files {
            std::fs::remove_file(path).expect("ours");
        }
    });
}

/// The compiled steps in the cache.
fn files() -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(cache().join("sandbox")).expect("a cache").flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|kind| kind == "step")).collect()
}
