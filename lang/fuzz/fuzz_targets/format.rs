//! The formatter: formatting changes no plan and is idempotent.
#![no_main]

use bue_lang::{Script, compile, format, plan_json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let script = Script { path: "any.bue", text: &text };
    let Some(plan) = compile(script).plan else { return };
    let once = format(script).expect("a script without errors can be formatted");
    let formatted = Script { path: "any.bue", text: &once };
    let again = compile(formatted).plan.expect("a formatted script is a script");
    assert_eq!(plan_json(&again), plan_json(&plan), "formatting changed the meaning:\n{once}");
    assert_eq!(format(formatted).expect("a script"), once, "formatting is not idempotent");
});
