//! Power cuts at any moment: what was acknowledged is not lost, nothing happens twice, and the run completes.
//!
//! A trial is a store on a [`Disk`] that has several lives, each ended by a cut. A worker keeps a [`Ledger`] of the store's
//! answers through all lives; between them the ledger is compared with the disk. `BUE_CUTS=10000` makes that many cuts instead
//! of a few hundred, `BUE_SEED=n` replays one trial. In some trials the disk is also full, read-only or broken for a while.

mod ledger;
mod life;

use std::sync::Arc;

use bue_hub::{Durability, JobStore, SqliteStore};
use bue_model::Timestamp;
use fastrand::Rng;
use futures_util::future::join_all;
use rusqlite::Connection;

use crate::disk::{ALL_FAULTS, Call, Cut, Disk};
use crate::script::submission;
use crate::seeds;
use crate::world::LeasedJob;
use ledger::Ledger;
pub(crate) use ledger::origin;
use life::{Ended, Life, script};

/// Cuts in one trial, at most.
const MAX_LIVES: u64 = 4;
/// Actions in one life, at most: more than are needed to complete all runs.
const MAX_STEPS: usize = 10_000;

/// A result, or the promise that was broken.
type Checked<T = ()> = Result<T, String>;

struct Trial {
    disk: Arc<Disk>,
    durability: Durability,
    rng: Rng,
    ledger: Ledger,
    now: i64,
    /// The jobs that the worker holds.
    held: Vec<LeasedJob>,
    /// Runs to submit.
    wanted: u128,
    /// Bytes of padding for each value: with many, the log becomes long enough for a checkpoint.
    padding: usize,
    /// Whether the disk has faults now and then.
    has_faults: bool,
    /// Whether it has one now.
    is_broken: bool,
}

impl Trial {
    fn new(seed: u64, durability: Durability, has_faults: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let disk = Disk::new(rng.u64(..));
        let (wanted, padding) = (rng.u128(1..5), if rng.u8(..6) == 0 { 60_000 } else { 0 });
        let (ledger, held, is_broken) = Default::default();
        Self { disk, durability, rng, ledger, now: 1_000_000, held, wanted, padding, has_faults, is_broken }
    }

    /// Plays all lives. Returns the number of cuts.
    async fn play(&mut self) -> Checked<u64> {
        let lives = self.rng.u64(1..=MAX_LIVES);
        for _ in 0..lives {
            let cut = self.random_cut();
            self.disk.cut_at(cut);
            match self.live().await {
                Err(Ended::Broken(promise)) => return Err(promise),
                Err(Ended::Cut | Ended::Refused) | Ok(()) => {}
            }
            if !self.disk.is_off() {
                self.disk.cut();
            }
            self.disk.wait_until_closed();
            self.disk.power_on();
            self.check_integrity()?;
        }
        match self.live().await {
            Ok(()) => Ok(lives),
            Err(Ended::Broken(promise)) => Err(promise),
            Err(Ended::Cut | Ended::Refused) => Err("the store failed without a reason".to_owned()),
        }
    }

    /// Returns a cut, soon or late, and often during a sync, which is the most critical time.
    fn random_cut(&mut self) -> Cut {
        let (only, most) = match self.rng.u8(..8) {
            0..2 => (Some(Call::Sync), [4, 20, 80][self.rng.usize(..3)]),
            2 => (Some(Call::Delete), 2),
            3 => (Some(Call::Resize), 2),
            4 => (Some(Call::Create), 3),
            _ => (None, [10, 60, 300, 3_000][self.rng.usize(..4)]),
        };
        Cut { after: self.rng.usize(1..=most), only }
    }

    /// Has SQLite check the file as it is after the cut.
    fn check_integrity(&self) -> Checked {
        let copy = self.disk.copy();
        let check = || -> rusqlite::Result<String> {
            let db = Connection::open(copy.path())?;
            db.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
            db.query_row("PRAGMA integrity_check", [], |row| row.get(0))
        };
        match check() {
            Ok(text) if text == "ok" => Ok(()),
            Ok(text) => Err(format!("integrity_check says {text}")),
            Err(error) => Err(format!("integrity_check fails: {error}")),
        }
    }

    /// From power on until all runs are done, or the power goes.
    async fn live(&mut self) -> Result<(), Ended> {
        self.heal();
        let store = match SqliteStore::open(&self.disk.path(), self.durability) {
            Ok(store) => store,
            Err(_) if self.disk.is_off() => return Err(Ended::Cut),
            Err(error) => return Err(Ended::Broken(format!("the database does not open: {error}"))),
        };
        let mut life = Life { store, trial: self };
        life.check().await?;
        for _ in 0..MAX_STEPS {
            match life.step().await {
                Ok(true) => return life.check().await,
                Ok(false) | Err(Ended::Refused) => {}
                Err(ended) => return Err(ended),
            }
        }
        Err(Ended::Broken("the runs do not end".to_owned()))
    }

    fn heal(&mut self) {
        self.disk.set_fault(None);
        self.is_broken = false;
    }

    fn break_disk(&mut self) {
        self.disk.set_fault(self.rng.choice(ALL_FAULTS));
        self.is_broken = true;
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(future)
}

fn play(seed: u64, durability: Durability) -> Checked<u64> {
    block_on(Trial::new(seed, durability, false).play())
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let wanted = seeds::tries("BUE_CUTS", 200);
    let (mut cuts, mut seed) = (0, 0);
    if let Some(seed) = seeds::replayed() {
        cuts = wanted;
        play(seed, Durability::Full).expect("a promise that is kept");
    }
    while cuts < wanted {
        match play(seed, Durability::Full) {
            Ok(lives) => cuts += lives,
            Err(broken) => panic!("{broken}; replay it with {}", seeds::replay(seed)),
        }
        seed += 1;
    }
    println!("{cuts} cuts in {seed} trials, nothing lost");
}

/// The test above would notice a loss: without syncs there is one.
#[test]
fn without_fsync_the_cut_is_seen() {
    let broken: Vec<String> = (0..40).filter_map(|seed| play(seed, Durability::Off).err()).collect();
    let is_loss = |text: &&String| text.contains("is lost") || text.contains("does not open");
    assert!(broken.iter().filter(is_loss).count() >= 5, "{broken:?}");
}

/// Every kind of fault, followed by a power cut.
#[test]
fn a_disk_fault_loses_nothing_that_was_acknowledged() {
    for seed in 0..seeds::tries("BUE_DISK_FAULTS", 40) {
        let played = block_on(Trial::new(seed, Durability::Full, true).play());
        played.unwrap_or_else(|broken| panic!("{broken}, seed {seed}"));
    }
}

/// Many at once, so that several share a commit.
#[test]
fn submissions_that_were_one_commit_are_lost_together_or_not_at_all() {
    for seed in 0..20 {
        let mut rng = Rng::with_seed(seed);
        let disk = Disk::new(seed);
        let open = || SqliteStore::open(&disk.path(), Durability::Full).expect("a store");
        let store = open();
        disk.cut_at(Cut { after: rng.usize(1..40), only: None });
        let submissions = (1..=30).map(|number| store.submit(Timestamp(1), submission(number, script(1).plan())));
        let answers = block_on(join_all(submissions));
        drop(store);
        disk.cut();
        disk.wait_until_closed();
        disk.power_on();
        let store = open();
        for run in answers.into_iter().flatten() {
            assert!(block_on(store.run(run)).expect("an answer").is_some(), "run {run} is lost, seed {seed}");
        }
    }
}
