//! Random calls on random plans, held against a small model that knows nothing of rows: which jobs are completed, failed
//! and called off, and what follows from that.

use std::collections::{BTreeMap, BTreeSet};

use bue_hub::{LEASE_MS, MAX_RELEASES};
use bue_model::job::Hints;
use bue_model::wire::Verdict;
use bue_model::{Chunk, Input, JobId, Node, NodeId, Outcome, Plan, RunId, RunState, ValueRef};
use proptest::prelude::{Strategy, any, prop, prop_oneof};
use tokio::runtime::Runtime;

use crate::script::{Script, submission};
use crate::world::{Held, PENDING, RESET, World, completed, failed, value};

const LEASE: i64 = LEASE_MS as i64;
const RETRIES: u32 = 1;

/// A part of a random plan. Numbers choose among what may be used there.
#[derive(Clone, Debug)]
enum Part {
    Call { len: usize, uses: Vec<usize> },
    Loop { elements: u32, body: Vec<(usize, Vec<usize>)> },
    Gather { elements: u32, len: usize },
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    Lease(u32),
    Complete(usize),
    Fail(usize),
    Pending(usize),
    Reset(usize),
    Cancel(usize),
    Release(usize),
    /// An old report once more.
    Repeat(usize),
    Heartbeat(usize),
    Wait(i64),
    Reap,
    CancelJob(usize),
    ResetRun,
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let uses = || prop::collection::vec(any::<usize>(), 0..3);
    let part = prop_oneof![
        3 => (1..4_usize, uses()).prop_map(|(len, uses)| Part::Call { len, uses }),
        2 => (0..4_u32, prop::collection::vec((1..3_usize, uses()), 1..4))
            .prop_map(|(elements, body)| Part::Loop { elements, body }),
        1 => (0..4_u32, 1..3_usize).prop_map(|(elements, len)| Part::Gather { elements, len }),
    ];
    prop::collection::vec(part, 1..6)
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let which = any::<usize>;
    let event = prop_oneof![
        6 => (1..4_u32).prop_map(Event::Lease),
        8 => which().prop_map(Event::Complete),
        2 => which().prop_map(Event::Fail),
        1 => which().prop_map(Event::Pending),
        2 => which().prop_map(Event::Reset),
        1 => which().prop_map(Event::Cancel),
        3 => which().prop_map(Event::Release),
        2 => which().prop_map(Event::Repeat),
        2 => which().prop_map(Event::Heartbeat),
        2 => (0..LEASE).prop_map(Event::Wait),
        2 => prop::strategy::Just(Event::Reap),
        1 => which().prop_map(Event::CancelJob),
        1 => prop::strategy::Just(Event::ResetRun),
    ];
    prop::collection::vec(event, 0..200)
}

/// The plan, and the number of elements each source gives. Every node has a step of its own name.
fn write(parts: &[Part]) -> (Plan, BTreeMap<u32, u32>) {
    let mut writer = Writer { script: Script::new(), names: 0 };
    let (mut known, mut elements_of) = (Vec::new(), BTreeMap::new());
    for part in parts {
        match part {
            Part::Call { len, uses } => {
                let inputs = choose(&known, uses);
                known.push(Input::Node(writer.call(*len, &inputs)));
            }
            Part::Loop { elements, body } => {
                let source = writer.call(1, &[]);
                elements_of.insert(source.0, *elements);
                writer.names += 1;
                let mut names = writer.names;
                writer.script.each(source, |script, x| {
                    let mut inner = known.clone();
                    for (len, uses) in body {
                        let steps: Vec<String> = (0..*len).map(|step| format!("n{}", names + step)).collect();
                        names += len;
                        let inputs = [vec![x], choose(&inner, uses)].concat();
                        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
                        inner.push(Input::Node(script.call(&steps, &inputs)));
                    }
                });
                writer.names = names;
            }
            Part::Gather { elements, len } => {
                let source = writer.call(1, &[]);
                elements_of.insert(source.0, *elements);
                writer.names += 1;
                let steps: Vec<String> = (0..*len).map(|step| format!("n{}", writer.names + step)).collect();
                writer.names += len;
                let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
                known.push(writer.script.gather(source, &steps));
            }
        }
    }
    let names = writer.names;
    let mut script = writer.script;
    for node in 0..names {
        script.set(&format!("n{node}"), |settings| settings.retries = RETRIES);
    }
    (script.plan(), elements_of)
}

