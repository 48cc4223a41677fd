//! [`ParamKind`]: the kinds of parameters.

use serde::{Deserialize, Serialize};

/// The kind of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamKind {
    /// A text.
    Text,
    /// An integer of any size.
    Int,
    /// A float of 64 bits, or an integer of 64 bits that is one exactly.
    Float,
    /// True or false.
    Bool,
    /// A date: `2026-11-01`.
    Date,
    /// A date and time, with an offset or without: `2026-11-01T06:00:00Z`.
    DateTime,
    /// A list.
    List,
    /// A map.
    Map,
    /// Any value of JSON.
    Json,
}

impl ParamKind {
    /// All kinds, in the order in which messages list them.
    pub const ALL: [Self; 9] =
        [Self::Text, Self::Int, Self::Float, Self::Bool, Self::Date, Self::DateTime, Self::List, Self::Map, Self::Json];

    /// The word for it in scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Date => "date",
            Self::DateTime => "datetime",
            Self::List => "list",
            Self::Map => "map",
            Self::Json => "json",
        }
    }

    /// Returns what a script's word means.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Returns whether its values have an order, so that a parameter may have a range.
    #[must_use]
    pub const fn has_order(self) -> bool {
        matches!(self, Self::Int | Self::Float | Self::Date)
    }

    /// An example, for messages.
    #[must_use]
    pub const fn example(self) -> &'static str {
        match self {
            Self::Text => "north",
            Self::Int => "30",
            Self::Float => "0.5",
            Self::Bool => "true",
            Self::Date => "2026-11-01",
            Self::DateTime => "2026-11-01T06:00:00Z",
            Self::List => "[1, 2]",
            Self::Map => "{\"deep\": true}",
            Self::Json => "null",
        }
    }
}
