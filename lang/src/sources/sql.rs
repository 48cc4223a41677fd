//! SQL of sqlite3 steps against SQLite's parser, which the caller brings: nothing here depends on a database.

use std::collections::HashSet;

use bue_model::language::Engine;

use super::{Check, FileContents, Purpose, languages};
use crate::Compiled;
use crate::code;
use crate::diagnostic::{Diagnostic, DiagnosticBuilder};
use crate::origin::{CodeOrigin, CodeOriginKind};
use crate::python::SyntaxProblem;
use crate::source::Script;

/// Diagnostics about sqlite3 steps whose SQL does not parse. `parse` says what is wrong with a text, without running it.
/// Every path is asked for once; what is missing is the business of [`check_sources`](crate::check_sources).
pub fn check_sql<'f>(
    script: Script<'_>,
    compiled: &Compiled,
    purpose: Purpose,
    get: impl Fn(&str) -> FileContents<'f>,
    parse: impl Fn(&str) -> Result<(), SyntaxProblem>,
) -> Vec<Diagnostic> {
    let mut check = Check::new(script, purpose);
    let mut known = HashSet::new();
    for (code, language) in compiled.origins.codes.iter().zip(languages(compiled)) {
        if language.is_some_and(|language| language.engine() == Engine::Sqlite) {
            check.sql(code, &mut known, &get, &parse);
        }
    }
    check.diagnostics.finish()
}

impl Check<'_> {
    fn sql<'c, 'f>(
        &mut self,
        code: &'c CodeOrigin,
        known: &mut HashSet<&'c str>,
        get: &impl Fn(&str) -> FileContents<'f>,
        parse: &impl Fn(&str) -> Result<(), SyntaxProblem>,
    ) {
        let number = if self.purpose == Purpose::Check { code::SQL_SYNTAX_YET } else { code::SQL_SYNTAX };
        match &code.kind {
            CodeOriginKind::Inline { text, line, margin } => {
                if let Err(problem) = parse(text) {
                    let span = self.place_in_code(*line, *margin, &problem);
                    self.diagnostics.add(
                        DiagnosticBuilder::new(number, span, problem.message).label("this code is not SQLite's SQL"),
                    );
                }
            }
            CodeOriginKind::Path(path) if known.insert(path) => {
                let FileContents::Text(text) = get(path) else { return };
                if let Err(problem) = parse(&text) {
                    let message = format!("{path}:{}:{}: {}", problem.line, problem.column, problem.message);
                    self.diagnostics
                        .add(DiagnosticBuilder::new(number, code.span, message).label("this file is not SQLite's SQL"));
                }
            }
            CodeOriginKind::Path(_) => {}
        }
    }
}
