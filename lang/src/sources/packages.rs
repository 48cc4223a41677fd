//! Packages of steps. What a lock has, and what a package is made of, the caller finds out.

use std::collections::HashSet;

use bue_model::Step;

use super::Purpose;
use crate::Compiled;
use crate::code;
use crate::diagnostic::{Diagnostic, DiagnosticBuilder, Diagnostics};
use crate::source::Script;

/// What keeps a step from having its packages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackageProblem {
    /// Of which kind it is.
    pub kind: PackageProblemKind,
    /// What is wrong.
    pub message: String,
    /// What to type or to use instead.
    pub hint: String,
}

/// Kinds of [`PackageProblem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PackageProblemKind {
    /// The lock has not what the step needs: a warning where a script is only checked.
    NotLocked,
    /// A package of the lock cannot work.
    CannotWork,
    /// The list of requirements beside the step is not understood.
    BadList,
}

/// Diagnostics about used Python steps that cannot have their packages. `look` finds out about one step. The same problem of
/// several steps is told once, at the first.
pub fn check_packages(
    script: Script<'_>,
    compiled: &Compiled,
    purpose: Purpose,
    look: impl Fn(&Step) -> Vec<PackageProblem>,
) -> Vec<Diagnostic> {
    let mut diagnostics = Diagnostics::new(script);
    let mut told = HashSet::new();
    let Some(plan) = &compiled.plan else { return diagnostics.finish() };
    for origin in compiled.origins.steps.iter().filter(|origin| origin.language.has_imports()) {
        let Some(step) = origin.index.and_then(|index| plan.steps.get(index.get())) else { continue };
        for problem in look(step) {
            if told.insert(problem.clone()) {
                let diagnostic =
                    DiagnosticBuilder::new(code_of(problem.kind, purpose), origin.name_span, problem.message);
                diagnostics.add(diagnostic.hint(problem.hint));
            }
        }
    }
    diagnostics.finish()
}

fn code_of(kind: PackageProblemKind, purpose: Purpose) -> &'static str {
    match kind {
        PackageProblemKind::NotLocked if purpose == Purpose::Check => code::NOT_LOCKED_YET,
        PackageProblemKind::NotLocked => code::NOT_LOCKED,
        PackageProblemKind::CannotWork => code::PACKAGE_CANNOT_WORK,
        PackageProblemKind::BadList => code::BAD_REQUIREMENTS,
    }
}
