//! What must be true of a run, worked out from the few things that happened to it: which jobs completed, failed and were
//! called off. It knows nothing of rows; how every other job stands follows from how those stand that it needs.

mod changes;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use bue_model::{ForEach, Input, JobNode, JobState, Node, Plan, RunState};

pub(super) use values::{Given, PIECE};

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
