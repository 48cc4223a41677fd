//! The names of a Python module.

/// The names at the top level of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// In order of first definition; methods as `Class.method`.
    pub functions: Vec<Function>,
    /// Names whose attributes are unknown: imported or assigned names, and classes with bases.
    pub opaque: Vec<String>,
    /// Whether other names may exist: `from x import *`, `exec`, a module's `__getattr__`.
    pub open: bool,
}

/// Something that a step may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// `name` or `Class.name`.
    pub name: String,
    /// Inputs it needs.
    pub min_inputs: u32,
    /// Inputs it takes at most; `None` if there is no limit, or if it is unknown.
    pub max_inputs: Option<u32>,
    /// Its parameters, the positional ones first; `None` if other keyword arguments are possible, or if they are unknown.
    pub parameters: Option<Vec<Parameter>>,
    /// The byte at which its name begins.
    pub at: u32,
}

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its position among the inputs; `None` if it can only be given by its name.
    pub position: Option<u32>,
    /// Whether it can be given by its name.
    pub by_name: bool,
    /// Whether it has no default.
    pub is_required: bool,
}

/// The result of looking up a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<'m> {
    /// The module defines it.
    Found(&'m Function),
    /// It may be defined while the module runs.
    Maybe,
    /// The module does not define it.
    Missing,
}

/// Why a source does not parse.
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
    /// Looks up a name, dotted or not.
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