/// Names steps like the nodes that run them.
struct Writer {
    script: Script,
    names: usize,
}

impl Writer {
    fn call(&mut self, len: usize, inputs: &[Input]) -> NodeId {
        let steps: Vec<String> = (0..len).map(|step| format!("n{}", self.names + step)).collect();
        self.names += len;
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        self.script.call(&steps, inputs)
    }
}

fn choose(known: &[Input], uses: &[usize]) -> Vec<Input> {
    uses.iter().filter_map(|use_| known.get(use_ % known.len().max(1)).copied()).collect()
}

/// A node, and the round if it stands in a loop.
type Key = (u32, Option<u32>);

/// How a job must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Blocked,
    Open,
    Completed,
    Failed,
    /// Behind a failed or cancelled one.
    Off,
    Cancelled,
}

struct JobModel {
    inside: Option<u32>,
    inputs: Vec<Input>,
    call: u32,
}

struct LoopModel {
    over: u32,
    gather: Option<u32>,
    body: Vec<u32>,
}

#[derive(Default)]
struct Model {
    jobs: BTreeMap<u32, JobModel>,
    loops: BTreeMap<u32, LoopModel>,
    elements: BTreeMap<u32, u32>,
    completed: BTreeMap<Key, String>,
    failed: BTreeSet<Key>,
    cancelled: BTreeSet<Key>,
    attempts: BTreeMap<Key, u32>,
    releases: BTreeMap<Key, u32>,
}

impl Model {
    fn new(plan: &Plan, elements: BTreeMap<u32, u32>) -> Self {
        let mut model = Self { elements, ..Self::default() };
        model.read(&plan.nodes, None);
        model
    }

    fn read(&mut self, nodes: &[Node], inside: Option<u32>) {
        for node in nodes {
            match node {
                Node::Job(job) => {
                    let (inputs, call) = (job.inputs.clone(), job.call.0);
                    self.jobs.insert(job.id.0, JobModel { inside, inputs, call });
                }
                Node::ForEach(each) => {
                    let body = each.body.iter().map(|node| node.id().0).collect();
                    let gather = each.gather.map(|gather| gather.0);
                    self.loops.insert(each.id.0, LoopModel { over: each.over.0, gather, body });
                    self.read(&each.body, Some(each.id.0));
                }
            }
        }
    }

    /// Every job that exists by now.
    fn keys(&self) -> Vec<Key> {
        let rounds = |job: &JobModel| match job.inside {
            None => vec![None],
            Some(each) => self.rounds(each).into_iter().map(Some).collect(),
        };
        self.jobs.iter().flat_map(|(node, job)| rounds(job).into_iter().map(|round| (*node, round))).collect()
    }

    fn rounds(&self, each: u32) -> Vec<u32> {
        let over = self.loops[&each].over;
        if self.completed.contains_key(&(over, None)) { (0..self.elements[&over]).collect() } else { Vec::new() }
    }

    fn parent(&self, key: Key, node: NodeId) -> Key {
        let same = self.jobs[&node.0].inside.is_some();
        (node.0, key.1.filter(|_| same))
    }

    fn status(&self, key: Key) -> Status {
        if self.completed.contains_key(&key) {
            return Status::Completed;
        }
        if self.failed.contains(&key) {
            return Status::Failed;
        }
        if self.cancelled.contains(&key) {
            return Status::Cancelled;
        }
        let parents: Vec<Status> = self.jobs[&key.0]
            .inputs
            .iter()
            .filter_map(|input| match input {
                Input::Node(node) => Some(self.status(self.parent(key, *node))),
                Input::Gather(each) => Some(self.gathered(each.0)),
                Input::Loop(_) => None,
            })
            .collect();
        let is = |wanted: &[Status]| parents.iter().any(|status| wanted.contains(status));
        if is(&[Status::Failed, Status::Off, Status::Cancelled]) {
            Status::Off
        } else if is(&[Status::Blocked, Status::Open]) {
            Status::Blocked
        } else {
            Status::Open
        }
    }

