//! What the code of steps imports and calls. The caller follows the imports, because only it can read files.

use std::collections::HashSet;

use bue_model::Step;

use super::checker::Checker;
use crate::build::source_map::{CodeLocation, CodeLocationKind};
use crate::compile::Compiled;
use crate::diagnostics::builder::{CodeFile, DiagnosticBuilder};
use crate::diagnostics::codes;
use crate::diagnostics::diagnostic::Diagnostic;
use crate::python::module::SyntaxProblem;
use crate::source::{LineIndex, Script, Span};

/// Something in the code of a step that cannot work in a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CodeProblem {
    /// Its kind.
    pub kind: CodeProblemKind,
    /// The file that it is in; `None` for the inline code of the step.
    pub file: Option<CodeFile>,
    /// Its place in the file or in the inline code.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// Kinds of [`CodeProblem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodeProblemKind {
    /// A file that the step imports is not valid Python.
    Syntax,
    /// An import of a module that does not exist, or that cannot work in a sandbox.
    Import,
    /// A call that opens a file.
    File,
    /// A call that starts a process.
    Process,
    /// A call that uses a value of the bucket.
    Value,
    /// Files to pack that are not there.
    Packed,
}

impl CodeProblemKind {
    const fn code(self) -> &'static str {
        match self {
            Self::Syntax => codes::INVALID_PYTHON,
            Self::Import => codes::UNUSABLE_IMPORT,
            Self::File => codes::NO_FILES,
            Self::Process => codes::NO_PROCESSES,
            Self::Value => codes::VALUE_NOT_ALLOWED,
            Self::Packed => codes::FILE_NOT_FOUND,
        }
    }
}

/// Diagnostics about the code of used steps in Python. `find` returns the problems of one step. A problem that several steps
/// share is reported once, at the first.
pub fn check_code(
    script: Script<'_>,
    compiled: &Compiled,
    find: impl Fn(&Step) -> Vec<CodeProblem>,
) -> Vec<Diagnostic> {
    let mut check = Checker::new(script);
    let mut reported = HashSet::new();
    let Some(plan) = &compiled.plan else { return check.diagnostics.finish() };
    for location in compiled.source_map.steps.iter().filter(|location| location.language.has_imports()) {
        let step = location.index.and_then(|index| plan.steps.get(index.get()));
        let (Some(step), Some(code)) = (step, compiled.source_map.codes.get(location.code)) else { continue };
        for problem in find(step) {
            let inline_code = problem.file.is_none().then_some(location.code);
            if reported.insert((inline_code, problem.clone())) {
                check.code_problem(code, problem);
            }
        }
    }
    check.diagnostics.finish()
}

impl Checker<'_> {
    fn code_problem(&mut self, code: &CodeLocation, problem: CodeProblem) {
        let CodeProblem { kind, file, span, message, hint } = problem;
        let diagnostic = match (file, &code.kind) {
            (Some(file), _) => DiagnosticBuilder::in_file(kind.code(), file, span, code.span, message),
            (None, CodeLocationKind::Inline { text, line, margin }) => {
                let span = self.inline_span(text, *line, *margin, span);
                DiagnosticBuilder::new(kind.code(), span, message)
            }
            (None, CodeLocationKind::Path(_)) => DiagnosticBuilder::new(kind.code(), code.span, message),
        };
        self.diagnostics.add(diagnostic.maybe_hint(hint));
    }

    /// The span of the script for a span of the inline code; its first line if it has several.
    fn inline_span(&self, text: &str, first_line: u32, margin: usize, span: Span) -> Span {
        let lines = LineIndex::new(text);
        let at = |byte: u32| {
            let position = lines.position(text, byte);
            let problem = SyntaxProblem { line: position.line, column: position.column, message: String::new() };
            self.span_in_code(first_line, margin, &problem)
        };
        let line_end = lines.start(lines.line(span.start)) as usize + lines.text(text, lines.line(span.start)).len();
        let end = (span.end as usize).min(line_end).max(span.start as usize + 1);
        at(span.start).to(at(u32::try_from(end - 1).unwrap_or(span.start)))
    }
}
