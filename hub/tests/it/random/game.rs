//! A hub that is played with, and the model beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bue_hub::{HubError, JobStore, LEASE_MS};
use bue_model::job::Hints;
use bue_model::wire::{Changed, Report, ReportBatch, Verdict};
use bue_model::{Chunk, JobId, Outcome, Plan, RunId, RunState, ValueRef};
use futures_util::future::BoxFuture;

use super::events::{Answer, Event};
use super::model::{Given, Key, Model, PIECE, Status, Statuses};
use crate::script::submission;
use crate::world::{Held, PENDING, RESET, World, completed, failed, value};

pub(super) const LEASE: i64 = LEASE_MS as i64;

/// Opens the same store again and again.
pub(crate) type Opener = Box<dyn Fn() -> BoxFuture<'static, Arc<dyn JobStore>>>;

/// A lease that should hold.
struct Holding {
    held: Held,
    end: i64,
}

/// A lease that is over: what was said under it, and whether that was taken.
type Past = (Held, Outcome, bool);

pub(super) struct Game {
    open: Opener,
    world: World,
    run: RunId,
    pub(super) model: Model,
    holdings: BTreeMap<Key, Holding>,
    past: Vec<Past>,
    keys: BTreeMap<JobId, Key>,
    /// How long the lists are that are given, one after the other.
    lists: Vec<u32>,
    numbers: usize,
}

impl Game {
    pub(super) async fn new(open: Opener, plan: Plan, lists: Vec<u32>) -> Self {
        let world = World::new(open().await);
        let model = Model::new(plan.clone());
        let run = world.store.submit(world.time(), submission(1, plan)).await.expect("a run");
        let (holdings, past, keys) = Default::default();
        Self { open, world, run, model, holdings, past, keys, lists, numbers: 0 }
    }

    pub(super) async fn play(&mut self, event: &Event) {
        match event {
            Event::Lease(count) => drop(self.lease(*count).await),
            Event::Report(answers) => self.report(answers).await,
            Event::Heartbeat(which) => self.heartbeat(*which).await,
            Event::Wait(ms) => self.world.now += ms,
            Event::Reap => self.reap().await,
            Event::CancelJob(which) => self.cancel_job(*which).await,
            Event::ResetJob(which) => self.reset_job(*which).await,
            Event::ResetRun => self.reset_run().await,
            Event::Restart => self.restart().await,
        }
    }

    // leases

    /// Every job that is given away is open, not in anybody's hands, and has its parents' values.
    async fn lease(&mut self, count: u32) -> usize {
        let leased = self.world.lease(count).await;
        let (number, statuses) = (leased.len(), self.model.statuses());
        for held in leased {
            let key = self.key_of(&held);
            assert_eq!(statuses.get(&key), Some(&Status::Open), "{key:?}");
            assert_eq!(held.arguments(), self.model.arguments(&key), "{key:?}");
            assert_eq!(held.lease.attempt, self.model.attempt(&key), "{key:?}");
            self.learn_ids(held.job(), &key);
            let end = self.world.now + LEASE;
            let other = self.holdings.insert(key.clone(), Holding { held, end });
            assert!(other.is_none(), "{key:?} is given away twice");
        }
        number
    }

    /// The node by the step's name, the rounds by the first argument, which begins with them, or is an element of a list
    /// that does.
    fn key_of(&self, held: &Held) -> Key {
        let node = number_of(held.name());
        if self.model.neighbours(0).contains(&node) {
            return (node, Vec::new());
        }
        let argument = &held.arguments()[0];
        let text = argument.split('/').nth(1).and_then(|rest| rest.split('#').next()).expect("rounds");
        let mut path: Vec<u32> = text.split('.').filter(|round| !round.is_empty()).map(number).collect();
        if let Some((_, element)) = argument.split_once('+') {
            let (first, index) = element.trim_end_matches(']').split_once('[').expect("an element");
            path.push(number(first) + number(index));
        }
        (node, path)
    }

