//! Parses Python, by the parser that the guest uses.

use rustpython_ruff_python_ast::ModModule;
use rustpython_ruff_python_parser::{Parsed, parse_module};

use super::depth;
use super::module::SyntaxProblem;
use super::reason;

/// Longest Python source that is parsed, in bytes.
pub const MAX_SOURCE: usize = 16 * 1024 * 1024;

/// Parses a source; `None` if it is nested so deeply that the parser could exhaust the stack. The guest reports such a source
/// when the step runs.
pub(super) fn parse(source: &str) -> Result<Option<Parsed<ModModule>>, SyntaxProblem> {
    if source.len() > MAX_SOURCE {
        let message = format!("this source is longer than {MAX_SOURCE} bytes");
        return Err(SyntaxProblem { line: 1, column: 1, message });
    }
    if depth::is_too_deep(source) {
        return Ok(None);
    }
    let parsed = parse_module(source).map_err(|error| {
        let at = usize::from(error.location.start());
        reason::problem(source, at, error.error.to_string())
    })?;
    Ok(Some(parsed))
}
