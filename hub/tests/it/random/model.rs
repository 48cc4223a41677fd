//! [`Model`]: what must be true of a run, derived from the few events that decide it: which jobs completed, failed and were
//! cancelled. It knows nothing of rows; the status of every other job follows from those of its parents.

mod changes;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use bue_model::{Finally, ForEach, Input, JobNode, JobState, Node, Plan, RunState};

pub(super) use values::{ANY, ModelValue, PIECE};

/// A node, and its rounds of the loops around it, outermost first.
pub(super) type Key = (u32, Vec<u32>);

/// The status that a job or a loop must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    /// Its parents may still complete. A loop: some of its rounds may still end.
    Blocked,
    /// All its parents have completed.
    Open,
    /// A loop: every round is completed or cancelled.
    Completed,
    Failed,
    /// Behind a failed job.
    Stuck,
    Cancelled,
}

impl Status {
    /// Returns the state that users see.
    pub(super) fn as_job_state(self, is_held: bool) -> JobState {
        match self {
            Self::Blocked | Self::Stuck => JobState::Blocked,
            Self::Open if is_held => JobState::Running,
            Self::Open => JobState::Available,
            Self::Completed => JobState::Completed,
            Self::Failed => JobState::Failed,
            Self::Cancelled => JobState::Cancelled,
        }
    }
}

/// Why a cancelled job cannot be reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unrestorable {
    /// The loop around it has ended.
    LoopEnded,
    /// It depends on another job that failed or was cancelled.
    Behind,
    /// There are rounds that were cancelled with it.
    Rounds,
}

/// The status of every job and loop that exists.
pub(super) type Statuses = BTreeMap<Key, Status>;

#[derive(Clone)]
pub(super) struct Model {
    plan: Plan,
    jobs: BTreeMap<u32, JobNode>,
    loops: BTreeMap<u32, ForEach>,
    finally: Option<Finally>,
    /// How often the run has ended, which is the number of rounds of `finally`.
    pub(super) ends: u32,
    /// Its state when it ended last, unless something was reset since.
    ending: Option<RunState>,
    /// The run was cancelled while `finally` ran.
    is_finally_cancelled: bool,
    /// The loops around each node, outermost first; `finally` is one.
    around: BTreeMap<u32, Vec<u32>>,
    pub(super) completed: BTreeMap<Key, ModelValue>,
    /// The pieces that running attempts of sources reported: the position of the first element, the number of elements, and a name.
    pub(super) streamed: BTreeMap<Key, Vec<(u32, u32, String)>>,
    pub(super) failed: BTreeSet<Key>,
    cancelled: BTreeSet<Key>,
    /// Jobs and loops that were cancelled with the run, and not reset since.
    ended: BTreeSet<Key>,
    /// Those that stay cancelled although the run goes on.
    lost: BTreeSet<Key>,
    is_cancelled: bool,
    attempts: BTreeMap<Key, u32>,
    releases: BTreeMap<Key, u32>,
    /// When each job was released last.
    released_at: BTreeMap<Key, i64>,
    /// Of calls, by their first jobs.
    resets: BTreeMap<Key, u32>,
    /// The handlers of jobs.
    handlers: BTreeMap<u32, u32>,
    /// Handlers that have been called.
    called: BTreeSet<Key>,
}

impl Model {
    pub(super) fn new(plan: Plan) -> Self {
        let mut model = Self {
            jobs: BTreeMap::new(),
            loops: BTreeMap::new(),
            finally: None,
            ends: 0,
            ending: None,
            is_finally_cancelled: false,
            around: BTreeMap::new(),
            completed: BTreeMap::new(),
            streamed: BTreeMap::new(),
            failed: BTreeSet::new(),
            cancelled: BTreeSet::new(),
            ended: BTreeSet::new(),
            lost: BTreeSet::new(),
            is_cancelled: false,
            attempts: BTreeMap::new(),
            releases: BTreeMap::new(),
            released_at: BTreeMap::new(),
            resets: BTreeMap::new(),
            handlers: BTreeMap::new(),
            called: BTreeSet::new(),
            plan: plan.clone(),
        };
        model.learn(plan.nodes, &[]);
        model
    }