    /// The ids of jobs that were made together follow each other, as people see them. No id is ever another job's.
    fn learn_ids(&mut self, job: JobId, key: &Key) {
        let nodes = self.model.neighbours(key.0);
        let at = nodes.iter().position(|node| *node == key.0).expect("itself");
        let first = job.0 - at as u64;
        for (node, id) in nodes.into_iter().zip(first..).filter(|(node, _)| self.model.is_job(*node)) {
            let key = (node, key.1.clone());
            assert_eq!(*self.keys.entry(JobId(id)).or_insert_with(|| key.clone()), key, "one id for two jobs");
        }
    }

    async fn heartbeat(&mut self, which: usize) {
        let Some(key) = nth(self.holdings.keys(), which).cloned() else { return };
        let holding = self.holdings.get_mut(&key).expect("it is held");
        assert_eq!(self.world.heartbeat(&[&holding.held]).await, []);
        holding.end = self.world.now + LEASE;
    }

    /// Exactly the leases that were not extended in time end.
    async fn reap(&mut self) {
        let now = self.world.now;
        let ended: Vec<Key> =
            self.holdings.iter().filter(|(_, holding)| holding.end <= now).map(|(key, _)| key.clone()).collect();
        let mut expected: Vec<JobId> = ended.iter().map(|key| self.holdings[key].held.job()).collect();
        let mut reaped = self.world.reap().await;
        expected.sort();
        reaped.sort();
        assert_eq!(reaped, expected);
        for key in ended {
            self.lose(&key);
            self.model.released(key);
        }
    }

    /// The lease is over, and what is said under it comes too late.
    fn lose(&mut self, key: &Key) {
        if let Some(Holding { held, .. }) = self.holdings.remove(key) {
            self.past.push((held, completed("late"), false));
        }
    }

    /// Another hub on the same database. Workers tell it what they hold; it has forgotten what it was told before.
    async fn restart(&mut self) {
        let (nothing, now) = (World::sqlite(), self.world.now);
        drop(std::mem::replace(&mut self.world, nothing));
        self.world = World { now, ..World::new((self.open)().await) };
        let held: Vec<&Held> = self.holdings.values().map(|holding| &holding.held).collect();
        assert_eq!(self.world.heartbeat(&held).await, []);
        self.holdings.values_mut().for_each(|holding| holding.end = now + LEASE);
    }

    // reports

    /// Reports in one batch. Saying something again, or too late, changes nothing.
    async fn report(&mut self, answers: &[(usize, Answer)]) {
        let before = self.world.view(self.run).await;
        let (mut reports, mut expected, mut is_new) = (Vec::new(), Vec::new(), false);
        for (which, answer) in answers {
            let (held, outcome, verdict) = match answer {
                Answer::Again => {
                    let Some((held, outcome, was_taken)) = nth(self.past.iter(), *which).cloned() else { continue };
                    (held, outcome, (!was_taken).then_some(Verdict::LeaseLost))
                }
                answer => {
                    let Some(key) = nth(self.holdings.keys(), *which).cloned() else { continue };
                    is_new = true;
                    let (held, outcome) = self.answer(key, *answer);
                    (held, outcome, Some(Verdict::Accepted))
                }
            };
            reports.push(Report { job: held.job(), token: held.lease.token, outcome, log: None, run_ms: 10 });
            expected.push(verdict);
        }
        let batch = ReportBatch { worker: "w1".into(), reports };
        let verdicts = self.world.store.complete(self.world.time(), batch).await.expect("verdicts");
        assert_eq!(verdicts.len(), expected.len());
        for (verdict, expected) in verdicts.iter().zip(expected) {
            assert_eq!(*verdict, expected.unwrap_or(*verdict));
        }
        if !is_new {
            assert_eq!(self.world.view(self.run).await, before);
        }
    }

