//! What must be true of a run, worked out from the few things that happened to it: which jobs completed, failed and were
//! called off. It knows nothing of rows; how every other job stands follows from how those stand that it needs.

use std::collections::{BTreeMap, BTreeSet};

use bue_hub::{MAX_RELEASES, MAX_RESETS};
use bue_model::{ForEach, Input, JobNode, JobState, Node, Plan, RunState};

use super::plans::RETRIES;

/// A node, and the rounds of the loops around it that it stands in, outermost first.
pub(super) type Key = (u32, Vec<u32>);

/// How a job or a loop must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    /// What it needs may still come. A loop: so may some of its rounds.
    Blocked,
    /// It has all it needs.
    Open,
    /// A loop: every round is completed, or called off.
    Completed,
    Failed,
    /// Behind a failed job.
    Stuck,
    Cancelled,
}

impl Status {
    /// The word people know.
    pub(super) fn shown(self, is_held: bool) -> JobState {
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

/// How everything that exists by now stands, loops too.
pub(super) type Statuses = BTreeMap<Key, Status>;

/// Elements in one piece of a list.
pub(super) const PIECE: u32 = 3;

/// What a job gave.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) text: String,
    /// Elements, if a loop runs over it.
    pub(super) elements: Option<u32>,
}

impl Given {
    /// As an argument or a result.
    fn shown(&self) -> String {
        self.elements.map_or_else(|| self.text.clone(), |elements| format!("list of {elements}"))
    }

    /// One element as an argument: the piece it is in, and its position there.
    fn element(&self, round: u32) -> String {
        format!("{}+{}[{}]", self.text, round / PIECE * PIECE, round % PIECE)
    }
}

pub(super) struct Model {
    plan: Plan,
    jobs: BTreeMap<u32, JobNode>,
    loops: BTreeMap<u32, ForEach>,
    /// The loops around each node, outermost first.
    around: BTreeMap<u32, Vec<u32>>,
    pub(super) completed: BTreeMap<Key, Given>,
    pub(super) failed: BTreeSet<Key>,
    cancelled: BTreeSet<Key>,
    pub(super) is_called_off: bool,
    attempts: BTreeMap<Key, u32>,
    releases: BTreeMap<Key, u32>,
    /// Of calls, by their first jobs.
    resets: BTreeMap<Key, u32>,
}

impl Model {
    pub(super) fn new(plan: Plan) -> Self {
        let mut model = Self {
            jobs: BTreeMap::new(),
            loops: BTreeMap::new(),
            around: BTreeMap::new(),
            completed: BTreeMap::new(),
            failed: BTreeSet::new(),
            cancelled: BTreeSet::new(),
            is_called_off: false,
            attempts: BTreeMap::new(),
            releases: BTreeMap::new(),
            resets: BTreeMap::new(),
            plan: plan.clone(),
        };
        model.learn(plan.nodes, &[]);
        model
    }

    fn learn(&mut self, nodes: Vec<Node>, around: &[u32]) {
        for node in nodes {
            self.around.insert(node.id().0, around.to_vec());
            match node {
                Node::Job(job) => drop(self.jobs.insert(job.id.0, job)),
                Node::ForEach(each) => {
                    self.learn(each.body.clone(), &[around, &[each.id.0]].concat());
                    self.loops.insert(each.id.0, each);
                }
            }
        }
    }

    /// A loop runs over what this node gives.
    pub(super) fn is_source(&self, node: u32) -> bool {
        self.loops.values().any(|each| each.over.0 == node)
    }

    /// The nodes that stand in the same loop as this one, in order, loops too.
    pub(super) fn neighbours(&self, node: u32) -> Vec<u32> {
        let beside = self.around.iter().filter(|(_, around)| **around == self.around[&node]);
        beside.map(|(other, _)| *other).collect()
    }

    pub(super) fn is_job(&self, node: u32) -> bool {
        self.jobs.contains_key(&node)
    }

    /// A node in the rounds, as far as they are around it, of another one.
    fn seen_from(&self, path: &[u32], node: u32) -> Key {
        (node, path[..self.around[&node].len()].to_vec())
    }

    // how things stand

    /// How everything stands. A script is read from top to bottom, and nothing needs what stands below it.
    pub(super) fn statuses(&self) -> Statuses {
        let mut all = Statuses::new();
        self.look(&self.plan.nodes, &[], &mut all);
        all
    }

    pub(super) fn run_state(&self, statuses: &Statuses) -> RunState {
        let top = statuses.iter().filter(|((_, path), _)| path.is_empty());
        match together(top.map(|(_, status)| *status)) {
            _ if self.is_called_off => RunState::Cancelled,
            Status::Completed => RunState::Completed,
            Status::Stuck => RunState::Failed,
            _ => RunState::Running,
        }
    }

    /// How the nodes of a block stand, which are also noted.
    fn look(&self, nodes: &[Node], path: &[u32], all: &mut Statuses) -> Vec<Status> {
        let look_at = |node: &Node| {
            let status = match node {
                Node::Job(job) => self.job_status(job, path, all),
                Node::ForEach(each) => self.loop_status(each, path, all),
            };
            all.insert((node.id().0, path.to_vec()), status);
            status
        };
        nodes.iter().map(look_at).collect()
    }

    fn job_status(&self, job: &JobNode, path: &[u32], all: &Statuses) -> Status {
        let key = (job.id.0, path.to_vec());
        if self.completed.contains_key(&key) {
            Status::Completed
        } else if self.failed.contains(&key) {
            Status::Failed
        } else if self.is_called_off || self.cancelled.contains(&key) {
            Status::Cancelled
        } else {
            behind(self.parents(&key).map(|parent| all[&parent]))
        }
    }

