//! One step to run, and what comes of it.

use core::time::Duration;
use std::sync::Arc;

use bue_model::{Answer, BlobHash, Bundle};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::packages::sites::Site;
use crate::step::compiled_step::CompiledStep;
use crate::step::limits::Limits;
use crate::step::permissions::Permissions;

/// A step to run.
#[derive(Clone, Debug)]
pub struct Task {
    /// What to run.
    pub code: Code,
    /// The arguments, CBOR each.
    pub inputs: Vec<Bytes>,
    /// CBOR map readable as `bue.env`.
    pub env: Option<Bytes>,
    /// A loop runs over the result: its elements are given as [`Event::Items`] while the step runs. The text says which
    /// loop, for messages.
    pub loop_text: Option<String>,
    /// What it may cost.
    pub limits: Limits,
    /// What it may reach.
    pub permissions: Permissions,
}

/// Code of a step.
#[derive(Clone, Debug)]
pub enum Code {
    /// A function of a Python module.
    Python {
        /// The module and its neighbours.
        bundle: Arc<Bundle>,
        /// The bundle's name: what has the same key is the same code and is loaded once.
        key: BlobHash,
        /// Dotted for a function inside a class.
        function: String,
        /// The bundle's packages, unpacked; `None` if it has none.
        packages: Option<Arc<Site>>,
    },
    /// Statements for a fresh in-memory SQLite database.
    Sqlite {
        /// The statements are the text of its entry.
        bundle: Arc<Bundle>,
        /// The bundle's name.
        key: BlobHash,
        /// The table that the first input becomes.
        table: String,
        /// Values for `{{scope}}` and so on.
        placeholders: Placeholders,
    },
    /// A step that was compiled to WebAssembly before it came here.
    Wasm {
        /// Where its code for this machine is.
        step: CompiledStep,
        /// The name on its function line; a component may have several functions.
        function: String,
    },
}

impl Code {
    /// The source that a sandbox host must have, and its name; `None` where it needs none.
    #[must_use]
    pub const fn bundle(&self) -> Option<(&Arc<Bundle>, BlobHash)> {
        match self {
            Self::Python { bundle, key, .. } | Self::Sqlite { bundle, key, .. } => Some((bundle, *key)),
            Self::Wasm { .. } => None,
        }
    }
}

/// What `{{scope}} {{priority}} {{timeout}} {{retries}}` stand for in SQL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placeholders {
    /// The step's scope.
    pub scope: String,
    /// Its priority.
    pub priority: i64,
    /// Its timeout in seconds.
    pub timeout_s: u64,
    /// Its further attempts.
    pub retries: u32,
}

/// What a running step gives.
#[derive(Clone, Debug)]
pub enum Event {
    /// Elements of a streamed result, in order.
    Items {
        /// How many.
        count: u32,
        /// CBOR array of them.
        items: Bytes,
    },
    /// It has ended. Nothing follows.
    Finished(Finished),
}

/// Elements of a streamed result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items {
    /// How many.
    pub count: u32,
    /// CBOR array of them.
    pub items: Bytes,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// What it said.
    pub answer: Answer,
    /// Lines it printed, each behind its time (`2026-09-30T12:00:00.123Z text`), UTF-8 without control characters. Where
    /// the log was cut, the last line says by how much.
    pub log: Bytes,
    /// What it cost.
    pub usage: Usage,
}

/// What a step cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// From start to end.
    pub wall: Duration,
    /// Time the sandbox host spent on it.
    pub cpu: Duration,
    /// Bytes of memory it had at its end, shared ones included; 0 for SQL.
    pub memory_bytes: u64,
    /// Pages of memory it wrote to, each a private copy. Counted for the first runs of a module only, because counting
    /// costs more than running.
    pub dirty_pages: Option<u32>,
}