    fn learn(&mut self, nodes: Vec<Node>, around: &[u32]) {
        for node in nodes {
            self.around.insert(node.id().0, around.to_vec());
            match node {
                Node::Job(job) => {
                    if let [Input::Failure(failed)] = job.inputs[..] {
                        self.handlers.insert(failed.0, job.id.0);
                    }
                    self.jobs.insert(job.id.0, job);
                }
                Node::Finally(finally) => {
                    self.learn(finally.body.clone(), &[finally.id.0]);
                    self.finally = Some(finally);
                }
                Node::ForEach(each) => {
                    self.learn(each.body.clone(), &[around, &[each.id.0]].concat());
                    self.loops.insert(each.id.0, each);
                }
            }
        }
    }

    /// Returns whether a loop runs over this node's result.
    pub(super) fn is_source(&self, node: u32) -> bool {
        self.loops.values().any(|each| each.over.0 == node)
    }

    /// Returns the nodes of the same block as this one, in order, loops too.
    pub(super) fn block_of(&self, node: u32) -> Vec<u32> {
        let block = self.around.iter().filter(|(_, around)| **around == self.around[&node]);
        block.map(|(other, _)| *other).collect()
    }

    pub(super) fn is_job(&self, node: u32) -> bool {
        self.jobs.contains_key(&node)
    }

    /// Returns whether a job is the handler of another one.
    pub(super) fn is_handler(&self, node: u32) -> bool {
        self.handlers.values().any(|handler| *handler == node)
    }

    /// Returns a node as another one, in these rounds, sees it.
    fn seen_from(&self, path: &[u32], node: u32) -> Key {
        (node, path[..self.around[&node].len()].to_vec())
    }

    /// Returns every status. A script runs from top to bottom, and nothing depends on what comes after it.
    pub(super) fn statuses(&self) -> Statuses {
        let mut all = Statuses::new();
        self.add_block(&self.plan.nodes, &[], &mut all);
        for end in 0..self.ends {
            let body = self.finally.as_ref().map_or(&[][..], |finally| &finally.body);
            self.add_block(body, &[end], &mut all);
        }
        all
    }

    pub(super) fn run_state(&self, statuses: &Statuses) -> RunState {
        let outside = self.outside(statuses);
        if self.finally.is_none() {
            return if self.is_cancelled { RunState::Cancelled } else { as_run_state(outside) };
        }
        match self.ending {
            None => RunState::Running,
            _ if self.is_finally_cancelled => RunState::Cancelled,
            Some(_) if self.is_ending(statuses) => RunState::Running,
            Some(RunState::Cancelled) => RunState::Cancelled,
            Some(_) => as_run_state(combine([outside, self.last_end(statuses)])),
        }
    }

    /// Returns the status of everything but `finally`.
    fn outside(&self, statuses: &Statuses) -> Status {
        combine(statuses.iter().filter(|((_, path), _)| path.is_empty()).map(|(_, status)| *status))
    }

    /// Returns the status of the last round of `finally`.
    fn last_end(&self, statuses: &Statuses) -> Status {
        let is_last = |(node, path): &Key| self.is_in_finally(*node) && path.len() == 1 && path[0] + 1 == self.ends;
        combine(statuses.iter().filter(|(key, _)| is_last(key)).map(|(_, status)| *status))
    }

    /// Returns whether `finally` runs.
    pub(super) fn is_ending(&self, statuses: &Statuses) -> bool {
        self.ending.is_some() && self.last_end(statuses) == Status::Blocked
    }

    /// Returns whether a node is part of `finally`.
    pub(super) fn is_in_finally(&self, node: u32) -> bool {
        self.finally.as_ref().is_some_and(|finally| self.around[&node].first() == Some(&finally.id.0))
    }

    /// Returns whether a node is at the top of `finally`, not in a loop of it.
    pub(super) fn is_top_of_finally(&self, node: u32) -> bool {
        self.is_in_finally(node) && self.around[&node].len() == 1
    }

    /// Adds the statuses of a block's nodes, and returns them.
    fn add_block(&self, nodes: &[Node], path: &[u32], all: &mut Statuses) -> Vec<Status> {
        let exists = |node: &&Node| {
            let id = node.id().0;
            let is_called = !self.is_handler(id) || self.called.contains(&(id, path.to_vec()));
            is_called && !matches!(node, Node::Finally(_))
        };
        let status_of = |node: &Node| {
            let status = match node {
                Node::Finally(_) => unreachable!("its rounds are added apart"),
                Node::Job(job) => self.job_status(job, path, all),
                Node::ForEach(each) => self.loop_status(each, path, all),
            };
            all.insert((node.id().0, path.to_vec()), status);
            status
        };
        nodes.iter().filter(exists).map(status_of).collect()
    }

