//! Plain WASI commands.

use std::time::Duration;

use bue_model::{FailureKind, Value};
use bue_runtime::{Limits, Task};

use super::refused::module;
use super::{call, compiled, guests, lines, task, text};
use crate::common::{failure, value};
use crate::{Runtime, Test, run};

pub(super) const TESTS: &[Test] = &[
    ("wasm_a_command_reads_json_and_writes_json", a_command_reads_json_and_writes_json),
    ("wasm_an_object_keeps_its_order_and_has_no_key_twice", an_object_keeps_its_order_and_has_no_key_twice),
    ("wasm_a_failed_command_reports_its_error", a_failed_command_reports_its_error),
    ("wasm_a_command_has_the_same_limits", a_command_has_the_same_limits),
    ("wasm_host_calls_without_a_loop_are_interrupted", host_calls_without_a_loop_are_interrupted),
    ("wasm_a_command_has_no_arguments_environment_or_files", a_command_has_no_arguments_environment_or_files),
];

fn a_command_reads_json_and_writes_json(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let step = compiled(&hosts, &guests::command("echo")).await;
        let row = Value::Map(vec![(text("n"), Value::Int(i64::MIN)), (text("x"), Value::Float(0.5))]);
        let inputs = [row, Value::Null, text("é"), Value::integer(u64::MAX.into()), Value::Bool(true)];
        assert_eq!(value(&call(&hosts, &step, "any", &inputs).await), Value::List(inputs.to_vec()));
        assert_eq!(value(&call(&hosts, &step, "any", &[]).await), Value::List(vec![]));
        let as_text = [Value::Date("2026-09-30".into()), Value::Bytes(vec![1, 2])];
        let output = value(&call(&hosts, &step, "any", &as_text).await);
        assert_eq!(output, Value::List(vec![text("2026-09-30"), text("AQI=")]));
        let floats = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Value::Float);
        let output = value(&call(&hosts, &step, "any", &floats).await);
        assert_eq!(output, Value::List(vec![text("NaN"), text("Infinity"), text("-Infinity")]));
        let keys = Value::Map(vec![(Value::Int(1), Value::Null), (text("1"), Value::Null)]);
        let pair = |key| Value::List(vec![key, Value::Null]);
        let output = value(&call(&hosts, &step, "any", &[keys]).await);
        assert_eq!(output, Value::List(vec![Value::List(vec![pair(Value::Int(1)), pair(text("1"))])]));
        hosts
    });
}

/// A command that prints one text.
fn printer(text: &str) -> Vec<u8> {
    let length = text.len();
    let text = text.bytes().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    module(&format!(
        r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
           (memory (export "memory") 1) (data (i32.const 16) "{text}")
           (func (export "_start")
             (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const {length}))
             (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))"#
    ))
}

fn an_object_keeps_its_order_and_has_no_key_twice(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let run = async |json: &str| call(&hosts, &compiled(&hosts, &printer(json)).await, "any", &[]).await;
        let list = |numbers: &[i64]| Value::List(numbers.iter().copied().map(Value::Int).collect());
        let expected = Value::Map(vec![(text("b"), list(&[1])), (text("a"), list(&[]))]);
        assert_eq!(value(&run(r#" {"b": [1], "a": []} "#).await), expected);
        // long enough for another thread
        let long = format!("[{}1]", "1,".repeat(32_000));
        let Value::List(items) = value(&run(&long).await) else { panic!("a list") };
        assert_eq!(items.len(), 32_001);
        for (json, words) in [
            (r#"[{"a": 1, "a": 2}]"#, "an object has the same key twice at line 1 column 17"),
            ("[1] 2", "trailing characters"),
            ("[1", "EOF while parsing"),
            ("[18446744073709551616]", "the integer 18446744073709551616"),
        ] {
            let failure = failure(&run(json).await);
            assert!(failure.kind == FailureKind::BadResult && failure.message.contains(words), "{json}: {failure:?}");
        }
        hosts
    });
}

fn a_failed_command_reports_its_error(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let step = compiled(&hosts, &guests::command("misbehave")).await;
        for (what, kind, words) in [
            ("fail", FailureKind::Raised, "the file has no rows"),
            ("silent", FailureKind::Raised, "exit code 4"),
            ("talk", FailureKind::BadResult, "It begins with `hello there"),
            ("panic", FailureKind::Trap, "nothing is as it should be"),
        ] {
            let failure = failure(&call(&hosts, &step, "any", &[text(what)]).await);
            assert!(failure.kind == kind && failure.message.contains(words), "{what}: {failure:?}");
        }
        let after_exit = call(&hosts, &step, "any", &[text("exit")]).await;
        assert_eq!(value(&after_exit), Value::Null);
        let failed = call(&hosts, &step, "any", &[text("fail")]).await;
        assert_eq!(lines(&failed), ["the file has no rows"]);
        hosts
    });
}

/// Epochs interrupt a guest where a function or a round of a loop begins. Here is neither, and minutes of host calls.
fn host_calls_without_a_loop_are_interrupted(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let one = "(drop (call $random (i32.const 0) (i32.const 65536)))";
        let body = format!(
            r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
               (memory (export "memory") 1) (func (export "_start") {})"#,
            one.repeat(20_000)
        );
        let step = compiled(&hosts, &module(&body)).await;
        let limits = Limits { time: Duration::from_millis(500), ..Limits::default() };
        let hostile = Task { limits, ..task(&step, "_start", &[]) };
        let innocent = compiled(&hosts, &guests::command("echo")).await;
        let innocent = async {
            for _ in 0..10 {
                value(&call(&hosts, &innocent, "any", &[]).await);
            }
        };
        let (finished, ()) = tokio::join!(run(&hosts, hostile), innocent);
        let failure = failure(&finished);
        assert!(failure.kind == FailureKind::Limit && failure.message.contains("time limit"), "{failure:?}");
        hosts
    });
}

fn a_command_has_the_same_limits(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let step = compiled(&hosts, &guests::command("misbehave")).await;
        let short = Limits { time: Duration::from_millis(300), ..Limits::default() };
        let little = Limits { output_bytes: 1 << 20, result_bytes: 1 << 20, ..Limits::default() };
        for (what, limits, words) in [
            ("loop", short.clone(), "time limit of 300 ms"),
            ("sleep", short, "time limit of 300 ms"),
            ("memory", Limits::default(), "memory limit of 256 MiB"),
            ("flood", little.clone(), "result limit of 1 MiB"),
            ("shout", little, "output limit of 1 MiB"),
        ] {
            let failure = failure(&run(&hosts, Task { limits, ..task(&step, "any", &[text(what)]) }).await);
            assert!(failure.kind == FailureKind::Limit && failure.message.contains(words), "{what}: {failure:?}");
        }
        hosts
    });
}

fn a_command_has_no_arguments_environment_or_files(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let step = compiled(&hosts, &guests::command("misbehave")).await;
        let counts = value(&call(&hosts, &step, "any", &[text("world")]).await);
        assert_eq!(counts, Value::List(vec![Value::Int(0), Value::Int(0), Value::Bool(false)]));
        hosts
    });
}
