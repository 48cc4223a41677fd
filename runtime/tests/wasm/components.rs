//! Rust steps as components.

use std::time::Duration;

use bue_model::{Answer, Decimal, FailureKind, Value, cbor};
use bue_runtime::{Limits, Task};

use super::{call, compiled, guests, lines, task, text};
use crate::common::{failure, value};
use crate::{Runtime, Test, run};

pub(super) const TESTS: &[Test] = &[
    ("wasm_values_of_all_kinds_round_trip", values_of_all_kinds_round_trip),
    ("wasm_a_component_can_return_every_outcome", a_component_can_return_every_outcome),
    ("wasm_failures_have_clear_messages", failures_have_clear_messages),
    ("wasm_every_limit_holds", every_limit_holds),
    ("wasm_a_component_has_no_arguments_environment_or_files", a_component_has_no_arguments_environment_or_files),
    ("wasm_every_instance_is_fresh", every_instance_is_fresh),
];

fn value_of_all_kinds() -> Value {
    let entries = [
        ("nothing", Value::Null),
        ("truth", Value::Bool(true)),
        ("number", Value::Int(i64::MIN)),
        ("large", Value::BigInt("123456789012345678901234567890".parse().expect("digits"))),
        ("float", Value::Float(1.5)),
        ("text", text("é\n")),
        ("bytes", Value::Bytes(vec![0, 255])),
        ("uuid", Value::Uuid(uuid::Uuid::from_u128(7))),
        ("price", Value::Decimal(Decimal { mantissa: 150.into(), exponent: -2 })),
        ("date", Value::Date("2026-09-30".into())),
        ("time", Value::Time("12:30:00".into())),
        ("moment", Value::DateTime("2026-09-30T12:30:00+02:00".into())),
        ("list", Value::List(vec![Value::Int(1), Value::Int(-1)])),
        ("map", Value::Map(vec![(text("a"), Value::Bool(false))])),
    ];
    Value::Map(entries.into_iter().map(|(key, value)| (text(key), value)).collect())
}

fn values_of_all_kinds_round_trip(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let step = compiled(&hosts, guests::component()).await;
        for function in ["echo", "typed"] {
            let finished = call(&hosts, &step, function, &[value_of_all_kinds()]).await;
            assert_eq!(value(&finished), value_of_all_kinds(), "{function}");
        }
        let row = |amount| {
            let entries = [(text("city"), text("Ghent")), (text("amount"), Value::Int(amount))];
            Value::List(vec![Value::Map(entries.to_vec())])
        };
        assert_eq!(value(&call(&hosts, &step, "doubled", &[row(3)]).await), row(6));
        assert_eq!(value(&call(&hosts, &step, "sum", &[Value::Int(2), Value::Int(3)]).await), Value::Int(5));
        hosts
    });
}

fn a_component_can_return_every_outcome(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let step = compiled(&hosts, guests::component()).await;
        let answer = async |function: &str, inputs: &[Value]| call(&hosts, &step, function, inputs).await.answer;
        assert_eq!(answer("pending", &[Value::Null]).await, Answer::Pending { delay_ms: None, scope: None });
        assert_eq!(answer("pending", &[Value::Int(90)]).await, Answer::Pending { delay_ms: Some(90), scope: None });
        assert_eq!(answer("reset", &[]).await, Answer::Reset { delay_ms: None });
        assert_eq!(answer("cancel", &[]).await, Answer::Cancelled);
        let Answer::Completed { hints, .. } = answer("hints", &[]).await else { panic!("completed") };
        assert_eq!(hints.priority, Some(7));
        let env = hints.env.expect("an environment");
        let reads = Task { env: Some(env.clone()), ..task(&step, "city", &[]) };
        assert_eq!(cbor::encode(&value(&run(&hosts, reads).await)), env);
        assert_eq!(value(&call(&hosts, &step, "city", &[]).await), Value::Null);
        let finished = call(&hosts, &step, "talks", &[]).await;
        let expected = ["to standard output", "to standard error", "to the log", "progress: 1 of 3 rows"];
        assert_eq!(lines(&finished), expected);
        hosts
    });
}

