//! `docs/errors.md`: every code has a section, whose examples get the diagnostics that it describes.

use std::borrow::Cow;
use std::collections::HashMap;

use bue_lang::{CODES, FileContents, Script, check_scopes, check_sources, compile, explain};

/// Codes without a tested example here. A script that reaches a limit is too long to read; `limits.rs` tests these. SQL needs a
/// database, a compiled step a compiler, packages need files and parameters values; the tests of the command check these examples.
const WITHOUT_EXAMPLE: &[&str] = &[
    "E0001", "E0002", "E0041", "E0055", "E0056", "E0057", "E0060", "E0061", "E0062", "E0063", "E0064", "E0065",
    "E0069", "E0070", "E0071", "E0072",
];

#[test]
fn every_code_has_a_page_under_its_title() {
    for (code, title) in CODES {
        let page = explain(code).unwrap_or_else(|| panic!("{code} has no page"));
        assert!(page.starts_with(&format!("{code} {title}\n")), "{code}: {page}");
    }
    let headings = include_str!("../../../docs/errors.md").matches("\n## ").count();
    assert_eq!(headings, CODES.len(), "sections without a code");
}

#[test]
fn codes_are_found_in_any_case() {
    assert!(explain(" e0012 ").is_some());
    assert!(explain("E9999").is_none());
    assert!(explain("").is_none());
}

#[test]
fn wrong_examples_get_their_code_and_right_examples_no_error() {
    for (code, _) in CODES.iter().filter(|(code, _)| !WITHOUT_EXAMPLE.contains(code)) {
        let page = explain(code).expect("a page");
        let wrong = example(page, "bue wrong").unwrap_or_else(|| panic!("{code} has no wrong example"));
        let right = example(page, "bue right").unwrap_or_else(|| panic!("{code} has no right example"));
        assert!(codes(&wrong).contains(code), "{code}: {:?}", codes(&wrong));
        let remaining = codes(&right);
        assert!(!remaining.iter().any(|one| one == code || one.starts_with('E')), "{code}: {remaining:?}");
    }
}

#[test]
fn wrong_examples_get_no_other_error() {
    for (code, _) in CODES.iter().filter(|(code, _)| !WITHOUT_EXAMPLE.contains(code)) {
        let wrong = example(explain(code).expect("a page"), "bue wrong").expect("an example");
        let errors: Vec<_> = codes(&wrong).into_iter().filter(|one| one.starts_with('E')).collect();
        let expected: &[&str] = if code.starts_with('E') { &[code] } else { &[] };
        assert_eq!(errors, expected, "one mistake gives one diagnostic: {code}");
    }
}

fn codes(text: &str) -> Vec<&'static str> {
    let script = Script { path: "example.bue", text };
    let compiled = compile(script);
    let files: HashMap<&str, FileContents<'_>> =
        [("steps.py", FileContents::Text(Cow::Owned(steps()))), ("folder", FileContents::Opaque)].into();
    let sources = check_sources(script, &compiled, |path| files.get(path).cloned().unwrap_or(FileContents::Missing));
    let served = ["production".to_owned(), "default".to_owned()];
    let scopes = check_scopes(script, &compiled, &served);
    compiled.diagnostics.iter().chain(&sources).chain(&scopes).map(|diagnostic| diagnostic.code).collect()
}

fn steps() -> String {
    example(include_str!("../../../docs/errors.md"), "python steps.py").expect("the steps")
}

/// The first code block of a kind.
fn example(page: &str, kind: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("```{kind}\n"))?;
    rest.split_once("\n```").map(|(text, _)| format!("{text}\n"))
}
