//! A year of schedules: hubs that are killed at random, in the middle of a transaction too, days without any hub, and clocks that
//! differ. The runs that exist at the end are exactly those of a reference that knows nothing of hubs.
//!
//! Time is an argument of the store, so a year takes seconds. On SQLite, one process has the database, so three schedulers share
//! a store, and all of them die with it in a power cut. On PostgreSQL there are three hubs with connections of their own, which
//! die one by one; there are fewer schedules there, because a run takes a dozen round trips.
//!
//! `BUE_SEED=n` replays one year; `BUE_YEARS=n` plays that many.

mod reference;

use std::collections::BTreeSet;
use std::sync::Arc;

use bue_hub::{
    Durability, FiredSchedules, HubError, JobStore, Others, PostgresStore, ScheduleSpec, ScheduleUpdate, SqliteStore,
    UpdateMode,
};
use bue_model::{RunId, Timestamp};
use bue_test_support::cluster::shared;
use fastrand::Rng;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::runtime::Runtime;

use crate::contract::pipelines::{plan, publish};
use crate::disk::{Cut, Disk};
use crate::seeds;
use crate::world::World;
use reference::{END, START, TestSchedule};

const HOUR: i64 = 3_600_000;
/// Hubs.
const HUBS: usize = 3;
/// The upload of the pipeline's code, which is a root of the garbage collection as runs are.
const UPLOAD: u128 = 1;

/// The machines that hubs run on.
trait Machines {
    /// Returns the stores of the hubs that live, at most three. Those that died were started again.
    fn hubs(&mut self) -> BoxFuture<'_, Vec<Arc<dyn JobStore>>>;

    /// Lets something die during the next transactions.
    fn endanger(&mut self, rng: &mut Rng);

    /// Whether requests fail because something has died.
    fn has_died(&self) -> bool;
}

/// SQLite on a disk that loses power.
struct OneMachine {
    disk: Arc<Disk>,
    store: Option<Arc<dyn JobStore>>,
}

impl Machines for OneMachine {
    fn hubs(&mut self) -> BoxFuture<'_, Vec<Arc<dyn JobStore>>> {
        async {
            if self.disk.is_off() {
                self.store = None;
                self.disk.wait_until_closed();
                self.disk.power_on();
            }
            let open = || SqliteStore::open(&self.disk.path(), Durability::Full).expect("a store");
            let store = self.store.get_or_insert_with(|| Arc::new(open()));
            vec![store.clone(); HUBS]
        }
        .boxed()
    }

    fn endanger(&mut self, rng: &mut Rng) {
        self.disk.cut_at(Cut { after: rng.usize(1..60), only: None });
    }

    fn has_died(&self) -> bool {
        self.disk.is_off()
    }
}

/// PostgreSQL, and hubs that die at any await.
struct ThreeMachines {
    database: String,
    hubs: Vec<Option<Arc<dyn JobStore>>>,
}

impl Machines for ThreeMachines {
    fn hubs(&mut self) -> BoxFuture<'_, Vec<Arc<dyn JobStore>>> {
        async {
            for hub in &mut self.hubs {
                if hub.is_none() {
                    *hub = Some(Arc::new(PostgresStore::connect(&self.database).await.expect("a store")));
                }
            }
            self.hubs.iter().flatten().cloned().collect()
        }
        .boxed()
    }

    fn endanger(&mut self, rng: &mut Rng) {
        // its connections close when its last request is dropped
        self.hubs[rng.usize(..HUBS)] = None;
    }

    fn has_died(&self) -> bool {
        false
    }
}

/// A year that is being played.
struct Year {
    rng: Rng,
    now: i64,
    machines: Box<dyn Machines>,
}

impl Year {
    /// Creates the schedules, and plays the year. Returns the runs at its end.
    async fn play(&mut self, schedules: &[TestSchedule]) -> BTreeSet<RunId> {
        let store = self.machines.hubs().await.remove(0);
        let mut world = World::new(store);
        world.now = START;
        publish(&world, "p", UPLOAD, plan("a")).await;
        let specs =
            schedules.iter().map(|one| (one.name.clone(), ScheduleSpec::from_json(&one.json()).expect("a schedule")));
        let update = ScheduleUpdate { schedules: specs.collect(), others: Others::Keep, mode: UpdateMode::Apply };
        world.store.put_schedules(world.time(), update).await.expect("schedules");
        drop(world);
        while self.now < END {
            let is_dangerous = self.rng.u8(..4) == 0;
            let next = self.take_turns(is_dangerous).await;
            self.advance(next);
        }
        self.now = END;
        self.take_turns(false).await;
        self.roots().await.into_iter().filter(|run| run.0.as_u128() != UPLOAD).collect()
    }

