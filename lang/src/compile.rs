//! From a script's text to its plan: lexer, parser and builder in a row.

use bue_model::Plan;

use crate::build::builder::{self, Built};
use crate::build::source_map::SourceMap;
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::diagnostics::diagnostic::Diagnostic;
use crate::diagnostics::list::Diagnostics;
use crate::parse;
use crate::source::{MAX_SCRIPT, Script, Span};
use crate::syntax::lexer;
use crate::syntax::token::{TokenKind, Tokens};
use crate::syntax::tree::Tree;

/// The result of compiling a script.
#[derive(Debug)]
pub struct Compiled {
    /// `Some` if no diagnostic is an error.
    pub plan: Option<Plan>,
    /// In the order of the text. Diagnostics about the files that steps name come from
    /// [`check_sources`](crate::check_sources).
    pub diagnostics: Vec<Diagnostic>,
    /// The locations of steps and calls.
    pub(crate) source_map: SourceMap,
}

/// Compiles a script. Never fails: every mistake is a diagnostic.
#[must_use]
pub fn compile(script: Script<'_>) -> Compiled {
    if script.text.len() > MAX_SCRIPT {
        return too_large(script);
    }
    analyze(script, |_, _, built, diagnostics| {
        let plan = (!diagnostics.has_errors()).then_some(built.plan);
        let source_map = SourceMap::new(&built.steps, built.calls, built.param_spans, &diagnostics.lines);
        Compiled { plan, diagnostics: diagnostics.finish(), source_map }
    })
}

/// Lexes, parses and builds a script, and hands all of it to `finish`: the compiler wants the plan, the formatter the tokens.
pub(crate) fn analyze<'a, R>(
    script: Script<'a>,
    finish: impl FnOnce(&Tokens, &Tree<'a>, Built<'_>, Diagnostics<'a>) -> R,
) -> R {
    let mut diagnostics = Diagnostics::new(script);
    let tokens = lexer::tokens(&mut diagnostics);
    let tree = parse::parse(&tokens.list, &mut diagnostics);
    let truncated = tokens.list.iter().any(|token| token.kind == TokenKind::UnclosedCode);
    let built = builder::build(&tree, truncated, &mut diagnostics);
    finish(&tokens, &tree, built, diagnostics)
}

fn too_large(script: Script<'_>) -> Compiled {
    let mut diagnostics = Diagnostics::new(Script { path: script.path, text: "" });
    let message = format!("this script is longer than {MAX_SCRIPT} bytes");
    let hint = "move code into separate files, or split the script";
    diagnostics.add(DiagnosticBuilder::new(codes::TOO_LARGE, Span { start: 0, end: 0 }, message).hint(hint));
    Compiled { plan: None, diagnostics: diagnostics.finish(), source_map: SourceMap::default() }
}
