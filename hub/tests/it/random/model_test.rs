//! [`ModelTest`]: a hub that random events happen to, and the model beside it.

mod compare;
mod leases;
mod reports;
mod users;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bue_hub::{JobStore, LEASE_MS};
use bue_model::{JobId, Outcome, Plan, RunId, RunState};
use futures_util::future::BoxFuture;
use tokio::time::sleep;

use super::events::{Answer, Event};
use super::model::{Key, Model};
use crate::script::submission;
use crate::world::{LeasedJob, World};

pub(super) const LEASE: i64 = LEASE_MS as i64;
/// Waits of a millisecond for rounds, after which a test fails.
const MAX_WAITS: u32 = 60_000;

/// Opens the same store, any number of times.
pub(crate) type StoreFactory = Box<dyn Fn() -> BoxFuture<'static, Arc<dyn JobStore>>>;

/// A lease that is held.
struct Holding {
    held: LeasedJob,
    end: i64,
    /// Whether the worker holds no other job until this one ends.
    isolated: bool,
}

/// A lease that has ended: what was reported under it, and whether the report was accepted.
type ReportedLease = (LeasedJob, Outcome, bool);

pub(super) struct ModelTest {
    open: StoreFactory,
    world: World,
    run: RunId,
    pub(super) model: Model,
    holdings: BTreeMap<Key, Holding>,
    reported: Vec<ReportedLease>,
    keys: BTreeMap<JobId, Key>,
    /// The lengths of the lists that jobs return, one after the other.
    lists: Vec<u32>,
    /// Some are so long that their rounds are instantiated in the background.
    pub(super) is_long: bool,
    /// Times that the test waited for those rounds.
    waits: u32,
    numbers: usize,
}

impl ModelTest {
    pub(super) async fn new(open: StoreFactory, plan: Plan, lists: Vec<u32>) -> Self {
        let world = World::new(open().await);
        let model = Model::new(plan.clone());
        let run = world.store.submit(world.time(), submission(1, plan)).await.expect("a run");
        let (holdings, reported, keys) = Default::default();
        let is_long = lists.iter().any(|elements| *elements > 100);
        Self { open, world, run, model, holdings, reported, keys, lists, is_long, waits: 0, numbers: 0 }
    }

    pub(super) async fn play(&mut self, event: &Event) {
        match event {
            Event::Lease(count) => drop(self.lease(*count).await),
            Event::Report(answers) => self.report(answers).await,
            Event::Piece(which, count) => self.report_piece(*which, *count).await,
            Event::Heartbeat(which) => self.heartbeat(*which).await,
            Event::Wait(ms) => self.world.now += ms,
            Event::Reap => self.reap().await,
            Event::CancelJob(which) => self.cancel_job(*which).await,
            Event::ResetJob(which) => self.reset_job(*which).await,
            Event::ResetRun => self.reset_run().await,
            Event::CancelRun => self.cancel_run().await,
            Event::Restart => self.restart().await,
        }
    }

    /// Runs everything that can run.
    pub(super) async fn finish(&mut self) {
        loop {
            while !self.holdings.is_empty() {
                let all: Vec<_> = self.holdings.keys().take(500).map(|_| (0, Answer::Complete)).collect();
                self.report(&all).await;
            }
            // longer than any backoff
            self.world.now += 400_000;
            if self.lease(1_000).await == 0 && self.is_expanded().await {
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

    /// Returns whether every round was instantiated that can be; waits a moment if not.
    async fn is_expanded(&mut self) -> bool {
        if !self.is_long || self.world.state(self.run).await != RunState::Running {
            return true;
        }
        self.waits += 1;
        assert!(self.waits < MAX_WAITS, "rounds are not instantiated, or the run does not end");
        sleep(Duration::from_millis(1)).await;
        false
    }
}

fn nth<T>(mut all: impl Iterator<Item = T> + Clone, which: usize) -> Option<T> {
    let count = all.clone().count();
    all.nth(which.checked_rem(count)?)
}