    fn job_status(&self, job: &JobNode, path: &[u32], all: &Statuses) -> Status {
        let key = (job.id.0, path.to_vec());
        if self.completed.contains_key(&key) {
            Status::Completed
        } else if self.failed.contains(&key) {
            Status::Failed
        } else if self.is_gone(&key) || self.cancelled.contains(&key) {
            Status::Cancelled
        } else {
            after(self.parents(&key).map(|parent| all[&parent]))
        }
    }

    fn loop_status(&self, each: &ForEach, path: &[u32], all: &mut Statuses) -> Status {
        let source = (each.over.0, path.to_vec());
        let mut rounds = Vec::new();
        for round in 0..self.rounds(&source) {
            rounds.append(&mut self.add_block(&each.body, &[path, &[round]].concat(), all));
        }
        match after([all[&source]]) {
            _ if self.is_gone(&(each.id.0, path.to_vec())) => Status::Cancelled,
            Status::Open => combine(rounds),
            // the rounds of what a source yielded before it failed go on
            Status::Stuck if combine(rounds) == Status::Blocked => Status::Blocked,
            never_started => never_started,
        }
    }

    /// Returns whether something was cancelled with the run.
    fn is_gone(&self, key: &Key) -> bool {
        self.ended.contains(key) || self.lost.contains(key)
    }

    fn rounds(&self, source: &Key) -> u32 {
        let completed = self.completed.get(source).map(|given| given.elements.expect("a list"));
        completed.unwrap_or_else(|| self.elements_streamed(source))
    }

    /// Returns how many elements the attempts of a source have reported before they ended.
    pub(super) fn elements_streamed(&self, source: &Key) -> u32 {
        self.streamed.get(source).and_then(|pieces| pieces.last()).map_or(0, |(first, count, _)| first + count)
    }

    /// Returns a job's parents: jobs, and loops whose lists it gathers.
    fn parents(&self, key: &Key) -> impl Iterator<Item = Key> {
        let nodes = self.jobs[&key.0].inputs.iter().filter_map(|input| match input {
            Input::Node(node) | Input::Gather(node) => Some(node.0),
            Input::Loop(_)
            | Input::LoopPart(..)
            | Input::Literal(_)
            | Input::Param(_)
            | Input::Failure(_)
            | Input::Run(_) => None,
        });
        nodes.map(|node| self.seen_from(&key.1, node))
    }

    /// Returns how many of them have not completed.
    pub(super) fn waits_for(&self, key: &Key, statuses: &Statuses) -> u32 {
        let missing = self.parents(key).filter(|parent| statuses[parent] != Status::Completed);
        missing.collect::<BTreeSet<_>>().len() as u32
    }
}

/// Returns the status of something with these parents. A cancelled one outweighs a failed one: no reset brings it back.
fn after(parents: impl IntoIterator<Item = Status>) -> Status {
    let parents: Vec<Status> = parents.into_iter().collect();
    let any = |wanted: &[Status]| parents.iter().any(|status| wanted.contains(status));
    if any(&[Status::Cancelled]) {
        Status::Cancelled
    } else if any(&[Status::Failed, Status::Stuck]) {
        Status::Stuck
    } else if any(&[Status::Blocked, Status::Open]) {
        Status::Blocked
    } else {
        Status::Open
    }
}

fn as_run_state(status: Status) -> RunState {
    match status {
        Status::Completed => RunState::Completed,
        Status::Stuck => RunState::Failed,
        _ => RunState::Running,
    }
}

/// Returns the status of a whole of these parts, a loop's rounds or a run: a cancelled part has ended.
fn combine(parts: impl IntoIterator<Item = Status>) -> Status {
    let parts: Vec<Status> = parts.into_iter().collect();
    let any = |wanted: &[Status]| parts.iter().any(|status| wanted.contains(status));
    if any(&[Status::Blocked, Status::Open]) {
        Status::Blocked
    } else if any(&[Status::Failed, Status::Stuck]) {
        Status::Stuck
    } else {
        Status::Completed
    }
}
