//! [`Plan`]: a compiled script. Its steps, and the graph of jobs and loops that its calls create.
//!
//! `lang` creates it, the hub stores it, and nothing changes it. The graph is a tree of blocks: the top level, and a body for each
//! loop. A node may use earlier nodes of its block and of the blocks around it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::{CallIndex, NodeId, ParamIndex, StepIndex};
use crate::language::Language;
use crate::nesting_limit;
use crate::param::Param;

/// The version of [`Plan`] that this code writes. It also reads version 1, which had no parameters, versions 2 to 4, whose steps
/// had fewer settings, version 5, which had fewer permissions, version 6, which had neither fused steps nor operations on lists, and version 7, whose
/// loops had no windows.
pub const PLAN_VERSION: u32 = 8;

/// The most rounds that the `!window` of a loop may allow.
pub const MAX_WINDOW: u32 = 1_000_000;

/// A checked script.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// The steps in use, in order of their first use.
    pub steps: Vec<Step>,
    /// The top level, in order of creation.
    pub nodes: Vec<Node>,
    /// All calls, in the order of the script; the call that a loop runs over comes before those of its body.
    pub calls: Vec<Call>,
    /// What the caller of the script chooses. In the plan of a run, their defaults are the values that the run has.
    pub params: Vec<Param>,
}

impl Plan {
    /// Returns the stages of a fused step of this plan; of any other step, the step itself.
    pub fn stages<'a>(&'a self, step: &'a Step) -> impl Iterator<Item = &'a Step> {
        let stages = match &step.source {
            Source::Fused(stages) => Some(stages),
            Source::File(_) | Source::Inline { .. } => None,
        };
        let fused = stages.into_iter().flatten().filter_map(|stage| self.steps.get(stage.get()));
        fused.chain(stages.is_none().then_some(step))
    }
}

/// A step: a definition in the script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The name in the script.
    pub name: String,
    /// Its language.
    pub language: Language,
    /// The function to call (Python and compiled languages), the table that the first input becomes (SQL), as the text of
    /// an [`SqlTable`](crate::SqlTable), or the text of a [`ListOperation`](crate::ListOperation).
    pub function: String,
    /// Its code, or the path of it.
    pub source: Source,
    /// The line of its definition, from 1.
    pub line: u32,
    /// Its settings: its own, and those of the script for the others.
    pub settings: Settings,
}

/// Where a step's code comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A path, relative to the script's folder, as the script has it.
    File(String),
    /// Text between backticks.
    Inline {
        /// The text, dedented.
        text: String,
        /// The line of the script on which the text begins, from 1.
        line: u32,
    },
    /// `[a | b]` of a pipe: these steps of the plan, in order, are stages of one job. Their code is packed into one bundle, and their
    /// `!with` are the [`keywords`](Settings::keywords) of the fused step: a map with their positions, from 0, as texts.
    Fused(Vec<StepIndex>),
}

/// The settings of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The scope of its jobs: only workers that serve it take them.
    pub scope: String,
    /// The priority: higher runs first within a scope.
    pub priority: i64,
    /// The seconds that an attempt may take, more than 0, as the script's arithmetic gave them. Timers use
    /// [`Settings::timeout_ms`].
    pub timeout_s: f64,
    /// The number of further attempts after a failed one.
    pub retries: u32,
    /// `!every`: the milliseconds between two tries of a pending step, growing from the first to the second.
    pub every_ms: Option<(u64, u64)>,
    /// `!for`: the milliseconds that a step may stay pending.
    pub pending_limit_ms: u64,
    /// `!rate`.
    pub rate: Option<Rate>,
    /// `!allow`.
    pub allow: Vec<Capability>,
    /// `!requires`, each in pip's syntax.
    pub requires: Vec<String>,
    /// `!files`: patterns of paths below the script's folder.
    pub files: Vec<String>,
    /// `!retries … after`: the milliseconds after the first failed attempt and the most after a later one, doubling in between.
    #[serde(default)]
    pub retry_delay_ms: Option<(u64, u64)>,
    /// `!expires`: the milliseconds after the creation of the run, or after its last reset, until which a job must have started.
    #[serde(default)]
    pub expires_ms: Option<u64>,
    /// `!max_handbacks`: how often in a row a job may answer `pending`. 0 for any number of times.
    #[serde(default)]
    pub max_handbacks: u32,
    /// `!at_most`. If the step has a `!rate` too, both have the same field or none.
    #[serde(default)]
    pub at_most: Option<AtMost>,
    /// `!with`: the keyword arguments of the step's function, a CBOR map with texts as keys, of at most
    /// [`INLINE_LIMIT`](crate::job::INLINE_LIMIT) bytes.
    #[serde(default)]
    pub keywords: Option<Bytes>,
    /// `!on_failure`: the name of the step that is called if a job fails finally. The calls themselves are nodes with
    /// [`Input::Failure`].
    #[serde(default)]
    pub on_failure: Option<String>,
    /// `!timeout … soft …`: the milliseconds after which an attempt of a Python step is notified that its time is running out, fewer
    /// than [`Settings::timeout_ms`].
    #[serde(default)]
    pub soft_timeout_ms: Option<u64>,
}

impl Default for Settings {
    /// The defaults of the script language.
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
            files: Vec::new(),
            retry_delay_ms: None,
            expires_ms: None,
            max_handbacks: 0,
            at_most: None,
            keywords: None,
            on_failure: None,
            soft_timeout_ms: None,
        }
    }
}

