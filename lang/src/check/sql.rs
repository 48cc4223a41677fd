//! SQL of sqlite3 steps against SQLite's parser, which the caller passes: this crate does not depend on a database.

use std::collections::HashSet;

use bue_model::language::Engine;

use super::checker::{Checker, languages};
use super::file_contents::FileContents;
use crate::build::source_map::{CodeLocation, CodeLocationKind};
use crate::compile::Compiled;
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::diagnostics::diagnostic::Diagnostic;
use crate::python::module::SyntaxProblem;
use crate::source::Script;

/// Diagnostics about sqlite3 steps whose SQL does not parse. `parse` parses a text without running it. `get` is called once
/// for each path; [`check_sources`](crate::check_sources) reports missing files.
pub fn check_sql<'f>(
    script: Script<'_>,
    compiled: &Compiled,
    get: impl Fn(&str) -> FileContents<'f>,
    parse: impl Fn(&str) -> Result<(), SyntaxProblem>,
) -> Vec<Diagnostic> {
    let mut check = Checker::new(script);
    let mut known = HashSet::new();
    for (code, language) in compiled.source_map.codes.iter().zip(languages(compiled)) {
        if language.is_some_and(|language| language.engine() == Engine::Sqlite) {
            check.sql(code, &mut known, &get, &parse);
        }
    }
    check.diagnostics.finish()
}

impl Checker<'_> {
    fn sql<'c, 'f>(
        &mut self,
        code: &'c CodeLocation,
        known: &mut HashSet<&'c str>,
        get: &impl Fn(&str) -> FileContents<'f>,
        parse: &impl Fn(&str) -> Result<(), SyntaxProblem>,
    ) {
        match &code.kind {
            CodeLocationKind::Inline { text, line, margin } => {
                if let Err(problem) = parse(text) {
                    let span = self.span_in_code(*line, *margin, &problem);
                    self.diagnostics.add(
                        DiagnosticBuilder::new(codes::INVALID_SQL, span, problem.message)
                            .label("this code is not valid SQL for SQLite"),
                    );
                }
            }
            CodeLocationKind::Path(path) if known.insert(path) => {
                let FileContents::Text(text) = get(path) else { return };
                if let Err(problem) = parse(&text) {
                    let diagnostic = self.in_file(codes::INVALID_SQL, path, &text, code.span, problem);
                    self.diagnostics.add(diagnostic.label("this file is not valid SQL for SQLite"));
                }
            }
            CodeLocationKind::Path(_) => {}
        }
    }
}
