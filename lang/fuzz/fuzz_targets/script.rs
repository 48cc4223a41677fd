//! Lexer, parser and builder: any text is a plan or complaints, and each complaint can be shown.
#![no_main]

use bue_lang::{
    Complaint, FileText, Purpose, Script, check_sources, compile, plan_json, plan_mermaid, plan_text, render,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let script = Script { path: "any.bue", text: &text };
    let compiled = compile(script);
    let files = |path: &str| match path.len() % 2 {
        0 => FileText::Text("def f(a): pass".into()),
        _ => FileText::Missing,
    };
    let of_files = check_sources(script, &compiled, Purpose::Run, files);
    for complaint in compiled.complaints.iter().chain(&of_files) {
        assert!(render(complaint, script, false).contains(complaint.code));
        assert!(complaint.labels.iter().all(|label| text.get(label.span.start as usize..label.span.end as usize).is_some()));
    }
    assert_eq!(compiled.plan.is_some(), !compiled.complaints.iter().any(Complaint::is_error));
    if let Some(plan) = &compiled.plan {
        let _ = (plan_json(plan), plan_text(plan), plan_mermaid(plan));
    }
});
