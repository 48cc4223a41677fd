//! One step to run, and its outcome.

use core::time::Duration;
use std::sync::Arc;

use bue_model::{Answer, BlobHash, Bundle};
use bue_sql::placeholders::Placeholders;
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
    /// `Some` if a loop runs over the result: its elements are sent as [`Event::Items`] while the step runs. The text names
    /// the loop, for messages.
    pub loop_text: Option<String>,
    /// What it may use.
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
        /// The bundle's key: bundles with the same key are the same code, which is loaded once.
        key: BlobHash,
        /// The function's name, with dots for a function inside a class.
        function: String,
        /// The function's keyword arguments: a CBOR map with texts as keys. `None` if there are none.
        keywords: Option<Bytes>,
        /// The bundle's packages, unpacked; `None` if it has none.
        packages: Option<Arc<Site>>,
    },
    /// Statements for a fresh in-memory SQLite database.
    Sqlite {
        /// Its entry contains the statements.
        bundle: Arc<Bundle>,
        /// The bundle's key.
        key: BlobHash,
        /// The table that the first input becomes: the text of an [`SqlTable`](bue_model::SqlTable).
        table: String,
        /// Values for `{{scope}}` and so on.
        placeholders: Placeholders,
    },
    /// A step that was compiled to WebAssembly by its author.
    Wasm {
        /// Its code for this machine.
        step: CompiledStep,
        /// The function's name; a component may have several functions.
        function: String,
    },
}

impl Code {
    /// Returns the key of the bundle or of the compiled step.
    #[must_use]
    pub const fn key(&self) -> BlobHash {
        match self {
            Self::Python { key, .. } | Self::Sqlite { key, .. } => *key,
            Self::Wasm { step, .. } => step.key,
        }
    }

    /// Returns the bundle that a sandbox host needs, and its key; `None` if it needs none.
    #[must_use]
    pub const fn bundle(&self) -> Option<(&Arc<Bundle>, BlobHash)> {
        match self {
            Self::Python { bundle, key, .. } | Self::Sqlite { bundle, key, .. } => Some((bundle, *key)),
            Self::Wasm { .. } => None,
        }
    }
}

/// An event of a running step.
#[derive(Clone, Debug)]
pub enum Event {
    /// Elements of a streamed result, in order.
    Items {
        /// Their number.
        count: u32,
        /// A CBOR array of them.
        items: Bytes,
        /// Whether the step still produces others, and rounds of a loop may start for these before it ends.
        early: bool,
    },
    /// Lines that the step has printed, after a request for them. Empty if another request came before there were any.
    Lines {
        /// The position of the request.
        position: u64,
        /// The lines, as they will be in [`Finished::log`].
        text: String,
        /// The position of the lines after them.
        next: u64,
    },
    /// The step has ended. This is the last event.
    Finished(Finished),
}

/// Elements of a streamed result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items {
    /// Their number.
    pub count: u32,
    /// A CBOR array of them.
    pub items: Bytes,
    /// Whether rounds of a loop may start for them before the step ends.
    pub early: bool,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// Its answer.
    pub answer: Answer,
    /// The lines it printed, each after its time (`2026-09-30T12:00:00.123Z text`), in UTF-8 without control characters. If
    /// the log was cut off, the last line says by how much.
    pub log: Bytes,
    /// The resources it used.
    pub usage: Usage,
}

/// The resources that a step used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Time from start to end.
    pub wall: Duration,
    /// Time the sandbox host spent on it.
    pub cpu: Duration,
    /// Bytes of memory it had at its end, including shared ones; 0 for SQL.
    pub memory_bytes: u64,
    /// Pages of memory it wrote to, each a private copy. Counted for the first runs of a module only, because counting
    /// takes longer than running.
    pub dirty_pages: Option<u32>,
}
