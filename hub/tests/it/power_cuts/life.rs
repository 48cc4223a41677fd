//! One life of the store, from power on until all runs have completed or the power is cut: what a worker and a submitter do.

use std::collections::BTreeSet;

use bue_hub::{HubError, JobStore, LEASE_MS, SqliteStore};
use bue_model::attempt::AttemptUsage;
use bue_model::wire::{LeaseRequest, Report, ReportBatch, Verdict};
use bue_model::{Input, JobState, Outcome, RunId, RunState, Timestamp};
use fastrand::Rng;

use super::Trial;
use crate::script::{Script, submission};
use crate::world::{LeasedJob, PENDING, RESET, completed, failed, list};

/// Jobs that a worker holds, roughly: with more, their leases would expire.
const SLOTS: usize = 12;

/// How a call to the store ended.
pub(super) enum Ended {
    /// By a power cut: it is unknown whether it was carried out.
    Cut,
    /// The store returned an error because of a disk fault.
    Refused,
    /// With a promise broken.
    Broken(String),
}

impl From<String> for Ended {
    fn from(broken: String) -> Self {
        Self::Broken(broken)
    }
}

/// One life of the store.
pub(super) struct Life<'a> {
    pub(super) store: SqliteStore,
    pub(super) trial: &'a mut Trial,
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

    /// Checks that everything that was acknowledged is in the store.
    pub(super) async fn check(&mut self) -> Result<(), Ended> {
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
        let accepted: Vec<Report> = self.trial.ledger.accepted.values().cloned().collect();
        for report in accepted {
            let job = report.job;
            if self.report(vec![report]).await? != [Verdict::Accepted] {
                return Err(Ended::Broken(format!("a report of job {job} was acknowledged and is lost")));
            }
        }
        self.catch_up().await
    }

    /// Sends reports without an answer again, except for those whose worker died as well.
    async fn catch_up(&mut self) -> Result<(), Ended> {
        for report in std::mem::take(&mut self.trial.ledger.unanswered) {
            if self.trial.rng.u8(..4) > 0 {
                self.send(vec![report]).await?;
            }
        }
        Ok(())
    }

    /// Does something. Returns whether all runs have completed.
    pub(super) async fn step(&mut self) -> Result<bool, Ended> {
        if self.trial.is_broken && self.trial.rng.u8(..6) == 0 {
            self.trial.heal();
            self.catch_up().await?;
        } else if self.trial.has_faults && self.trial.rng.u8(..12) == 0 {
            self.trial.break_disk();
        }
        let open = self.trial.ledger.runs.values().filter(|acknowledged| !**acknowledged).count();
        if open > 0 || (self.trial.ledger.runs.len() as u128) < self.trial.wanted && self.trial.rng.u8(..6) == 0 {
            self.submit().await?;
        }
        match self.trial.rng.u8(..10) {
            0..3 if self.trial.held.len() < SLOTS => self.lease().await?,
            0..8 => self.complete_some().await?,
            8 => self.pass_time().await?,
            _ => return self.is_done().await,
        }
        Ok(false)
    }

    /// Submits the run again that has no answer, else another one.
    async fn submit(&mut self) -> Result<(), Ended> {
        let runs = &self.trial.ledger.runs;
        let unanswered = runs.iter().find(|(_, acknowledged)| !**acknowledged).map(|(run, _)| run.0.as_u128());
        let number = unanswered.unwrap_or(runs.len() as u128 + 1);
        let submission = submission(number, script(number).plan());
        let run = submission.run;
        self.trial.ledger.runs.insert(run, false);
        self.known(self.store.submit(self.now(), submission).await)?;
        self.trial.ledger.runs.insert(run, true);
        Ok(())
    }

    async fn lease(&mut self) -> Result<(), Ended> {
        let scopes = vec!["default".to_owned()];
        let count = self.trial.rng.u32(1..6);
        let request =
            LeaseRequest { worker: "w".into(), scopes, reverse: false, count, wait_ms: 0, ..LeaseRequest::default() };
        let batch = self.known(self.store.lease(self.now(), request).await)?.batch;
        for lease in batch.leases {
            let held = LeasedJob { step: batch.steps[lease.step as usize].clone(), lease };
            self.trial.ledger.record_lease(&held)?;
            self.trial.held.push(held);
        }
        Ok(())
    }

    /// Reports outcomes of some jobs that are held.
    async fn complete_some(&mut self) -> Result<(), Ended> {
        let trial = &mut *self.trial;
        let count = trial.rng.usize(..4).min(trial.held.len());
        let mut reports = Vec::new();
        for _ in 0..count {
            let held = trial.held.swap_remove(trial.rng.usize(..trial.held.len()));
            let outcome = outcome(&held, &mut trial.rng, trial.padding);
            reports.push(Report {
                job: held.job(),
                token: held.lease.token,
                outcome,
                log: None,
                arguments: Vec::new(),
                usage: AttemptUsage::of_ms(1),
            });
        }
        self.send(reports).await
    }

    /// Sends reports, and records the verdicts.
    async fn send(&mut self, reports: Vec<Report>) -> Result<(), Ended> {
        let verdicts = match self.report(reports.clone()).await {
            Ok(verdicts) => verdicts,
            Err(ended) => {
                // if they were accepted, the earlier reports of these jobs are stale
                reports.iter().for_each(|report| drop(self.trial.ledger.accepted.remove(&report.job)));
                self.trial.ledger.unanswered.extend(reports);
                return Err(ended);
            }
        };
        for (report, verdict) in reports.into_iter().zip(verdicts) {
            self.trial.ledger.record_verdict(report, verdict)?;
        }
        Ok(())
    }

    async fn report(&self, reports: Vec<Report>) -> Result<Vec<Verdict>, Ended> {
        self.known(self.store.complete(self.now(), ReportBatch { worker: "w".into(), reports }).await)
    }

    /// Lets time pass, and reaps expired leases.
    async fn pass_time(&mut self) -> Result<(), Ended> {
        self.trial.now += self.trial.rng.i64(0..2 * LEASE_MS as i64);
        self.known(self.store.reap(self.now()).await).map(drop)
    }

    /// Returns whether all runs have completed. Resets failed ones, and lets time pass so that forgotten leases expire.
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
pub(super) fn script(number: u128) -> Script {
    let mut script = Script::new();
    let last = script.call(&["a1", "a2", "a3"], &[]);
    if number.is_multiple_of(2) {
        let source = script.call(&["source"], &[]);
        script.each(source, |script, x| script.call(&["b1", "b2"], &[x, Input::Node(last)]));
        let gathered = script.gather(source, &["c1"]);
        script.call(&["d1"], &[gathered]);
    }
    for step in ["a1", "a2", "a3", "b1", "b2", "c1", "d1", "source"] {
        script.set(step, |settings| settings.retries = 10);
    }
    script
}

fn outcome(held: &LeasedJob, rng: &mut Rng, padding: usize) -> Outcome {
    let starts_a_call = held.name().ends_with('1');
    match rng.u8(..20) {
        0 => PENDING,
        1 => failed("no"),
        2 if starts_a_call => RESET,
        _ if held.name() == "source" => list(if padding > 0 { 30 } else { 4 }),
        _ => {
            let text = format!("{}:{} ", held.job(), held.lease.token.number);
            completed(&format!("{text}{}", "x".repeat(padding)))
        }
    }
}