    fn loop_status(&self, each: &ForEach, path: &[u32], all: &mut Statuses) -> Status {
        let source = (each.over.0, path.to_vec());
        let mut rounds = Vec::new();
        for round in 0..self.rounds(&source) {
            rounds.append(&mut self.look(&each.body, &[path, &[round]].concat(), all));
        }
        match behind([all[&source]]) {
            Status::Open => together(rounds),
            never_began => never_began,
        }
    }

    fn rounds(&self, source: &Key) -> u32 {
        self.completed.get(source).map_or(0, |given| given.elements.expect("a list"))
    }

    /// What a job needs: jobs, and loops whose lists are gathered.
    fn parents(&self, key: &Key) -> impl Iterator<Item = Key> {
        let nodes = self.jobs[&key.0].inputs.iter().filter_map(|input| match input {
            Input::Node(node) | Input::Gather(node) => Some(node.0),
            Input::Loop(_) => None,
        });
        nodes.map(|node| self.seen_from(&key.1, node))
    }

    /// How many of them have not completed.
    pub(super) fn waits_for(&self, key: &Key, statuses: &Statuses) -> u32 {
        let missing = self.parents(key).filter(|parent| statuses[parent] != Status::Completed);
        missing.collect::<BTreeSet<_>>().len() as u32
    }

    // values

    /// The arguments a job must be given.
    pub(super) fn arguments(&self, key: &Key) -> Vec<String> {
        self.jobs[&key.0].inputs.iter().map(|input| self.argument(&key.1, *input)).collect()
    }

    fn argument(&self, path: &[u32], input: Input) -> String {
        match input {
            Input::Node(node) => self.completed[&self.seen_from(path, node.0)].shown(),
            Input::Loop(each) => {
                let (over, depth) = (self.loops[&each.0].over.0, self.around[&each.0].len());
                self.completed[&self.seen_from(path, over)].element(path[depth])
            }
            Input::Gather(each) => {
                let each = &self.loops[&each.0];
                let (source, gather) = (self.seen_from(path, each.over.0), each.gather.expect("it gathers").0);
                self.values(&source, |round| self.value(&(gather, [&source.1[..], &[round]].concat())))
            }
        }
    }

    fn value(&self, key: &Key) -> String {
        self.completed.get(key).map_or_else(|| "-".to_owned(), Given::shown)
    }

    /// All rounds in brackets.
    fn values(&self, source: &Key, value: impl Fn(u32) -> String) -> String {
        let rounds: Vec<String> = (0..self.rounds(source)).map(value).collect();
        format!("[{}]", rounds.join(" "))
    }

    /// The results of the run as one text.
    pub(super) fn results(&self) -> String {
        let results = self.plan.calls.iter().map(|call| self.result(call.last.0, &[]));
        results.collect::<Vec<_>>().join(" ")
    }

    /// A node's value, in all rounds within these.
    fn result(&self, node: u32, path: &[u32]) -> String {
        let Some(each) = self.around[&node].get(path.len()) else { return self.value(&(node, path.to_vec())) };
        let source = (self.loops[each].over.0, path.to_vec());
        if !self.completed.contains_key(&source) {
            return "-".to_owned();
        }
        self.values(&source, |round| self.result(node, &[path, &[round]].concat()))
    }

    // what happens

    pub(super) fn attempt(&self, key: &Key) -> u32 {
        self.attempts.get(key).copied().unwrap_or(0) + 1
    }

    pub(super) fn attempt_failed(&mut self, key: Key) {
        let attempt = self.attempt(&key);
        self.releases.remove(&key);
        self.attempts.insert(key.clone(), attempt);
        if attempt > RETRIES {
            self.failed.insert(key);
        }
    }

    /// It did something, so it is not what kills those who run it.
    pub(super) fn pending(&mut self, key: &Key) {
        self.releases.remove(key);
    }

    pub(super) fn released(&mut self, key: Key) {
        let releases = self.releases.entry(key.clone()).or_default();
        *releases += 1;
        if *releases >= MAX_RELEASES {
            self.failed.insert(key);
        }
    }

    /// The call begins again, unless it has too often.
    pub(super) fn reset(&mut self, key: Key) {
        let chain = self.chain(&key);
        let resets = self.resets.entry(chain[0].clone()).or_default();
        if *resets >= MAX_RESETS {
            self.failed.insert(key);
            return;
        }
        *resets += 1;
        for job in chain.into_iter().filter(|(node, _)| *node <= key.0) {
            self.completed.remove(&job);
            self.forget_attempts(&job);
        }
    }

    pub(super) fn cancelled(&mut self, key: Key) {
        self.cancelled.insert(key);
    }

    /// The jobs of a call.
    fn chain(&self, key: &Key) -> Vec<Key> {
        let call = self.jobs[&key.0].call;
        self.jobs.values().filter(|job| job.call == call).map(|job| (job.id.0, key.1.clone())).collect()
    }

    /// Where a call stands: its first job that is not over, with which all behind it are called off.
    pub(super) fn front(&self, key: &Key) -> Key {
        let is_over = |job: &Key| self.completed.contains_key(job) || self.failed.contains(job);
        self.chain(key).into_iter().find(|job| !is_over(job)).expect("it is not over itself")
    }

    pub(super) fn put_back(&mut self, key: &Key) {
        self.failed.remove(key);
        self.forget_attempts(key);
    }

    fn forget_attempts(&mut self, key: &Key) {
        self.attempts.remove(key);
        self.releases.remove(key);
    }
}

/// How something stands that needs all of these. What is called off weighs more than what failed: no reset brings it back.
fn behind(parents: impl IntoIterator<Item = Status>) -> Status {
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

/// How all of these stand as a whole, which is a loop's rounds or a run: what was called off in it is over.
fn together(parts: impl IntoIterator<Item = Status>) -> Status {
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