    /// What the holder of a lease says, which the model hears.
    fn answer(&mut self, key: Key, answer: Answer) -> (Held, Outcome) {
        let Holding { held, .. } = self.holdings.remove(&key).expect("it is held");
        let outcome = match answer {
            Answer::Complete => self.complete(&key),
            Answer::Fail => failed("no"),
            Answer::Pending => PENDING,
            Answer::Reset => RESET,
            Answer::Cancel => Outcome::Cancelled,
            Answer::Release | Answer::Again => Outcome::Released { reason: "chance".into() },
        };
        match answer {
            Answer::Complete => {}
            Answer::Fail => self.model.attempt_failed(key),
            Answer::Pending => self.model.pending(&key),
            Answer::Reset => self.model.reset(key),
            Answer::Cancel => self.model.cancelled(key),
            Answer::Release | Answer::Again => self.model.released(key),
        }
        self.past.push((held.clone(), outcome.clone(), true));
        (held, outcome)
    }

    fn complete(&mut self, key: &Key) -> Outcome {
        self.numbers += 1;
        let path: Vec<String> = key.1.iter().map(u32::to_string).collect();
        let text = format!("{}/{}#{}", key.0, path.join("."), self.numbers);
        let elements = self.model.is_source(key.0).then(|| self.lists[self.numbers % self.lists.len()]);
        self.model.completed.insert(key.clone(), Given { text: text.clone(), elements });
        let Some(elements) = elements else { return completed(&text) };
        let piece = |first: u32| Chunk {
            count: (elements - first).min(PIECE),
            value: Box::new(value(&format!("{text}+{first}"))),
        };
        let pieces = (0..elements).step_by(PIECE as usize).map(piece).collect();
        Outcome::Completed { value: ValueRef::List(pieces), hints: Hints::default() }
    }

    // people

    /// A job that was made, in whatever state.
    async fn any_job(&self, which: usize, wanted: impl Fn(&Key) -> bool) -> Option<(JobId, Key, Status)> {
        let wanted = self.keys.iter().filter(|(_, key)| wanted(key));
        let (job, key) = nth(wanted, which).or_else(|| nth(self.keys.iter(), which))?;
        let statuses = self.model.statuses();
        self.compare_job(*job, key, &statuses).await;
        Some((*job, key.clone(), statuses[key]))
    }

    /// The call is called off from where it stands, and all that depends on it.
    async fn cancel_job(&mut self, which: usize) {
        let Some((job, key, status)) = self.any_job(which, |_| true).await else { return };
        let changed = self.world.store.cancel_job(self.world.time(), job).await;
        if matches!(status, Status::Completed | Status::Failed) {
            let state = status.shown(false);
            assert!(matches!(changed, Err(HubError::Ended { state: said, .. }) if said == state), "{changed:?}");
            return;
        }
        let before = self.cancelled_jobs();
        if status != Status::Cancelled {
            let front = self.model.front(&key);
            self.lose(&front);
            self.model.cancelled(front);
        }
        assert_eq!(changed.expect("cancelled"), Changed { jobs: self.cancelled_jobs() - before });
    }

    fn cancelled_jobs(&self) -> u64 {
        let statuses = self.model.statuses();
        let jobs = statuses.iter().filter(|((node, _), _)| self.model.is_job(*node));
        jobs.filter(|(_, status)| **status == Status::Cancelled).count() as u64
    }

    async fn reset_job(&mut self, which: usize) {
        let Some((job, key, status)) = self.any_job(which, |key| self.model.failed.contains(key)).await else { return };
        let changed = self.world.store.reset_job(self.world.time(), job).await;
        if status == Status::Failed {
            assert_eq!(changed.expect("reset"), Changed { jobs: 1 });
            self.model.put_back(&key);
        } else {
            assert!(matches!(changed, Err(HubError::NotFailed { .. })), "{changed:?}");
        }
    }

    pub(super) async fn reset_run(&mut self) {
        let changed = self.world.store.reset_run(self.world.time(), self.run).await.expect("reset");
        let failed = self.model.failed.clone();
        assert_eq!(changed.jobs, failed.len() as u64);
        failed.iter().for_each(|key| self.model.put_back(key));
    }

