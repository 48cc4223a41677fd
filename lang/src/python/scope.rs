//! What a function, or the top level of a module, imports and calls.

use core::ops::Range;
use std::collections::BTreeSet;

/// Code that runs as one: the top level of a module with the bodies of its classes, or the body of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// What it is the code of.
    pub name: ScopeName,
    /// All of its import statements, with one entry for each module.
    pub imports: Vec<Import>,
    /// The calls of functions with a dotted name.
    pub calls: Vec<Call>,
    /// Names and attributes that are certainly used when the code runs.
    pub names: BTreeSet<String>,
}

/// What a [`Scope`] is the code of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeName {
    /// The top level.
    Module,
    /// A function, perhaps inside another one.
    Function(String),
    /// A method: its class and its name.
    Method(String, String),
}

/// One import statement, or one module of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The number of leading dots: 0 for `import a`, 1 for `from . import a`.
    pub level: u32,
    /// The dotted name; empty for `from . import a`.
    pub module: String,
    /// The names of `from module import …`, each of which may be a module.
    pub names: Vec<String>,
    /// Its place in the source, in bytes.
    pub range: Range<u32>,
    /// Whether it is executed whenever the scope is, and its failure ends it: it is not in an `if`, nor in a `try` that catches
    /// something, nor behind a `return`.
    pub is_certain: bool,
}

/// A call of a function with a dotted name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The name, with imported names written out: `open`, `subprocess.run`, `pathlib.Path().open`.
    pub function: String,
    /// The first argument, if it is a text; for `pathlib.Path("x").open()` that of `Path`.
    pub argument: Option<String>,
    /// The second argument, if it is a text: the mode of `open`.
    pub mode: Option<String>,
    /// Its place in the source, in bytes.
    pub range: Range<u32>,
    /// As for [`Import::is_certain`].
    pub is_certain: bool,
}
