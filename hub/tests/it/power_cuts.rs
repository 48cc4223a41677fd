//! The power goes at any moment: what was acknowledged is still there, nothing happened twice, the run goes on to its end.
//!
//! A trial is a store on a [`Disk`] that lives several lives, each ended by a cut. A worker that keeps a [`Ledger`] of what
//! it was told works through the lives; between them the ledger is held against the disk. `BUE_CUTS=10000` makes that many
//! cuts instead of a few hundred, `BUE_SEED=n` replays one trial. In some trials the disk is also full, read-only or broken
//! for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bue_hub::{Durability, HubError, JobStore, LEASE_MS, SqliteStore};
use bue_model::wire::{JobInput, LeaseRequest, Report, ReportBatch, Verdict};
use bue_model::{JobId, JobState, Outcome, RunId, RunState, Timestamp, Token};
use fastrand::Rng;
use futures_util::future::join_all;
use rusqlite::Connection;

use crate::disk::{Call, Cut, Disk, TROUBLES};
use crate::script::{Script, submission};
use crate::seeds;
use crate::world::{Held, PENDING, RESET, completed, failed, list, text_of};

/// Cuts of one trial, at most.
const LIVES: u64 = 4;
/// Things a worker does in one life, at most: more than a life has.
const STEPS: usize = 10_000;
/// Jobs a worker holds, about: with more, it would be too slow for their leases.
const SLOTS: usize = 12;

/// What a trial found: a promise that was broken.
type Checked<T = ()> = Result<T, String>;

/// How a call to the store ended.
enum Ended {
    /// In the dark: nobody knows what became of it.
    Cut,
    /// The disk is in trouble, and the store said so.
    Refused,
    /// Badly.
    Broken(String),
}

impl From<String> for Ended {
    fn from(broken: String) -> Self {
        Self::Broken(broken)
    }
}

/// What the worker and the submitter were told.
#[derive(Default)]
struct Ledger {
    /// Runs that were handed in, and whether that was acknowledged.
    runs: BTreeMap<RunId, bool>,
    /// The largest token seen for each job.
    tokens: BTreeMap<JobId, Token>,
    /// The token under which a job's result was taken.
    results: BTreeMap<JobId, Token>,
    /// Reports that were taken and left their job open: saying them again changes nothing.
    taken: BTreeMap<JobId, Report>,
    /// Reports without an answer.
    unanswered: Vec<Report>,
}

impl Ledger {
    fn leased(&mut self, held: &Held) -> Checked {
        let (job, token) = (held.job(), held.lease.token);
        if self.results.contains_key(&job) {
            return Err(format!("job {job} was given away after its result was taken"));
        }
        if self.tokens.insert(job, token).is_some_and(|before| before >= token) {
            return Err(format!("job {job} was given away twice under token {}", token.0));
        }
        for input in &held.lease.inputs {
            let JobInput::Value(value) = input else { continue };
            let Some((parent, token)) = origin(&text_of(value)) else { continue };
            if self.results.get(&parent).is_some_and(|taken| *taken != token) {
                return Err(format!("the result of job {parent} was replaced"));
            }
        }
        Ok(())
    }

    fn answered(&mut self, report: Report, verdict: Verdict) -> Checked {
        let (job, token) = (report.job, report.token);
        if verdict == Verdict::LeaseLost {
            return Ok(());
        }
        match &report.outcome {
            Outcome::Completed { .. } => {
                if self.results.insert(job, token).is_some_and(|before| before != token) {
                    return Err(format!("job {job} has two results"));
                }
                self.taken.remove(&job);
            }
            // it starts as if nothing had been reported
            Outcome::Reset { .. } => drop(self.taken.remove(&job)),
            _ => drop(self.taken.insert(job, report)),
        }
        Ok(())
    }
}

/// Whose value this is, and under which token it was reported.
fn origin(text: &str) -> Option<(JobId, Token)> {
    let (job, token) = text.split(' ').next()?.split_once(':')?;
    Some((JobId(job.parse().ok()?), Token(token.parse().ok()?)))
}

