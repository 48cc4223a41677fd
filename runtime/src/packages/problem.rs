//! Why a step cannot have its packages.

use crate::step::limits::{Limits, bytes_text};

/// All packages of a step, in a message.
pub(super) const ALL: &str = "what the step needs of packages";

/// A step cannot have its packages.
#[derive(Debug, thiserror::Error)]
#[error("{what} {problem}")]
pub struct BadPackages {
    /// Which package, or that it is all of them.
    what: String,
    /// Why. Display says it of what stands in front.
    pub problem: PackageProblem,
}

impl BadPackages {
    pub(super) fn new(what: &str, problem: PackageProblem) -> Self {
        Self { what: what.to_owned(), problem }
    }

    /// There are more than a step may have.
    #[must_use]
    pub fn number(limits: &Limits) -> Self {
        Self::new(ALL, PackageProblem::count("packages", limits.packages))
    }

    /// They are larger than a step may have, as they travel.
    #[must_use]
    pub fn packed(limits: &Limits) -> Self {
        Self::new(ALL, PackageProblem::bytes("packages_packed_bytes", limits.packages_packed_bytes))
    }
}

/// Why a package is none that a step can have.
#[derive(Debug, thiserror::Error)]
pub enum PackageProblem {
    /// It is no wheel.
    #[error("is no zip file that can be read: {0}")]
    NoZip(String),
    /// One of its files is none that may be unpacked.
    #[error("has a file that {1}: `{0}`")]
    Unfit(String, &'static str),
    /// A limit of the step.
    #[error(
        "is more than the step's limit `{limit}` of {value}; need less, or raise it in `[limits]` of the worker's bue.toml"
    )]
    Limit {
        /// The limit's name.
        limit: &'static str,
        /// What it is.
        value: String,
    },
    /// This machine could not write it.
    #[error("cannot be unpacked: {0}")]
    Io(#[from] std::io::Error),
}

impl PackageProblem {
    pub(super) fn bytes(limit: &'static str, value: u64) -> Self {
        Self::Limit { limit, value: bytes_text(value) }
    }

    pub(super) fn count(limit: &'static str, value: u32) -> Self {
        Self::Limit { limit, value: value.to_string() }
    }
}
