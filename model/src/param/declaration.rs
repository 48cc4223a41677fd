//! What a script declares.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::kind::ParamKind;

/// A parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Param {
    /// Its name, unique in the script.
    pub name: String,
    /// The kind of its values.
    pub kind: ParamKind,
    /// Its value if the caller gives none; `None` if the caller has to.
    pub default: Option<ParamDefault>,
    /// Which values of its kind it takes.
    pub allowed: Allowed,
    /// The line of its declaration, from 1.
    pub line: u32,
}

/// The value of a parameter that the caller leaves out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParamDefault {
    /// A value as CBOR.
    Value(Bytes),
    /// A value that depends on the time of the run.
    Time(TimeDefault),
}

/// A default that depends on the time of the run ([`RunTime`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeDefault {
    /// The date of the run.
    Today,
    /// The date before.
    Yesterday,
    /// The time of the run: when its schedule was due, otherwise when it was submitted.
    ScheduledAt,
}

impl TimeDefault {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Today, Self::Yesterday, Self::ScheduledAt];

    /// The word for it in scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Yesterday => "yesterday",
            Self::ScheduledAt => "scheduled_at",
        }
    }

    /// Returns what a script's word means.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// The kind of parameter that it fits.
    #[must_use]
    pub const fn kind(self) -> ParamKind {
        match self {
            Self::Today | Self::Yesterday => ParamKind::Date,
            Self::ScheduledAt => ParamKind::DateTime,
        }
    }
}

/// Which values a parameter takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Allowed {
    /// All of its kind.
    #[default]
    All,
    /// From the first to the second, both included, as CBOR. At least one of them is there.
    Range(Option<Bytes>, Option<Bytes>),
    /// One of these, as CBOR.
    OneOf(Vec<Bytes>),
}
