//! Steps against the files that they name.

use super::checker::{Checker, languages};
use super::file_contents::FileContents;
use super::inputs;
use crate::compile::Compiled;
use crate::diagnostics::diagnostic::Diagnostic;
use crate::python::module::Module;
use crate::source::Script;

/// Diagnostics about missing files, functions that they do not define, invalid Python, and wrong numbers of inputs. `get`
/// is called once for each path. `script` is what `compiled` was made from.
pub fn check_sources<'f>(
    script: Script<'_>,
    compiled: &Compiled,
    get: impl Fn(&str) -> FileContents<'f>,
) -> Vec<Diagnostic> {
    let mut check = Checker::new(script);
    let source_map = &compiled.source_map;
    let modules: Vec<Option<Module>> = source_map
        .codes
        .iter()
        .zip(languages(compiled))
        .map(|(code, language)| check.code(code, language, &get))
        .collect();
    for step in &source_map.steps {
        if let Some(Some(module)) = modules.get(step.code) {
            check.function(step, module);
        }
    }
    if let Some(plan) = &compiled.plan {
        inputs::check(plan, source_map, &modules, &mut check.diagnostics);
    }
    check.diagnostics.finish()
}