impl Settings {
    /// Returns [`timeout_s`](Self::timeout_s) in milliseconds, rounded up and at least 1, so that the limit is never shorter than
    /// written.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, which suits a limit"
    )]
    pub fn timeout_ms(&self) -> u64 {
        ((self.timeout_s * 1000.0).ceil() as u64).max(1)
    }

    /// Returns whether the starts of its jobs are limited: by `!rate`, by `!at_most`, or by both.
    #[must_use]
    pub const fn limits_starts(&self) -> bool {
        self.rate.is_some() || self.at_most.is_some()
    }

    /// Returns the field of the first input that `!rate` and `!at_most` count by, if they do.
    #[must_use]
    pub fn counted_by(&self) -> Option<&String> {
        let rated = self.rate.as_ref().and_then(|rate| rate.by.as_ref());
        rated.or_else(|| self.at_most.as_ref().and_then(|at_most| at_most.by.as_ref()))
    }
}

/// A rate: at most `count` starts in `per_ms`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// The number of starts.
    pub count: u32,
    /// The period in milliseconds.
    pub per_ms: u64,
    /// A field of the first input: each of its values has a separate rate.
    pub by: Option<String>,
}

/// A limit of the jobs of a step that run at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtMost {
    /// The number of jobs.
    pub count: u32,
    /// A field of the first input: each of its values has a separate limit.
    pub by: Option<String>,
}

/// A permission that a step requests. The worker decides whether to grant it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// `net host[:port]`, as written.
    Net(String),
    /// `secret NAME`.
    Secret(String),
    /// `postgres NAME`.
    Postgres(String),
    /// `env NAME`: an environment variable.
    Env(String),
    /// `tcp host:ports`, as written.
    Tcp(String),
    /// `bucket NAME` or `bucket PREFIX*`: named values of the bucket, as written.
    Bucket(String),
}

/// A node of the graph: an entry of a block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Node {
    /// A step, run once for every round of the loops around it.
    Job(JobNode),
    /// A loop.
    ForEach(ForEach),
    /// What runs when the run ends. At most one, at the top level.
    Finally(Finally),
}

impl Node {
    /// Returns its id.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        match self {
            Self::Job(node) => node.id,
            Self::ForEach(node) => node.id,
            Self::Finally(node) => node.id,
        }
    }
}

/// A step of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobNode {
    /// Its id.
    pub id: NodeId,
    /// The step to run.
    pub step: StepIndex,
    /// The call that it belongs to. A call is a chain of jobs.
    pub call: CallIndex,
    /// The step's arguments, in order.
    pub inputs: Vec<Input>,
}

/// A loop: the body is instantiated for each element of the list of the job at [`over`](Self::over), as the job yields them or when it
/// completes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForEach {
    /// Its id.
    pub id: NodeId,
    /// The loop variable's name.
    pub variable: String,
    /// The job whose result the loop runs over: the last one of its source call, in the same block as the loop.
    pub over: NodeId,
    /// The line of the `for`, from 1.
    pub line: u32,
    /// The block that is instantiated for each element.
    #[serde(deserialize_with = "nesting_limit::nested_list")]
    pub body: Vec<Node>,
    /// For `name = [call for x in call]`: the job of the body whose results, in order, are the list that [`Input::Gather`]
    /// refers to.
    pub gather: Option<NodeId>,
    /// `!window`: how many rounds may be unfinished, from 1 to [`MAX_WINDOW`]. Its source waits while there are as many.
    #[serde(default)]
    pub window: Option<u32>,
}

/// The `finally` block: when no other job of the run can run any more, the body is instantiated. It happens once, and again if failed
/// jobs of the run are reset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finally {
    /// Its id.
    pub id: NodeId,
    /// The line of the `finally`, from 1.
    pub line: u32,
    /// What is instantiated.
    #[serde(deserialize_with = "nesting_limit::nested_list")]
    pub body: Vec<Node>,
}

/// The source of an argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// The result of a job.
    Node(NodeId),
    /// The element of the current round of a loop.
    Loop(NodeId),
    /// The results of all rounds of a gathering loop.
    Gather(NodeId),
    /// A value that the script has: CBOR of at most [`INLINE_LIMIT`](crate::job::INLINE_LIMIT) bytes.
    Literal(Bytes),
    /// The value of a parameter, which the caller of the script chooses.
    Param(ParamIndex),
    /// The failure of a job of the same block: a map with `run`, `job`, `step`, `error` and `attempts`. The job that has this as its
    /// only input is the handler of the other one: it is instantiated when that job fails finally.
    Failure(NodeId),
    /// How the run ended, for a job of the `finally` block with this id: a map with `id`, `state` and `failed`, the number of failed
    /// jobs.
    Run(NodeId),
    /// A part of the element of the current round of a loop whose elements are lists: the part at this position, from 0.
    LoopPart(NodeId, u32),
}

/// A call in the script: an execution of a pipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The line in the script, from 1.
    pub line: u32,
    /// The name its result is bound to.
    pub name: Option<String>,
    /// Its first job.
    pub first: NodeId,
    /// Its last job, whose value is the call's.
    pub last: NodeId,
    /// Whether it has no entry among the run's results: it is an argument of another call, or the call of a handler, or part of the
    /// `finally` block.
    pub nested: bool,
}