fn failures_have_clear_messages(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let step = compiled(&hosts, guests::component()).await;
        let failed = async |function: &str, inputs: &[Value]| failure(&call(&hosts, &step, function, inputs).await);
        for (function, inputs, kind, words) in [
            ("fails", vec![text("x")], FailureKind::Raised, "invalid digit found in string"),
            ("fails", vec![Value::Int(1)], FailureKind::BadInput, "Input 1 of `fails` does not fit"),
            ("fails", vec![], FailureKind::BadInput, "`fails` takes 1 input and was given 0."),
            ("waits_and_fails", vec![], FailureKind::Raised, "The other side is busy."),
            ("panics", vec![], FailureKind::Trap, "nothing is as it should be"),
            ("nobody", vec![], FailureKind::BadCode, "There is no step `nobody` here. There are `"),
        ] {
            let failure = failed(function, &inputs).await;
            assert!(failure.kind == kind && failure.message.contains(words), "{function}: {failure:?}");
        }
        assert_eq!(failed("waits_and_fails", &[]).await.retry_after_ms, Some(9_000));
        hosts
    });
}

fn every_limit_holds(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let step = compiled(&hosts, guests::component()).await;
        let short = Limits { time: Duration::from_millis(300), ..Limits::default() };
        let cpu = Limits { cpu: Duration::from_millis(100), ..Limits::default() };
        let little = Limits { output_bytes: 1 << 20, result_bytes: 1 << 20, ..Limits::default() };
        for (function, limits, words) in [
            ("fill_memory", Limits::default(), "memory limit of 256 MiB"),
            ("loop_for_ever", short.clone(), "time limit of 300 ms"),
            ("loop_for_ever", cpu, "processor limit of 100 ms"),
            ("sleep_for_ever", short, "time limit of 300 ms"),
            ("flood", little.clone(), "output limit of 1 MiB"),
            ("too_much", little, "result limit of 1 MiB"),
        ] {
            let failure = failure(&run(&hosts, Task { limits, ..task(&step, function, &[]) }).await);
            assert!(failure.kind == FailureKind::Limit && failure.message.contains(words), "{function}: {failure:?}");
        }
        let deep = failure(&call(&hosts, &step, "recurse", &[Value::Int(0)]).await);
        assert!(matches!(deep.kind, FailureKind::Limit | FailureKind::Trap), "{deep:?}");
        // the host still works
        assert_eq!(value(&call(&hosts, &step, "sum", &[Value::Int(2), Value::Int(3)]).await), Value::Int(5));
        hosts
    });
}

fn a_component_has_no_arguments_environment_or_files(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let step = compiled(&hosts, guests::component()).await;
        let counts = value(&call(&hosts, &step, "world", &[]).await);
        assert_eq!(counts, Value::List(vec![Value::Int(0), Value::Int(0), Value::Bool(false), Value::Bool(false)]));
        hosts
    });
}

fn every_instance_is_fresh(runtime: &Runtime) {
    runtime.with_hosts(1, async |hosts| {
        let step = compiled(&hosts, guests::component()).await;
        for _ in 0..100 {
            assert_eq!(value(&call(&hosts, &step, "calls_so_far", &[]).await), Value::Int(1));
        }
        // slots that reset the written pages, and slots that drop them because there are too many
        for kib in [4, 400, 900, 1_100, 8_000, 500] {
            for _ in 0..5 {
                assert_eq!(value(&call(&hosts, &step, "leave_a_pattern", &[Value::Int(kib)]).await), Value::Int(kib));
                assert_eq!(value(&call(&hosts, &step, "patterns_left", &[]).await), Value::Int(0), "{kib}");
            }
        }
        hosts
    });
}
