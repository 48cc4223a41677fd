//! What a Python source defines. It is parsed, by the parser that the guest uses, and never run.

mod collect;
mod depth;
pub(crate) mod module;

use rustpython_ruff_python_ast::Stmt;

pub use module::{Function, Lookup, Module, SyntaxProblem};

use crate::source::LineIndex;

/// Longest Python source that is parsed, in bytes.
pub const MAX_SOURCE: usize = 16 * 1024 * 1024;

/// The functions of a Python source.
///
/// A source nested so deeply that the parser could exhaust the stack gives a module about which nothing is known.
///
/// # Errors
/// The first syntax error of the source.
pub fn functions(source: &str) -> Result<Module, SyntaxProblem> {
    if source.len() > MAX_SOURCE {
        let message = format!("this source is longer than {MAX_SOURCE} bytes");
        return Err(SyntaxProblem { line: 1, column: 1, message });
    }
    if depth::is_too_deep(source) {
        // the guest reports it when the step runs
        return Ok(Module { open: true, ..Module::default() });
    }
    let parsed = rustpython_ruff_python_parser::parse_module(source).map_err(|error| {
        let at = usize::from(error.location.start());
        problem(source, at, error.error.to_string())
    })?;
    let suite: &[Stmt] = parsed.suite();
    Ok(collect::module(suite))
}

fn problem(source: &str, at: usize, message: String) -> SyntaxProblem {
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    let position = LineIndex::new(source).position(source, at);
    SyntaxProblem { line: position.line, column: position.column, message }
}

#[cfg(test)]
mod tests;
