//! Steps in compiled languages against their compilers, which the caller runs.

use bue_model::Language;

use super::checker::Checker;
use crate::build::source_map::{CodeLocation, CodeLocationKind, StepLocation};
use crate::compile::Compiled;
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::diagnostics::diagnostic::Diagnostic;
use crate::source::Script;

/// A step in a compiled language, as its compiler needs it.
#[derive(Clone, Copy, Debug)]
pub struct Buildable<'a> {
    /// Its name, for messages.
    pub step: &'a str,
    /// Its language.
    pub language: Language,
    /// The name on its function line.
    pub function: &'a str,
    /// Path of its source tree or of a `.wasm`, as the script has it.
    pub path: &'a str,
}

/// Why a step cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildProblem {
    /// What happened, without the output of the compiler, which was printed already.
    pub message: String,
    /// What to type.
    pub hint: Option<String>,
}

/// Diagnostics about steps in compiled languages: inline code, and the problems that `build` returns. `build` is called for
/// every step with a path, and must not report missing files: [`check_sources`](crate::check_sources) does.
pub fn check_compiled(
    script: Script<'_>,
    compiled: &Compiled,
    mut build: impl FnMut(Buildable<'_>) -> Result<(), BuildProblem>,
) -> Vec<Diagnostic> {
    let mut check = Checker::new(script);
    for step in compiled.source_map.steps.iter().filter(|step| step.language.is_compiled()) {
        if let Some(code) = compiled.source_map.codes.get(step.code) {
            check.built(step, code, &mut build);
        }
    }
    check.diagnostics.finish()
}

impl Checker<'_> {
    fn built(
        &mut self,
        step: &StepLocation,
        code: &CodeLocation,
        build: &mut impl FnMut(Buildable<'_>) -> Result<(), BuildProblem>,
    ) {
        let language = step.language;
        let CodeLocationKind::Path(path) = &code.kind else {
            let message = format!("the code of a {} step cannot be inline", language.name());
            let hint = "write the path of a folder; `bue new step` creates one";
            return self
                .diagnostics
                .add(DiagnosticBuilder::new(codes::INLINE_COMPILED_CODE, code.span, message).hint(hint));
        };
        let buildable = Buildable { step: &step.name, language, function: &step.function, path };
        if let Err(problem) = build(buildable) {
            let diagnostic = DiagnosticBuilder::new(codes::NOT_BUILT, code.span, problem.message);
            self.diagnostics.add(diagnostic.label(format!("step `{}` needs it", step.name)).maybe_hint(problem.hint));
        }
    }
}
