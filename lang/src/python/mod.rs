//! What a Python source defines, imports and calls. It is parsed, by the parser that the guest uses, and never run.

mod collect;
mod depth;
pub(crate) mod module;
mod parse;
mod reason;
mod scan;
pub(crate) mod scope;

pub use module::{Function, Lookup, Module, Parameter, SyntaxProblem};
pub use parse::MAX_SOURCE;
pub use scope::{Call, Import, Scope, ScopeName};

/// The functions of a Python source.
///
/// A source nested so deeply that the parser could exhaust the stack gives a module about which nothing is known.
///
/// # Errors
/// The first syntax error of the source.
pub fn functions(source: &str) -> Result<Module, SyntaxProblem> {
    let parsed = parse::parse(source)?;
    Ok(parsed.map_or_else(|| Module { open: true, ..Module::default() }, |parsed| collect::module(parsed.suite())))
}

/// The top level of a Python source and its functions, with what they import and call. Empty for a source that is nested too
/// deeply.
///
/// # Errors
/// The first syntax error of the source.
pub fn scopes(source: &str) -> Result<Vec<Scope>, SyntaxProblem> {
    let parsed = parse::parse(source)?;
    Ok(parsed.map_or_else(Vec::new, |parsed| scan::scopes(parsed.suite())))
}

#[cfg(test)]
mod scan_tests;
#[cfg(test)]
mod tests;
