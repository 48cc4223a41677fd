//! Packages of steps. What a lock has, and what a package is made of, the caller finds out.

use std::collections::HashSet;

use bue_model::Step;

use super::Purpose;
use crate::Compiled;
use crate::code;
use crate::complaint::{Complaint, Complaints, Draft};
use crate::source::Script;

/// What keeps a step from having its packages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackageTrouble {
    /// Of which kind it is.
    pub kind: PackageTroubleKind,
    /// What is wrong.
    pub message: String,
    /// What to type or to use instead.
    pub hint: String,
}

/// Kinds of [`PackageTrouble`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PackageTroubleKind {
    /// The lock has not what the step needs: a warning where a script is only checked.
    NotLocked,
    /// A package of the lock cannot work.
    CannotWork,
    /// The list of requirements beside the step is not understood.
    BadList,
}

/// Complaints about used Python steps that cannot have their packages. `look` finds out about one step. The same trouble of
/// several steps is told once, at the first.
pub fn check_packages(
    script: Script<'_>,
    compiled: &Compiled,
    purpose: Purpose,
    look: impl Fn(&Step) -> Vec<PackageTrouble>,
) -> Vec<Complaint> {
    let mut complaints = Complaints::new(script);
    let mut told = HashSet::new();
    let Some(plan) = &compiled.plan else { return complaints.finish() };
    for origin in compiled.origins.steps.iter().filter(|origin| origin.language.has_imports()) {
        let Some(step) = origin.index.and_then(|index| plan.steps.get(index.get())) else { continue };
        for trouble in look(step) {
            if told.insert(trouble.clone()) {
                let draft = Draft::new(code_of(trouble.kind, purpose), origin.name_span, trouble.message);
                complaints.add(draft.hint(trouble.hint));
            }
        }
    }
    complaints.finish()
}

fn code_of(kind: PackageTroubleKind, purpose: Purpose) -> &'static str {
    match kind {
        PackageTroubleKind::NotLocked if purpose == Purpose::Check => code::NOT_LOCKED_YET,
        PackageTroubleKind::NotLocked => code::NOT_LOCKED,
        PackageTroubleKind::CannotWork => code::PACKAGE_CANNOT_WORK,
        PackageTroubleKind::BadList => code::BAD_REQUIREMENTS,
    }
}
