//! Modules and components of strangers are checked in the worker's process, before a child compiles them.

use bue_test_support::mutation::{mutated, runner, write_seeds};

use super::component_claims::check_component;

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"(module (memory (export "memory") 1) (func (export "_start")))"#,
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1) (table 2 funcref) (elem (i32.const 0) 1 1)
            (global (mut i64) (i64.const 7)) (data (i32.const 8) "abc")
            (func (export "_start") (local i32 f64 v128)
                (block (loop (br_if 1 (i32.eqz (local.get 0))) (br 0)))
                (call_indirect (i32.const 0)))
            (func (param i32) (result i32) (if (result i32) (local.get 0) (then (i32.const 1)) (else (i32.const 2)))))"#,
        r#"(component
            (import "wasi:cli/stdout@0.2.0" (instance))
            (type (func (param "a" (list string)) (result (tuple u8 (option (record (field "b" char)))))))
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (component $c) (instance $e (instantiate $c)) (export "bue:step/guest@0.1.0" (instance $e)))"#,
        r#"(component (component (component (core module))) (type (variant (case "a" u8) (case "b"))) (type (resource (rep i32))))"#,
        r#"(component (import "acme:disk/files@1.0.0" (instance (export "f" (func)))))"#,
    ];
    texts.iter().map(|text| wat::parse_str(text).expect("wat")).collect()
}

#[test]
fn any_bytes_are_a_compiled_step_or_refused() {
    write_seeds("component", &seeds());
    let result = runner(400).run(&mutated(seeds()), |bytes| {
        check_component(&bytes);
        Ok(())
    });
    assert!(result.is_ok(), "{}", result.expect_err("a failing case"));
}

#[test]
fn names_of_strangers_are_shown_without_control_characters() {
    for text in [
        "(module (import \"wasi_snapshot_preview1\" \"\\1b]0;x\\07\" (func)))",
        "(module (import \"\\c2\\9b31m\" \"f\" (func)))",
        "(module (func) (export \"a\\0a\" (func 0)) (export \"a\\0a\" (func 0)))",
    ] {
        assert!(!check_component(&wat::parse_str(text).expect("wat")), "{text:?}");
    }
}