struct Trial {
    disk: Arc<Disk>,
    durability: Durability,
    chance: Rng,
    ledger: Ledger,
    now: i64,
    /// In the worker's hands.
    held: Vec<Held>,
    /// Runs to be handed in.
    wanted: u128,
    /// Bytes behind each value: with many, the log is long enough to be moved into the database on the way.
    padding: usize,
    /// Whether the disk breaks and is mended now and then.
    is_troubled: bool,
    /// Whether it is broken now.
    is_broken: bool,
}

/// One life of the store.
struct Life<'a> {
    store: SqliteStore,
    trial: &'a mut Trial,
}

impl Trial {
    fn new(seed: u64, durability: Durability, is_troubled: bool) -> Self {
        let mut chance = Rng::with_seed(seed);
        let disk = Disk::new(chance.u64(..));
        let (wanted, padding) = (chance.u128(1..5), if chance.u8(..6) == 0 { 60_000 } else { 0 });
        let (ledger, held, is_broken) = Default::default();
        Self { disk, durability, chance, ledger, now: 1_000_000, held, wanted, padding, is_troubled, is_broken }
    }

    /// All lives; the number of cuts.
    async fn play(&mut self) -> Checked<u64> {
        let lives = self.chance.u64(1..=LIVES);
        for _ in 0..lives {
            let cut = self.moment();
            self.disk.cut_at(cut);
            match self.live().await {
                Err(Ended::Broken(why)) => return Err(why),
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
            Err(Ended::Broken(why)) => Err(why),
            Err(Ended::Cut | Ended::Refused) => Err("the store failed without a reason".to_owned()),
        }
    }

    /// Soon or late, and often in a sync, where it hurts most.
    fn moment(&mut self) -> Cut {
        let (only, most) = match self.chance.u8(..8) {
            0..2 => (Some(Call::Sync), [4, 20, 80][self.chance.usize(..3)]),
            2 => (Some(Call::Delete), 2),
            3 => (Some(Call::Resize), 2),
            4 => (Some(Call::Create), 3),
            _ => (None, [10, 60, 300, 3_000][self.chance.usize(..4)]),
        };
        Cut { after: self.chance.usize(1..=most), only }
    }

    /// The file as it is after the cut, looked at by SQLite itself.
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
        self.mend();
        let store = match SqliteStore::open(&self.disk.path(), self.durability) {
            Ok(store) => store,
            Err(_) if self.disk.is_off() => return Err(Ended::Cut),
            Err(error) => return Err(Ended::Broken(format!("the database does not open: {error}"))),
        };
        let mut life = Life { store, trial: self };
        life.check().await?;
        for _ in 0..STEPS {
            match life.step().await {
                Ok(true) => return life.check().await,
                Ok(false) | Err(Ended::Refused) => {}
                Err(ended) => return Err(ended),
            }
        }
        Err(Ended::Broken("the runs do not come to an end".to_owned()))
    }

    fn mend(&mut self) {
        self.disk.trouble(None);
        self.is_broken = false;
    }

    fn break_disk(&mut self) {
        self.disk.trouble(self.chance.choice(TROUBLES));
        self.is_broken = true;
    }
}

