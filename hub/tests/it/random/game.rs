//! A hub that is played with, and the model beside it.

mod compare;
mod leases;
mod people;
mod reports;

use std::collections::BTreeMap;
use std::sync::Arc;

use bue_hub::{JobStore, LEASE_MS};
use bue_model::{JobId, Outcome, Plan, RunId, RunState};
use futures_util::future::BoxFuture;

use super::events::{Answer, Event};
use super::model::{Key, Model};
use crate::script::submission;
use crate::world::{Held, World};

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
    /// Some are so long that their rounds are made behind what happens.
    pub(super) is_long: bool,
    /// How often was looked whether they are made.
    looks: u32,
    numbers: usize,
}

impl Game {
    pub(super) async fn new(open: Opener, plan: Plan, lists: Vec<u32>) -> Self {
        let world = World::new(open().await);
        let model = Model::new(plan.clone());
        let run = world.store.submit(world.time(), submission(1, plan)).await.expect("a run");
        let (holdings, past, keys) = Default::default();
        let is_long = lists.iter().any(|elements| *elements > 100);
        Self { open, world, run, model, holdings, past, keys, lists, is_long, looks: 0, numbers: 0 }
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

    /// Everything that can run runs.
    pub(super) async fn finish(&mut self) {
        loop {
            while !self.holdings.is_empty() {
                let all: Vec<_> = self.holdings.keys().take(500).map(|_| (0, Answer::Complete)).collect();
                self.report(&all).await;
            }
            // longer than any wait
            self.world.now += 400_000;
            if self.lease(1_000).await == 0 && self.is_made().await {
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

    /// Every round was made that can be.
    async fn is_made(&mut self) -> bool {
        if !self.is_long || self.world.state(self.run).await != RunState::Running {
            return true;
        }
        self.looks += 1;
        assert!(self.looks < 100_000, "rounds are not made, or the run does not end");
        tokio::task::yield_now().await;
        false
    }
}

fn nth<T>(mut all: impl Iterator<Item = T> + Clone, which: usize) -> Option<T> {
    let count = all.clone().count();
    all.nth(which.checked_rem(count)?)
}