    /// How a gathering loop stands towards those that use its list.
    fn gathered(&self, each: u32) -> Status {
        let fan_out = &self.loops[&each];
        match self.status((fan_out.over, None)) {
            Status::Completed => {}
            Status::Blocked | Status::Open => return Status::Blocked,
            _ => return Status::Off,
        }
        let rounds = self.rounds(each);
        let all = rounds.iter().flat_map(|round| fan_out.body.iter().map(|node| (*node, Some(*round))));
        let statuses: Vec<Status> = all.map(|key| self.status(key)).collect();
        if statuses.iter().any(|status| matches!(status, Status::Blocked | Status::Open)) {
            return Status::Blocked;
        }
        if statuses.contains(&Status::Failed) { Status::Off } else { Status::Completed }
    }

    /// The arguments a job must be given, but for elements, whose value is not unique.
    fn arguments(&self, key: Key) -> Vec<String> {
        let inputs = &self.jobs[&key.0].inputs;
        inputs.iter().map(|input| self.argument(key, *input)).collect()
    }

    fn argument(&self, key: Key, input: Input) -> String {
        match input {
            Input::Node(node) => self.completed[&self.parent(key, node)].clone(),
            Input::Loop(each) => {
                let source = &self.completed[&(self.loops[&each.0].over, None)];
                format!("{source}[{}]", key.1.expect("a round"))
            }
            Input::Gather(each) => {
                let gather = self.loops[&each.0].gather.expect("it gathers");
                let value = |round| self.completed.get(&(gather, Some(round))).cloned().unwrap_or_else(|| "-".into());
                format!("[{}]", self.rounds(each.0).into_iter().map(value).collect::<Vec<_>>().join(" "))
            }
        }
    }

    /// The jobs of a call from its first one to this one.
    fn chain(&self, key: Key) -> Vec<Key> {
        let call = self.jobs[&key.0].call;
        let chain = self.jobs.iter().filter(|(node, job)| job.call == call && **node <= key.0);
        chain.map(|(node, _)| (*node, key.1)).collect()
    }

    fn forget_attempts(&mut self, key: Key) {
        self.attempts.remove(&key);
        self.releases.remove(&key);
    }

    fn release(&mut self, key: Key) {
        let releases = self.releases.entry(key).or_default();
        *releases += 1;
        if *releases >= MAX_RELEASES {
            self.failed.insert(key);
        }
    }
}

/// A lease that should hold.
struct Holding {
    held: Held,
    key: Key,
    end: i64,
}

struct Game {
    world: World,
    run: RunId,
    model: Model,
    holdings: Vec<Holding>,
    /// Leases that were reported, or lost, and what was said last.
    past: Vec<(Held, Outcome, bool)>,
    keys: BTreeMap<JobId, Key>,
    numbers: u64,
}

impl Game {
    async fn new(mut world: World, parts: &[Part]) -> Self {
        world.runs = 1;
        let (plan, elements) = write(parts);
        let model = Model::new(&plan, elements);
        let run = world.store.submit(world.time(), submission(1, plan)).await.expect("a run");
        let (holdings, past, keys) = Default::default();
        Self { world, run, model, holdings, past, keys, numbers: 0 }
    }

    async fn play(&mut self, event: &Event) {
        match event {
            Event::Lease(count) => drop(self.lease(*count).await),
            Event::Complete(which) => self.complete(*which).await,
            Event::Fail(which) => self.fail(*which).await,
            Event::Pending(which) => self.pending(*which).await,
            Event::Reset(which) => self.reset(*which).await,
            Event::Cancel(which) => self.cancel(*which).await,
            Event::Release(which) => self.release(*which).await,
            Event::Repeat(which) => self.repeat(*which).await,
            Event::Heartbeat(which) => self.heartbeat(*which).await,
            Event::Wait(ms) => self.world.now += ms,
            Event::Reap => self.reap().await,
            Event::CancelJob(which) => self.cancel_job(*which).await,
            Event::ResetRun => self.reset_run().await,
        }
    }

