//! The roles of tokens and the permissions that routes need. This is the only place that relates the two; `docs/access.md`
//! shows the table.

use std::fmt;
use std::str::FromStr;

/// What the holder of a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Reads runs, results, logs, blobs and keys.
    Viewer,
    /// Starts runs of published pipelines, and reads these runs.
    Invoker,
    /// Reads, and submits runs.
    Submitter,
    /// Runs jobs. Sees only the parts of runs that it is given to execute.
    Worker,
    /// Everything a submitter may do, plus cancel, reset and delete.
    Operator,
    /// Everything.
    Admin,
}

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Needs no token: health checks.
    Public,
    /// Needs any token: the hub's version, bytes whose hash or key the client knows.
    Basic,
    /// Reads runs, jobs, results, logs.
    Read,
    /// Reads one pipeline, or a run and its results. Who may not read all may read those of pipelines that it may invoke.
    ReadInvoked,
    /// Starts runs of a pipeline.
    Invoke,
    /// Submits a run.
    Submit,
    /// Stores bytes.
    Store,
    /// Leases jobs and reports their outcomes.
    Work,
    /// Cancels, resets, deletes.
    Operate,
    /// Reads who changed what.
    Audit,
}

impl Role {
    /// All roles, from the fewest permissions to the most.
    pub const ALL: [Self; 6] =
        [Self::Viewer, Self::Invoker, Self::Submitter, Self::Worker, Self::Operator, Self::Admin];

    /// The role's name on the command line and in the tokens file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Invoker => "invoker",
            Self::Submitter => "submitter",
            Self::Worker => "worker",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The table of `docs/access.md`, column by column.
    pub(crate) const fn allows(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            _ if matches!(permission, P::Public | P::Basic) => true,
            Self::Admin => true,
            Self::Viewer => matches!(permission, P::Read | P::ReadInvoked),
            Self::Invoker => matches!(permission, P::ReadInvoked | P::Invoke),
            Self::Submitter => matches!(permission, P::Read | P::ReadInvoked | P::Invoke | P::Submit | P::Store),
            Self::Worker => matches!(permission, P::Work | P::Store),
            Self::Operator => !matches!(permission, P::Work | P::Audit),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of viewer, invoker, submitter, worker, operator, admin")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or(UnknownRole)
    }
}
