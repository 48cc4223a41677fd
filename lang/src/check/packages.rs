//! Python packages of steps. The caller reads the lock and the packages.

use std::collections::HashSet;

use bue_model::Step;

use crate::compile::Compiled;
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::diagnostics::diagnostic::Diagnostic;
use crate::diagnostics::list::Diagnostics;
use crate::source::Script;

/// Why a step cannot have its packages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackageProblem {
    /// Its kind.
    pub kind: PackageProblemKind,
    /// What is wrong.
    pub message: String,
    /// What to type, or what to use instead.
    pub hint: String,
}

/// Kinds of [`PackageProblem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PackageProblemKind {
    /// The lock lacks something that the step needs.
    NotLocked,
    /// A package of the lock cannot run in a sandbox.
    CannotRun,
    /// The `requirements.txt` beside the step is invalid.
    InvalidRequirements,
}

/// Diagnostics about used steps that cannot have their packages. `find` returns the problems of one step. A problem
/// that several steps share is reported once, at the first.
pub fn check_packages(
    script: Script<'_>,
    compiled: &Compiled,
    find: impl Fn(&Step) -> Vec<PackageProblem>,
) -> Vec<Diagnostic> {
    let mut diagnostics = Diagnostics::new(script);
    let mut reported = HashSet::new();
    let Some(plan) = &compiled.plan else { return diagnostics.finish() };
    for location in compiled.source_map.steps.iter().filter(|location| location.language.has_imports()) {
        let Some(step) = location.index.and_then(|index| plan.steps.get(index.get())) else { continue };
        for problem in find(step) {
            if reported.insert(problem.clone()) {
                let diagnostic = DiagnosticBuilder::new(code(problem.kind), location.name_span, problem.message);
                diagnostics.add(diagnostic.hint(problem.hint));
            }
        }
    }
    diagnostics.finish()
}

fn code(kind: PackageProblemKind) -> &'static str {
    match kind {
        PackageProblemKind::NotLocked => codes::NOT_LOCKED,
        PackageProblemKind::CannotRun => codes::PACKAGE_CANNOT_RUN,
        PackageProblemKind::InvalidRequirements => codes::INVALID_REQUIREMENTS_FILE,
    }
}
