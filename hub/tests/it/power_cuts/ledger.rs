//! What the worker and the submitter of a trial were told, and what follows from it.

use std::collections::BTreeMap;

use bue_model::wire::{JobInput, Report, Verdict};
use bue_model::{JobId, Outcome, RunId, Token};

use super::Checked;
use crate::world::{Held, text_of};

/// What the worker and the submitter were told.
#[derive(Default)]
pub(super) struct Ledger {
    /// Runs that were handed in, and whether that was acknowledged.
    pub(super) runs: BTreeMap<RunId, bool>,
    /// The largest token seen for each job.
    tokens: BTreeMap<JobId, Token>,
    /// The token under which a job's result was taken.
    pub(super) results: BTreeMap<JobId, Token>,
    /// Reports that were taken and left their job open: saying them again changes nothing.
    pub(super) taken: BTreeMap<JobId, Report>,
    /// Reports without an answer.
    pub(super) unanswered: Vec<Report>,
}

impl Ledger {
    pub(super) fn leased(&mut self, held: &Held) -> Checked {
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

    pub(super) fn answered(&mut self, report: Report, verdict: Verdict) -> Checked {
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
pub(crate) fn origin(text: &str) -> Option<(JobId, Token)> {
    let (job, token) = text.split(' ').next()?.split_once(':')?;
    Some((JobId(job.parse().ok()?), Token(token.parse().ok()?)))
}
