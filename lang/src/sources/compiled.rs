//! Steps of compiled languages against the compilers, which the caller brings.

use bue_model::Language;

use super::{Check, Purpose};
use crate::Compiled;
use crate::code;
use crate::diagnostic::{Diagnostic, DiagnosticBuilder};
use crate::origin::{CodeOrigin, CodeOriginKind, StepOrigin};
use crate::source::Script;

/// A step of a compiled language, as a compiler needs it.
#[derive(Clone, Copy, Debug)]
pub struct Buildable<'a> {
    /// Its name, for messages.
    pub step: &'a str,
    /// What it is written in.
    pub language: Language,
    /// The name on its function line.
    pub function: &'a str,
    /// Path of its source tree or of a `.wasm`, as the script has it.
    pub path: &'a str,
}

/// Why a step cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildProblem {
    /// What happened. What a compiler printed has been shown already.
    pub message: String,
    /// What to type.
    pub hint: Option<String>,
}

/// Diagnostics about steps of compiled languages: code that stands in the script, and what `build` says of the others.
/// It is asked for every step, and must be silent about what is missing: that is the business of
/// [`check_sources`](crate::check_sources).
pub fn check_compiled(
    script: Script<'_>,
    compiled: &Compiled,
    mut build: impl FnMut(Buildable<'_>) -> Result<(), BuildProblem>,
) -> Vec<Diagnostic> {
    let mut check = Check::new(script, Purpose::Run);
    for step in compiled.origins.steps.iter().filter(|step| step.language.is_compiled()) {
        if let Some(code) = compiled.origins.codes.get(step.code) {
            check.built(step, code, &mut build);
        }
    }
    check.diagnostics.finish()
}

impl Check<'_> {
    fn built(
        &mut self,
        step: &StepOrigin,
        code: &CodeOrigin,
        build: &mut impl FnMut(Buildable<'_>) -> Result<(), BuildProblem>,
    ) {
        let language = step.language;
        let CodeOriginKind::Path(path) = &code.kind else {
            let message = format!("code of a {} step cannot stand in the script", language.name());
            let hint = "give the path of a folder; `bue new step` writes one to begin with";
            return self.diagnostics.add(DiagnosticBuilder::new(code::CODE_TO_BUILD, code.span, message).hint(hint));
        };
        let asked = Buildable { step: &step.name, language, function: &step.function, path };
        if let Err(problem) = build(asked) {
            let diagnostic = DiagnosticBuilder::new(code::NOT_BUILT, code.span, problem.message);
            self.diagnostics.add(diagnostic.label(format!("step `{}` needs it", step.name)).maybe_hint(problem.hint));
        }
    }
}
