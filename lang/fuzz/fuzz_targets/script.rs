//! Lexer, parser and builder: any text gives a plan or diagnostics, and each diagnostic can be rendered.
#![no_main]

use bue_lang::{
    Diagnostic, FileContents, Script, check_sources, compile, plan_json, plan_mermaid, plan_text, render,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let script = Script { path: "any.bue", text: &text };
    let compiled = compile(script);
    let files = |path: &str| match path.len() % 2 {
        0 => FileContents::Text("def f(a): pass".into()),
        _ => FileContents::Missing,
    };
    let file_diagnostics = check_sources(script, &compiled, files);
    for diagnostic in compiled.diagnostics.iter().chain(&file_diagnostics) {
        assert!(render(diagnostic, script, false).contains(diagnostic.code));
        assert!(diagnostic.labels.iter().all(|label| text.get(label.span.start as usize..label.span.end as usize).is_some()));
    }
    assert_eq!(compiled.plan.is_some(), !compiled.diagnostics.iter().any(Diagnostic::is_error));
    if let Some(plan) = &compiled.plan {
        let _ = (plan_json(plan), plan_text(plan), plan_mermaid(plan));
    }
});
