//! Constructors of [`BuildProblem`].

use bue_lang::BuildProblem;

/// A problem with a hint that says what to type.
pub(super) fn problem_with_hint(message: impl Into<String>, hint: impl Into<String>) -> BuildProblem {
    BuildProblem { message: message.into(), hint: Some(hint.into()) }
}

/// A problem without a hint.
pub(super) fn problem(message: impl Into<String>) -> BuildProblem {
    BuildProblem { message: message.into(), hint: None }
}