    /// Every job that is given away is open, not in anybody's hands, and has its parents' values.
    async fn lease(&mut self, count: u32) -> usize {
        let leased = self.world.lease(count).await;
        let number = leased.len();
        for held in leased {
            let key = self.key_of(&held);
            assert_eq!(self.model.status(key), Status::Open, "{key:?}");
            assert!(self.holdings.iter().all(|holding| holding.key != key), "{key:?} is given away twice");
            assert_eq!(held.arguments(), self.model.arguments(key), "{key:?}");
            assert_eq!(*self.keys.entry(held.job()).or_insert(key), key, "one id for two jobs");
            let attempts = self.model.attempts.get(&key).copied().unwrap_or(0);
            assert_eq!(held.lease.attempt, attempts + 1);
            self.holdings.push(Holding { held, key, end: self.world.now + LEASE });
        }
        number
    }

    /// The node by the step's name, the round by the arguments.
    fn key_of(&self, held: &Held) -> Key {
        let node: u32 = held.name()[1..].parse().expect("a number");
        if self.model.jobs[&node].inside.is_none() {
            return (node, None);
        }
        let argument = &held.arguments()[0];
        let element = argument.strip_suffix(']').and_then(|text| text.rsplit_once('[')).map(|(_, round)| round);
        let round = element.or_else(|| argument.split(['/', '#']).nth(1)).expect("a round");
        (node, Some(round.parse().expect("a number")))
    }

    fn pick(&mut self, which: usize) -> Option<Holding> {
        if self.holdings.is_empty() {
            return None;
        }
        let at = which % self.holdings.len();
        Some(self.holdings.swap_remove(at))
    }

    async fn say(&mut self, held: Held, outcome: Outcome) {
        self.world.tell(&held, outcome.clone()).await;
        self.past.push((held, outcome, true));
    }

    async fn complete(&mut self, which: usize) {
        let Some(Holding { held, key, .. }) = self.pick(which) else { return };
        self.numbers += 1;
        let round = key.1.map_or("-".to_owned(), |round| round.to_string());
        let text = format!("{}/{round}#{}", key.0, self.numbers);
        let outcome = match self.model.elements.get(&key.0) {
            Some(count) => {
                let chunk = Chunk { count: *count, value: Box::new(value(&text)) };
                Outcome::Completed { value: ValueRef::List(vec![chunk]), hints: Hints::default() }
            }
            None => completed(&text),
        };
        self.model.completed.insert(key, text);
        self.say(held, outcome).await;
    }

    async fn fail(&mut self, which: usize) {
        let Some(Holding { held, key, .. }) = self.pick(which) else { return };
        let attempts = self.model.attempts.entry(key).or_default();
        *attempts += 1;
        if *attempts > RETRIES {
            self.model.failed.insert(key);
        }
        self.model.releases.remove(&key);
        self.say(held, failed("no")).await;
    }

    async fn pending(&mut self, which: usize) {
        let Some(Holding { held, key, .. }) = self.pick(which) else { return };
        self.model.releases.remove(&key);
        self.say(held, PENDING).await;
    }

    async fn reset(&mut self, which: usize) {
        let Some(Holding { held, key, .. }) = self.pick(which) else { return };
        for key in self.model.chain(key) {
            self.model.completed.remove(&key);
            self.model.forget_attempts(key);
        }
        self.say(held, RESET).await;
    }

    async fn cancel(&mut self, which: usize) {
        let Some(Holding { held, key, .. }) = self.pick(which) else { return };
        self.model.cancelled.insert(key);
        self.say(held, Outcome::Cancelled).await;
    }

    async fn release(&mut self, which: usize) {
        let Some(Holding { held, key, .. }) = self.pick(which) else { return };
        self.model.release(key);
        self.say(held, Outcome::Released { reason: "chance".into() }).await;
    }

    /// Saying it again, or saying something else too late, changes nothing.
    async fn repeat(&mut self, which: usize) {
        if self.past.is_empty() {
            return;
        }
        let (held, outcome, was_taken) = self.past[which % self.past.len()].clone();
        let before = self.world.view(self.run).await;
        let verdict = self.world.report(&held, outcome).await;
        assert!(was_taken || verdict == Verdict::LeaseLost, "a lost lease was taken");
        assert_eq!(self.world.view(self.run).await, before);
    }