impl Life<'_> {
    fn now(&self) -> Timestamp {
        Timestamp(self.trial.now)
    }

    fn known<T>(&self, answer: Result<T, HubError>) -> Result<T, Ended> {
        answer.map_err(|error| match self.trial.disk.is_off() {
            true => Ended::Cut,
            false if self.trial.is_broken => Ended::Refused,
            false => Ended::Broken(format!("the store failed: {error}")),
        })
    }

    /// Everything that was acknowledged is there.
    async fn check(&mut self) -> Result<(), Ended> {
        for (run, acknowledged) in &self.trial.ledger.runs {
            if *acknowledged && self.known(self.store.run(*run).await)?.is_none() {
                return Err(Ended::Broken(format!("run {run} was acknowledged and is lost")));
            }
        }
        for job in self.trial.ledger.results.keys() {
            let view = self.known(self.store.job(*job).await)?;
            if view.is_none_or(|view| view.state != JobState::Completed) {
                return Err(Ended::Broken(format!("the result of job {job} was acknowledged and is lost")));
            }
        }
        let taken: Vec<Report> = self.trial.ledger.taken.values().cloned().collect();
        for report in taken {
            let job = report.job;
            if self.report(vec![report]).await? != [Verdict::Accepted] {
                return Err(Ended::Broken(format!("what job {job} said was acknowledged and is lost")));
            }
        }
        self.catch_up().await
    }

    /// What was not answered is said again, but for what was in the hands of those who died as well.
    async fn catch_up(&mut self) -> Result<(), Ended> {
        for report in std::mem::take(&mut self.trial.ledger.unanswered) {
            if self.trial.chance.u8(..4) > 0 {
                self.tell(vec![report]).await?;
            }
        }
        Ok(())
    }

    /// Does something; whether all is done.
    async fn step(&mut self) -> Result<bool, Ended> {
        if self.trial.is_broken && self.trial.chance.u8(..6) == 0 {
            self.trial.mend();
            self.catch_up().await?;
        } else if self.trial.is_troubled && self.trial.chance.u8(..12) == 0 {
            self.trial.break_disk();
        }
        let open = self.trial.ledger.runs.values().filter(|acknowledged| !**acknowledged).count();
        if open > 0 || (self.trial.ledger.runs.len() as u128) < self.trial.wanted && self.trial.chance.u8(..6) == 0 {
            self.submit().await?;
        }
        match self.trial.chance.u8(..10) {
            0..3 if self.trial.held.len() < SLOTS => self.lease().await?,
            0..8 => self.work().await?,
            8 => self.wait().await?,
            _ => return self.is_done().await,
        }
        Ok(false)
    }

    /// A run once more where its submitter heard nothing, else another one.
    async fn submit(&mut self) -> Result<(), Ended> {
        let runs = &self.trial.ledger.runs;
        let unheard = runs.iter().find(|(_, acknowledged)| !**acknowledged).map(|(run, _)| run.0.as_u128());
        let number = unheard.unwrap_or(runs.len() as u128 + 1);
        let submission = submission(number, script(number).plan());
        let run = submission.run;
        self.trial.ledger.runs.insert(run, false);
        self.known(self.store.submit(self.now(), submission).await)?;
        self.trial.ledger.runs.insert(run, true);
        Ok(())
    }

    async fn lease(&mut self) -> Result<(), Ended> {
        let scopes = vec!["default".to_owned()];
        let count = self.trial.chance.u32(1..6);
        let request = LeaseRequest { worker: "w".into(), scopes, reverse: false, count, wait_ms: 0 };
        let batch = self.known(self.store.lease(self.now(), request).await)?.batch;
        for lease in batch.leases {
            let held = Held { step: batch.steps[lease.step as usize].clone(), lease };
            self.trial.ledger.leased(&held)?;
            self.trial.held.push(held);
        }
        Ok(())
    }

    /// Some of what is held gets its outcome.
    async fn work(&mut self) -> Result<(), Ended> {
        let trial = &mut *self.trial;
        let count = trial.chance.usize(..4).min(trial.held.len());
        let mut reports = Vec::new();
        for _ in 0..count {
            let held = trial.held.swap_remove(trial.chance.usize(..trial.held.len()));
            let outcome = outcome(&held, &mut trial.chance, trial.padding);
            reports.push(Report { job: held.job(), token: held.lease.token, outcome, log: None, run_ms: 1 });
        }
        self.tell(reports).await
    }

    /// Reports, and writes the answer down.
    async fn tell(&mut self, reports: Vec<Report>) -> Result<(), Ended> {
        let verdicts = match self.report(reports.clone()).await {
            Ok(verdicts) => verdicts,
            Err(ended) => {
                // perhaps taken: then what the job said before is history
                reports.iter().for_each(|report| drop(self.trial.ledger.taken.remove(&report.job)));
                self.trial.ledger.unanswered.extend(reports);
                return Err(ended);
            }
        };
        for (report, verdict) in reports.into_iter().zip(verdicts) {
            self.trial.ledger.answered(report, verdict)?;
        }
        Ok(())
    }

    async fn report(&self, reports: Vec<Report>) -> Result<Vec<Verdict>, Ended> {
        self.known(self.store.complete(self.now(), ReportBatch { worker: "w".into(), reports }).await)
    }

    /// Time passes, and leases end.
    async fn wait(&mut self) -> Result<(), Ended> {
        self.trial.now += self.trial.chance.i64(0..2 * LEASE_MS as i64);
        self.known(self.store.reap(self.now()).await).map(drop)
    }

    /// Failed runs are put back; leases that nobody remembers end one day.
    async fn is_done(&mut self) -> Result<bool, Ended> {
        if (self.trial.ledger.runs.len() as u128) < self.trial.wanted {
            return Ok(false);
        }
        let mut done = true;
        let runs: BTreeSet<RunId> = self.trial.ledger.runs.keys().copied().collect();
        for run in runs {
            let view = self.known(self.store.run(run).await)?;
            match view.map(|view| view.state) {
                Some(RunState::Completed) => continue,
                Some(RunState::Failed) => drop(self.known(self.store.reset_run(self.now(), run).await)?),
                _ => {}
            }
            done = false;
        }
        self.trial.now += 10_000;
        Ok(done && !self.trial.is_broken)
    }
}

