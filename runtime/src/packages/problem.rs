//! Why a step cannot have its packages.

use crate::step::limits::{Limits, bytes_text};

/// The subject of a message about all packages of a step.
pub(super) const ALL: &str = "the set of packages that the step needs";

/// The packages of a step cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{what} {problem}")]
pub struct BadPackages {
    /// The package, or all of them.
    what: String,
    /// The reason; Display writes it after the package's name.
    pub problem: PackageProblem,
}

impl BadPackages {
    pub(super) fn new(what: &str, problem: PackageProblem) -> Self {
        Self { what: what.to_owned(), problem }
    }

    /// There are more packages than the limit.
    #[must_use]
    pub fn number(limits: &Limits) -> Self {
        Self::new(ALL, PackageProblem::count("packages", limits.packages))
    }

    /// Their wheels are larger than the limit.
    #[must_use]
    pub fn packed(limits: &Limits) -> Self {
        Self::new(ALL, PackageProblem::bytes("packages_packed_bytes", limits.packages_packed_bytes))
    }
}

/// Why a package cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PackageProblem {
    /// It is not a wheel.
    #[error("is not a readable zip file: {0}")]
    NotZip(String),
    /// One of its files may not be unpacked.
    #[error("has a file that {1}: `{0}`")]
    Unfit(String, &'static str),
    /// It exceeds a limit of the step.
    #[error(
        "exceeds the step's limit `{limit}` of {value}; use fewer or smaller packages, or raise it in `[limits]` of the worker's bue.toml"
    )]
    Limit {
        /// The limit's name.
        limit: &'static str,
        /// The limit's value.
        value: String,
    },
    /// Its files cannot be written.
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