    async fn heartbeat(&mut self, which: usize) {
        if self.holdings.is_empty() {
            return;
        }
        let at = which % self.holdings.len();
        let held = self.holdings[at].held.clone();
        assert_eq!(self.world.heartbeat(&[&held]).await, []);
        self.holdings[at].end = self.world.now + LEASE;
    }

    /// Exactly the leases that were not extended in time end.
    async fn reap(&mut self) {
        let now = self.world.now;
        let (ended, kept) = std::mem::take(&mut self.holdings).into_iter().partition(|holding| holding.end <= now);
        let ended: Vec<Holding> = ended;
        self.holdings = kept;
        let mut expected: Vec<JobId> = ended.iter().map(|holding| holding.held.job()).collect();
        let mut reaped = self.world.reap().await;
        expected.sort();
        reaped.sort();
        assert_eq!(reaped, expected);
        for Holding { held, key, .. } in ended {
            self.model.release(key);
            self.past.push((held, completed("late"), false));
        }
    }

    async fn cancel_job(&mut self, which: usize) {
        let Some(Holding { held, key, .. }) = self.pick(which) else { return };
        self.world.store.cancel_job(self.world.time(), held.job()).await.expect("cancelled");
        self.model.cancelled.insert(key);
        self.past.push((held, completed("late"), false));
    }

    async fn reset_run(&mut self) {
        let failed = std::mem::take(&mut self.model.failed);
        let changed = self.world.store.reset_run(self.world.time(), self.run).await.expect("reset");
        assert_eq!(changed.jobs, failed.len() as u64);
        for key in failed {
            self.model.forget_attempts(key);
        }
    }

    /// Everything that can run runs, and then the counts are what the model says.
    async fn finish(&mut self) {
        loop {
            while !self.holdings.is_empty() {
                self.complete(0).await;
            }
            // longer than any wait
            self.world.now += 400_000;
            if self.lease(1_000).await == 0 {
                break;
            }
        }
        self.compare().await;
    }

    async fn compare(&self) {
        let view = self.world.view(self.run).await;
        let keys = self.model.keys();
        let failed = !self.model.failed.is_empty();
        let expected = if failed { RunState::Failed } else { RunState::Completed };
        assert_eq!(view.state, expected);
        for step in &view.steps {
            let node: u32 = step.name[1..].parse().expect("a number");
            let statuses = keys.iter().filter(|key| key.0 == node).map(|key| self.model.status(*key));
            let statuses: Vec<Status> = statuses.collect();
            let count = |wanted: &[Status]| statuses.iter().filter(|status| wanted.contains(status)).count() as u64;
            assert_eq!((step.available, step.running), (0, 0), "{}", step.name);
            assert_eq!(step.completed, count(&[Status::Completed]), "{}", step.name);
            assert_eq!(step.failed, count(&[Status::Failed]), "{}", step.name);
            let off = count(&[Status::Off, Status::Cancelled]);
            assert_eq!(step.blocked + step.cancelled, off, "{}", step.name);
            assert_eq!(count(&[Status::Open, Status::Blocked]), 0, "{}", step.name);
        }
    }
}

async fn game(world: World, parts: &[Part], events: &[Event]) {
    let mut game = Game::new(world, parts).await;
    for event in events {
        game.play(event).await;
    }
    game.finish().await;
    // what failed can be mended, whatever happened before
    game.reset_run().await;
    game.finish().await;
    assert!(game.model.failed.is_empty());
}

/// Plays so many games, each in a world of its own.
pub(crate) fn play(runtime: &Runtime, cases: u32, world: impl Fn() -> World) {
    let mut runner = crate::chance::runner(cases);
    let strategy = (parts(), events());
    let played = runner.run(&strategy, |(parts, events)| {
        runtime.block_on(game(world(), &parts, &events));
        Ok(())
    });
    played.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn whatever_happens_no_job_is_lost_and_none_is_done_twice() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    play(&runtime, 300, World::sqlite);
}