    /// Returns the runs, and the upload.
    async fn roots(&mut self) -> Vec<RunId> {
        loop {
            let store = self.machines.hubs().await.remove(0);
            match store.gc_roots().await {
                // the power cut came late
                Err(_) if self.machines.has_died() => {}
                roots => return roots.expect("roots").runs,
            }
        }
    }

    /// Lets all hubs look for due schedules at once, until nothing is due; if they are in danger, only until one has died.
    async fn take_turns(&mut self, is_dangerous: bool) -> Option<i64> {
        let mut next = None;
        loop {
            let hubs = self.machines.hubs().await;
            let last = self.rng.usize(1..40);
            if is_dangerous {
                self.machines.endanger(&mut self.rng);
            }
            // the clocks of hubs differ by up to a second
            let turns = hubs.into_iter().enumerate().map(|(index, hub)| {
                let now = Timestamp(self.now - if index == 0 { 0 } else { self.rng.i64(0..1_000) });
                let polls = if is_dangerous && index == 0 { Some(last) } else { None };
                async move { fire(&*hub, now, polls).await }
            });
            let fired = join_all(turns).await;
            if is_dangerous {
                return None;
            }
            if self.machines.has_died() {
                // the power cut came late
                continue;
            }
            let fired: Vec<FiredSchedules> = fired.into_iter().flatten().map(|fired| fired.expect("turns")).collect();
            next = fired.first().and_then(|fired| fired.next_at).map(|at| at.0).or(next);
            if fired.iter().all(|fired| fired.turns == 0) && next.is_none_or(|next| next > self.now) {
                return next;
            }
        }
    }

    /// Moves the clock: to the next turn or past it, and sometimes by days in which there is no hub.
    fn advance(&mut self, next: Option<i64>) {
        let next = next.unwrap_or(self.now).max(self.now);
        self.now = match self.rng.u8(..40) {
            0 => next + self.rng.i64(HOUR..60 * HOUR),
            1..20 => next + self.rng.i64(0..5 * HOUR),
            _ => next + self.rng.i64(0..50_000),
        };
        self.now = self.now.min(END);
    }
}

/// Looks for due schedules once. With `polls`, the hub dies after so many steps of the request, wherever that is.
async fn fire(hub: &dyn JobStore, now: Timestamp, polls: Option<usize>) -> Option<Result<FiredSchedules, HubError>> {
    let mut request = hub.fire_schedules(now);
    let Some(polls) = polls else { return Some(request.await) };
    let mut left = polls;
    std::future::poll_fn(|context| match request.poll_unpin(context) {
        std::task::Poll::Ready(fired) => std::task::Poll::Ready(Some(fired)),
        std::task::Poll::Pending if left == 0 => std::task::Poll::Ready(None),
        std::task::Poll::Pending => {
            left -= 1;
            std::task::Poll::Pending
        }
    })
    .await
}

/// Plays the year of a seed. Returns the number of runs.
fn play(runtime: &Runtime, seed: u64, count: usize, machines: impl Fn(u64) -> Box<dyn Machines>) -> usize {
    let mut rng = Rng::with_seed(seed);
    let schedules: Vec<TestSchedule> = (0..count).map(|number| TestSchedule::random(number, &mut rng)).collect();
    let expected: BTreeSet<RunId> = schedules.iter().flat_map(TestSchedule::runs).collect();
    let mut year = Year { machines: machines(seed), rng, now: START };
    let runs = runtime.block_on(year.play(&schedules));
    let (missing, extra) = (expected.difference(&runs).count(), runs.difference(&expected).count());
    assert!(expected.len() > 20 * count, "{}", expected.len());
    assert_eq!((missing, extra), (0, 0), "of {} runs; replay it with {}", expected.len(), seeds::replay(seed));
    runs.len()
}

fn seeds() -> Vec<u64> {
    seeds::replayed().map_or_else(|| (0..seeds::tries("BUE_YEARS", 1)).collect(), |seed| vec![seed])
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn whatever_dies_in_a_year_every_due_time_has_one_run_on_sqlite() {
    for seed in seeds() {
        let runs = play(&runtime(), seed, 200, |seed| Box::new(OneMachine { disk: Disk::new(seed), store: None }));
        println!("seed {seed}: {runs} runs");
    }
}

#[test]
fn whatever_dies_in_a_year_every_due_time_has_one_run_on_postgres() {
    for seed in seeds() {
        let runtime = runtime();
        let database = runtime.block_on(shared().database());
        let machines =
            |_| Box::new(ThreeMachines { database: database.clone(), hubs: vec![None; HUBS] }) as Box<dyn Machines>;
        let runs = play(&runtime, seed, 40, machines);
        println!("seed {seed}: {runs} runs");
    }
}
