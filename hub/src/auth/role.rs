//! Who may do what: the roles of tokens, and what a route needs. The one place that says so; `docs/access.md` shows it.

use std::fmt;
use std::str::FromStr;

/// What a token's holder is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Looks: runs, results, logs, blobs, keys.
    Viewer,
    /// Looks, and hands runs in.
    Submitter,
    /// Runs jobs. Sees of runs only what it is given to run.
    Worker,
    /// What a submitter may, and cancels, resets and deletes.
    Operator,
    /// Everything.
    Admin,
}

/// What a request is, in the eyes of the roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Whether the server lives: needs no token.
    Health,
    /// What every role is told: the hub's version, bytes whose name one knows.
    Know,
    /// Runs, jobs, results, logs.
    Look,
    /// A new run.
    Submit,
    /// Bytes to keep.
    Store,
    /// Jobs to run, and what became of them.
    Work,
    /// To cancel, reset, delete.
    Operate,
}

impl Role {
    /// All of them, from the least to the most.
    pub const ALL: [Self; 5] = [Self::Viewer, Self::Submitter, Self::Worker, Self::Operator, Self::Admin];

    /// As people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Submitter => "submitter",
            Self::Worker => "worker",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The table of `docs/access.md`, column by column.
    pub(crate) const fn may(self, need: Need) -> bool {
        match (self, need) {
            (Self::Admin, _) | (_, Need::Health | Need::Know) => true,
            (Self::Viewer, need) => matches!(need, Need::Look),
            (Self::Submitter, need) => matches!(need, Need::Look | Need::Submit | Need::Store),
            (Self::Worker, need) => matches!(need, Need::Work | Need::Store),
            (Self::Operator, need) => matches!(need, Need::Look | Need::Submit | Need::Store | Need::Operate),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of viewer, submitter, worker, operator, admin")]
pub struct NoRole;

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or(NoRole)
    }
}
