//! What a script means: its steps, and the graph of jobs and loops its calls make.
//!
//! Made by `lang`, stored by the hub, never changed. The graph is a tree of blocks: the top level, and one body for every
//! loop. A node may use nodes of its own block that stand before it, and of the blocks around it.

use serde::{Deserialize, Serialize};

use crate::depth;
use crate::ids::{CallIndex, NodeId, StepIndex};
use crate::language::Language;

/// The version of [`Plan`] that this code writes and reads.
pub const PLAN_VERSION: u32 = 1;

/// A checked script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// The steps that are used, in order of first use.
    pub steps: Vec<Step>,
    /// The top level, in order of creation.
    pub nodes: Vec<Node>,
    /// Every call of the script, in its order; a loop's source call stands before those of its body.
    pub calls: Vec<Call>,
}

/// A definition in the script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The user's name for it.
    pub name: String,
    /// What runs it.
    pub language: Language,
    /// The function (Python and compiled languages) or the table that the first input becomes (SQL).
    pub function: String,
    /// Where its code is.
    pub source: Source,
    /// Line of its definition in the script, from 1.
    pub line: u32,
    /// What the settings above and inside it came to.
    pub settings: Settings,
}

/// Where a step's code is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A path, relative to the script's folder, as the script spells it.
    File(String),
    /// Text between backticks.
    Inline {
        /// Dedented.
        text: String,
        /// Line of the script on which the text begins, from 1.
        line: u32,
    },
}

/// What the language's settings come to for one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Which workers may take its jobs.
    pub scope: String,
    /// Higher runs first within its scope.
    pub priority: i64,
    /// Seconds one attempt may take, more than 0, as the script's arithmetic gave them. [`Settings::timeout_ms`] is what
    /// clocks use.
    pub timeout_s: f64,
    /// Further attempts after a failed one.
    pub retries: u32,
    /// `!every`: milliseconds between two tries of a pending step, growing from the first to the second.
    pub every_ms: Option<(u64, u64)>,
    /// `!for`: milliseconds a step may stay pending.
    pub pending_limit_ms: u64,
    /// `!rate`.
    pub rate: Option<Rate>,
    /// `!allow`.
    pub allow: Vec<Capability>,
    /// `!requires`, each as pip writes it.
    pub requires: Vec<String>,
}

impl Default for Settings {
    /// What the language says holds where nothing is set.
    fn default() -> Self {
        Self {
            scope: "default".into(),
            priority: 0,
            timeout_s: 1200.0,
            retries: 0,
            every_ms: None,
            pending_limit_ms: 24 * 3_600_000,
            rate: None,
            allow: Vec::new(),
            requires: Vec::new(),
        }
    }
}

impl Settings {
    /// [`timeout_s`](Self::timeout_s) in milliseconds, rounded up, at least 1: a limit never gets shorter than it was written.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, which is what a limit wants"
    )]
    pub fn timeout_ms(&self) -> u64 {
        ((self.timeout_s * 1000.0).ceil() as u64).max(1)
    }
}

/// At most `count` starts every `per_ms`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Starts.
    pub count: u32,
    /// Milliseconds.
    pub per_ms: u64,
    /// Field of the first input whose values are counted apart.
    pub by: Option<String>,
}

/// Something a step asks to be allowed. The worker decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// `net host[:port]`, as written.
    Net(String),
    /// `secret NAME`.
    Secret(String),
    /// `postgres NAME`.
    Postgres(String),
}

/// A part of the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Node {
    /// One step, once for every round of the loops around it.
    Job(JobNode),
    /// A fan-out.
    ForEach(ForEach),
}

impl Node {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        match self {
            Self::Job(node) => node.id,
            Self::ForEach(node) => node.id,
        }
    }
}

/// One step of one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobNode {
    /// Position in order of creation.
    pub id: NodeId,
    /// What to run.
    pub step: StepIndex,
    /// The call it belongs to: the jobs of a call are its chain.
    pub call: CallIndex,
    /// The step's arguments in order; the same input twice is passed twice.
    pub inputs: Vec<Input>,
}

/// A loop: when the job at [`over`](Self::over) completes, one instance of the body for each element of its list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForEach {
    /// Position in order of creation.
    pub id: NodeId,
    /// The loop variable's name.
    pub variable: String,
    /// The last job of the loop's source call; it stands in the same block as the loop.
    pub over: NodeId,
    /// Line of the `for` in the script, from 1.
    pub line: u32,
    /// What runs for each element.
    #[serde(deserialize_with = "depth::bounded")]
    pub body: Vec<Node>,
    /// For `name = [call for x in call]`: the body's job whose results, in order, make the list that
    /// [`Input::Gather`] stands for.
    pub gather: Option<NodeId>,
}

/// Where an argument comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// The result of a job.
    Node(NodeId),
    /// The element of the round of this loop.
    Loop(NodeId),
    /// The list of the results of all rounds of this gathering loop.
    Gather(NodeId),
}

/// A call in the script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Line in the script, from 1.
    pub line: u32,
    /// The name its result is bound to.
    pub name: Option<String>,
    /// Its first job.
    pub first: NodeId,
    /// Its last job, whose value is the call's.
    pub last: NodeId,
    /// A call standing as an argument of another is no statement and has no entry among a run's results.
    pub nested: bool,
}
