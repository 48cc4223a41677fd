//! What a Python source defines. It is parsed, by the parser the guest uses, and never run.

mod collect;
mod depth;

use rustpython_ruff_python_ast::Stmt;

/// Longest Python source that is looked at, in bytes.
pub const MAX_SOURCE: usize = 16 * 1024 * 1024;

/// The names at the top level of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// In order of first definition; methods as `Class.method`.
    pub functions: Vec<Function>,
    /// Names whose attributes are not known: imported or assigned ones, classes with bases.
    pub opaque: Vec<String>,
    /// Other names may exist: `from x import *`, `exec`, a module's `__getattr__`.
    pub open: bool,
}

/// Something a step may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// `name` or `Class.name`.
    pub name: String,
    /// Inputs it needs.
    pub min_inputs: u32,
    /// Inputs it takes; `None` if there is no bound, or if it is not known.
    pub max_inputs: Option<u32>,
    /// The byte at which its name stands.
    pub at: u32,
}

/// What is known of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<'m> {
    /// It is there.
    Found(&'m Function),
    /// It may be made while the module runs.
    Maybe,
    /// It cannot be there.
    Missing,
}

/// Why a source is no Python.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxProblem {
    /// Line of the source, from 1.
    pub line: u32,
    /// Column, from 1, in characters.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

impl Module {
    /// What is known of a name, dotted or not.
    #[must_use]
    pub fn lookup(&self, name: &str) -> Lookup<'_> {
        if let Some(function) = self.functions.iter().find(|function| function.name == name) {
            return Lookup::Found(function);
        }
        let inside_opaque =
            |opaque: &String| name.strip_prefix(opaque.as_str()).is_some_and(|rest| rest.starts_with('.'));
        if self.open || self.opaque.iter().any(inside_opaque) { Lookup::Maybe } else { Lookup::Missing }
    }
}

/// The functions of a Python source.
///
/// A source nested so deep that parsing it would need more stack than there may be gives a module of which nothing is known.
///
/// # Errors
/// The first place at which the source is not Python.
pub fn functions(source: &str) -> Result<Module, SyntaxProblem> {
    if source.len() > MAX_SOURCE {
        let message = format!("this source is longer than {MAX_SOURCE} bytes");
        return Err(SyntaxProblem { line: 1, column: 1, message });
    }
    if depth::is_too_deep(source) {
        // the guest will say what it makes of it
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
    let position = crate::source::LineIndex::new(source).position(source, at);
    SyntaxProblem { line: position.line, column: position.column, message }
}

#[cfg(test)]
mod tests;