    /// All that is not over is called off. What has ended stays as it is.
    pub(super) async fn cancel_run(&mut self) {
        let (before, state) = (self.cancelled_jobs(), self.model.run_state(&self.model.statuses()));
        let changed = self.world.store.cancel_run(self.world.time(), self.run).await.expect("cancelled");
        if state == RunState::Running {
            self.model.is_called_off = true;
        }
        assert_eq!(changed.jobs, self.cancelled_jobs() - before);
        if state == RunState::Running {
            let refused = self.world.store.reset_run(self.world.time(), self.run).await;
            assert!(matches!(refused, Err(HubError::RunCancelled(_))), "{refused:?}");
            let held: Vec<Key> = self.holdings.keys().cloned().collect();
            held.iter().for_each(|key| self.lose(key));
            let late: Vec<_> = (0..self.past.len()).map(|which| (which, Answer::Again)).collect();
            self.report(&late).await;
        }
    }

    // the end

    /// Everything that can run runs.
    pub(super) async fn finish(&mut self) {
        loop {
            while !self.holdings.is_empty() {
                let all: Vec<_> = self.holdings.keys().take(500).map(|_| (0, Answer::Complete)).collect();
                self.report(&all).await;
            }
            // longer than any wait
            self.world.now += 400_000;
            if self.lease(1_000).await == 0 {
                break;
            }
        }
        self.compare().await;
        assert_ne!(self.world.state(self.run).await, RunState::Running);
        let page = self.world.page(self.run).await;
        let mut failed: Vec<Key> = page.failed.iter().map(|failed| self.keys[&failed.job].clone()).collect();
        failed.sort();
        assert_eq!(failed, self.model.failed.iter().cloned().collect::<Vec<_>>());
        assert_eq!(self.world.results(self.run).await, self.model.results());
    }

    /// The run and its counts are what the model says, at any time.
    pub(super) async fn compare(&self) {
        let (view, statuses) = (self.world.view(self.run).await, self.model.statuses());
        assert_eq!(view.state, self.model.run_state(&statuses));
        assert_eq!(view.finished_at.is_some(), view.state != RunState::Running);
        let mut counts: BTreeMap<(u32, Status), u64> = BTreeMap::new();
        statuses.iter().for_each(|((node, _), status)| *counts.entry((*node, *status)).or_default() += 1);
        for step in &view.steps {
            let node = number_of(&step.name);
            let count = |status| counts.get(&(node, status)).copied().unwrap_or(0);
            let running = self.holdings.keys().filter(|key| key.0 == node).count() as u64;
            let found = [step.blocked, step.available, step.running, step.completed, step.failed, step.cancelled];
            let expected = [
                count(Status::Blocked) + count(Status::Stuck),
                count(Status::Open) - running,
                running,
                count(Status::Completed),
                count(Status::Failed),
                count(Status::Cancelled),
            ];
            assert_eq!(found, expected, "{}", step.name);
        }
    }

    /// A job by itself is shown as it stands, and says what holds it up.
    async fn compare_job(&self, job: JobId, key: &Key, statuses: &Statuses) {
        let (view, status) = (self.world.job(job).await, statuses[key]);
        assert_eq!((number_of(&view.step), view.state), (key.0, status.shown(self.holdings.contains_key(key))));
        let is_waiting = matches!(status, Status::Blocked | Status::Stuck);
        assert_eq!(view.waiting_for, if is_waiting { self.model.waits_for(key, statuses) } else { 0 }, "{key:?}");
        let behind = view.blocked_by.map(|by| self.model.failed.contains(&self.keys[&by]));
        assert_eq!(behind, (status == Status::Stuck).then_some(true), "{key:?}");
    }
}

fn nth<T>(mut all: impl Iterator<Item = T> + Clone, which: usize) -> Option<T> {
    let count = all.clone().count();
    all.nth(which.checked_rem(count)?)
}

fn number_of(step: &str) -> u32 {
    number(&step[1..])
}

fn number(text: &str) -> u32 {
    text.parse().expect("a number")
}
