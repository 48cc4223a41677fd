//! Any text gives a plan, or diagnostics that can be rendered.

use std::sync::LazyLock;

use bue_lang::{
    Diagnostic, FileContents, Script, check_sources, compile, format, plan_json, plan_mermaid, plan_text, python,
    render,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::suite::{Case, programs};

static SUITE: LazyLock<Vec<String>> = LazyLock::new(|| programs().iter().map(Case::program).collect());

/// Pieces of scripts.
const PIECES: &[&str] = &[
    "a",
    "b",
    "python",
    "f",
    "x.py",
    "for",
    "in",
    "import",
    "as",
    "TAB",
    "net",
    "tcp",
    "bucket",
    "by",
    "sqlite3",
    " ",
    "    ",
    "\t",
    "\n",
    "\r\n",
    "\n    ",
    "(",
    ")",
    "[",
    "]",
    "=",
    "|",
    ",",
    ":",
    ":\n",
    "!",
    "$",
    "@",
    "!9",
    "!timeout ",
    "!rate ",
    "!at_most ",
    "!with ",
    "!expires ",
    "!max_handbacks ",
    "!every ",
    "!allow ",
    "!requires ",
    "..",
    "1",
    "60 * 2",
    "/",
    "**",
    "-",
    "#",
    "`",
    "``",
    "\"",
    "'",
    "{",
    "}",
    ".",
    "é",
    "日",
    "\u{feff}",
    "\u{a0}",
    "\u{0}",
    "\\",
    "a()",
    "a = b | c\n",
    "for x in a():\n",
    "a:\n    python\n    f\n    x.py\n",
];

/// Pieces of Python.
const PYTHON: &[&str] = &[
    "def ", "f", "(", ")", ":", "\n", "\n    ", "class A", "=", "1", "import ", "from ", "*", "lambda ", "if ", "else",
    "for ", "in ", "[", "]", "{", "}", "'", "\"", "\"\"\"", "f'{", "\\", "#", "@", ",", ".", "not ", "async ",
    "await ", "match x", "case ", "try", "except", "é", "\t", "x",
];

/// The same cases in every run, unless `PROPTEST_RNG_SEED` is set.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let rng_seed = if default.rng_seed == RngSeed::Random { RngSeed::Fixed(1) } else { default.rng_seed };
    ProptestConfig { rng_seed, failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_text_gets_an_answer(text in any::<String>()) {
        assert_answers(&text);
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        assert_answers(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn pieces_of_scripts_get_an_answer(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..60)) {
        assert_answers(&pieces.concat());
    }

    #[test]
    fn broken_programs_get_an_answer(
        program in 0..1000_usize,
        changes in proptest::collection::vec((0.0..1.0_f64, 0.0..1.0_f64, proptest::sample::select(PIECES), 0..4_u8), 1..6),
    ) {
        let mut text = SUITE[program % SUITE.len()].clone();
        for (from, to, piece, kind) in changes {
            text = mutated(&text, from, to, piece, kind);
        }
        assert_answers(&text);
    }

    #[test]
    fn pieces_of_python_get_an_answer(pieces in proptest::collection::vec(proptest::sample::select(PYTHON), 0..60)) {
        let _ = python::functions(&pieces.concat());
    }
}

/// Deletes, repeats, inserts or truncates.
fn mutated(text: &str, from: f64, to: f64, piece: &str, kind: u8) -> String {
    let (from, to) = (char_boundary(text, from.min(to)), char_boundary(text, from.max(to)));
    let (start, middle, end) = (&text[..from], &text[from..to], &text[to..]);
    match kind {
        0 => format!("{start}{end}"),
        1 => format!("{start}{middle}{middle}{end}"),
        2 => format!("{start}{piece}{middle}{end}"),
        _ => start.to_owned(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "any byte will do"
)]
fn char_boundary(text: &str, part: f64) -> usize {
    let byte = (text.len() as f64 * part) as usize;
    (0..=byte.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Asserts that everything that can be done with a script can be done with this one.
fn assert_answers(text: &str) {
    let script = Script { path: "any.bue", text };
    let compiled = compile(script);
    let files = |path: &str| {
        if path.len().is_multiple_of(2) { FileContents::Text("def f(a): pass".into()) } else { FileContents::Missing }
    };
    let file_diagnostics = check_sources(script, &compiled, files);
    for diagnostic in compiled.diagnostics.iter().chain(&file_diagnostics) {
        assert!(!diagnostic.labels.is_empty(), "{text:?}");
        for label in &diagnostic.labels {
            assert!(text.get(label.span.start as usize..label.span.end as usize).is_some(), "{text:?} {label:?}");
        }
        for color in [false, true] {
            assert!(render(diagnostic, script, color).contains(diagnostic.code), "{text:?}");
        }
    }
    assert_eq!(compiled.plan.is_some(), !compiled.diagnostics.iter().any(Diagnostic::is_error), "{text:?}");
    if let Some(plan) = &compiled.plan {
        let _ = (plan_json(plan).to_string(), plan_text(plan), plan_mermaid(plan));
        let once = format(script).expect("no errors");
        let again = compile(Script { path: "any.bue", text: &once }).plan.expect("the formatted text is a script");
        assert_eq!(plan_json(&again), plan_json(plan), "{text:?}");
        let twice = format(Script { path: "any.bue", text: &once });
        assert_eq!(twice.as_ref(), Ok(&once), "{text:?}");
    }
}
