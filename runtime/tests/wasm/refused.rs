//! What is no step is refused before anything of it runs, where it is handed in and at the worker; and code that somebody
//! changed in the cache is made anew.

use bue_model::{FailureKind, Value};
use bue_runtime::{Hosts, WasmKind, check_wasm};

use super::{bundle, call, compiled, guests};
use crate::common::{cache, value};
use crate::{Runtime, Test};

pub(super) const TESTS: &[Test] = &[
    ("wasm_what_is_no_step_is_refused_with_the_reason", what_is_no_step_is_refused_with_the_reason),
    ("wasm_names_that_lie_are_found_when_linking", names_that_lie_are_found_when_linking),
    ("wasm_changed_code_is_not_run", changed_code_is_not_run),
];

const COMMAND: &str = r#"(memory (export "memory") 1) (func (export "_start"))"#;

fn module(body: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {body})")).expect("wat")
}

fn component(body: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {body})")).expect("wat")
}

fn bad() -> Vec<(&'static str, Vec<u8>, &'static str)> {
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

fn what_is_no_step_is_refused_with_the_reason(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        for (what, wasm, words) in bad() {
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

fn names_that_lie_are_found_when_linking(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let body = format!(r#"(import "wasi_snapshot_preview1" "fd_read" (func (param f64))) {COMMAND}"#);
        let step = compiled(&hosts, &module(&body)).await;
        let failure = crate::common::failure(&call(&hosts, &step, "any", &[]).await);
        assert!(failure.kind == FailureKind::BadCode && failure.message.contains("fd_read"), "{failure:?}");
        hosts
    });
}

fn changed_code_is_not_run(runtime: &Runtime) {
    // a module of its own, so that no other test waits for it
    let body = format!(
        r#"(memory (export "memory") 1) (data (i32.const 0) "{}") (func (export "_start"))"#,
        std::process::id()
    );
    let wasm = module(&body);
    let started = || Hosts::start(runtime.config(1));
    runtime.tokio.block_on(async {
        let before = files();
        let hosts = started().await.expect("hosts");
        let step = compiled(&hosts, &wasm).await;
        assert_eq!(value(&call(&hosts, &step, "any", &[]).await), Value::Null);
        hosts.shutdown().await;
        let made: Vec<_> = files().into_iter().filter(|path| !before.contains(path)).collect();
        assert_eq!(made.len(), 1, "one step was compiled");
        for path in &made {
            // one byte, wherever it is
            let mut code = std::fs::read(path).expect("code");
            let middle = code.len() / 2;
            code[middle] ^= 1;
            std::fs::write(path, &code).expect("changed");
        }
        let hosts = started().await.expect("hosts");
        let step = compiled(&hosts, &wasm).await;
        assert_eq!(value(&call(&hosts, &step, "any", &[]).await), Value::Null);
        hosts.shutdown().await;
        for path in made {
            std::fs::remove_file(path).expect("ours");
        }
    });
}

/// Compiled steps in the cache.
fn files() -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(cache().join("sandbox")).expect("a cache").flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|kind| kind == "step")).collect()
}