/// Chains, a loop, a gathered loop.
fn script(number: u128) -> Script {
    let mut script = Script::new();
    let last = script.call(&["a1", "a2", "a3"], &[]);
    if number.is_multiple_of(2) {
        let source = script.call(&["source"], &[]);
        script.each(source, |script, x| script.call(&["b1", "b2"], &[x, bue_model::Input::Node(last)]));
        let gathered = script.gather(source, &["c1"]);
        script.call(&["d1"], &[gathered]);
    }
    for step in ["a1", "a2", "a3", "b1", "b2", "c1", "d1", "source"] {
        script.set(step, |settings| settings.retries = 10);
    }
    script
}

fn outcome(held: &Held, chance: &mut Rng, padding: usize) -> Outcome {
    let starts_a_call = held.name().ends_with('1');
    match chance.u8(..20) {
        0 => PENDING,
        1 => failed("no"),
        2 if starts_a_call => RESET,
        _ if held.name() == "source" => list(if padding > 0 { 30 } else { 4 }),
        _ => {
            let text = format!("{}:{} ", held.job(), held.lease.token.0);
            completed(&format!("{text}{}", "x".repeat(padding)))
        }
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
            Err(broken) => panic!("{broken}; see it again with {}", seeds::replay(seed)),
        }
        seed += 1;
    }
    println!("{cuts} cuts in {seed} trials, nothing lost");
}

/// The test above would see a loss: without syncs there is one.
#[test]
fn without_fsync_the_cut_is_seen() {
    let broken: Vec<String> = (0..40).filter_map(|seed| play(seed, Durability::Off).err()).collect();
    let is_loss = |text: &&String| text.contains("is lost") || text.contains("does not open");
    assert!(broken.iter().filter(is_loss).count() >= 5, "{broken:?}");
}

/// Whatever it does, and then the power goes.
#[test]
fn a_disk_in_trouble_loses_nothing_that_was_acknowledged() {
    for seed in 0..seeds::tries("BUE_TROUBLES", 40) {
        let played = block_on(Trial::new(seed, Durability::Full, true).play());
        played.unwrap_or_else(|broken| panic!("{broken}, seed {seed}"));
    }
}

/// Many at once, so that several are one commit.
#[test]
fn submissions_that_were_one_commit_are_lost_together_or_not_at_all() {
    for seed in 0..20 {
        let mut chance = Rng::with_seed(seed);
        let disk = Disk::new(seed);
        let open = || SqliteStore::open(&disk.path(), Durability::Full).expect("a store");
        let store = open();
        disk.cut_at(Cut { after: chance.usize(1..40), only: None });
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
