//! The imports of a Python source, at any depth.

use rustpython_ruff_python_ast::statement_visitor::{StatementVisitor, walk_body, walk_stmt};
use rustpython_ruff_python_ast::{Alias, Stmt};
use rustpython_ruff_python_parser::parse_module;

/// One import statement, or one module of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Import {
    /// The number of leading dots: 0 for `import a`, 1 for `from . import a`.
    pub(crate) level: u32,
    /// The dotted name; empty for `from . import a`.
    pub(crate) module: String,
    /// The names of `from module import …`, each of which may be a module.
    pub(crate) names: Vec<String>,
}

/// Returns the imports of a source. A source with a syntax error has none: the check of sources reports it.
pub(crate) fn imports(source: &str) -> Vec<Import> {
    let mut collector = Collector::default();
    if let Ok(module) = parse_module(source) {
        walk_body(&mut collector, &module.syntax().body);
    }
    collector.imports
}

#[derive(Default)]
struct Collector {
    imports: Vec<Import>,
}

impl StatementVisitor<'_> for Collector {
    fn visit_stmt(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Import(import) => {
                let modules = import.names.iter().map(|alias| alias.name.to_string());
                self.imports.extend(modules.map(|module| Import { module, ..Import::default() }));
            }
            Stmt::ImportFrom(from) => {
                let name = |alias: &Alias| alias.name.to_string();
                let module = from.module.as_ref().map(ToString::to_string).unwrap_or_default();
                self.imports.push(Import { level: from.level, module, names: from.names.iter().map(name).collect() });
            }
            _ => walk_stmt(self, statement),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(level: u32, module: &str, names: &[&str]) -> Import {
        Import { level, module: module.into(), names: names.iter().map(|name| (*name).to_owned()).collect() }
    }

    #[test]
    fn imports_are_found_at_any_depth() {
        let source = "import a, b.c as d\ndef f():\n    try:\n        from ..x import y, z as w\n    except ImportError:\n\
                      \x20       from . import q\nclass C:\n    if True:\n        from m import *\n# import no\ns = 'import no'\n";
        let expected = [import(0, "a", &[]), import(0, "b.c", &[]), import(2, "x", &["y", "z"]), import(1, "", &["q"])];
        assert_eq!(imports(source), [&expected[..], &[import(0, "m", &["*"])]].concat());
    }

    #[test]
    fn a_source_with_a_syntax_error_has_no_imports() {
        assert_eq!(imports("import a\ndef f(:"), []);
    }
}
