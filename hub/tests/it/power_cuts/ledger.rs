//! [`Ledger`]: the answers that the worker and the submitter of a trial received, and what follows from them.

use std::collections::BTreeMap;

use bue_model::wire::{JobInput, Report, Verdict};
use bue_model::{JobId, Outcome, RunId, Token};

use super::Checked;
use crate::world::{LeasedJob, text_of};

/// The answers that the worker and the submitter received.
#[derive(Default)]
pub(super) struct Ledger {
    /// Submitted runs, and whether they were acknowledged.
    pub(super) runs: BTreeMap<RunId, bool>,
    /// The largest token seen for each job.
    tokens: BTreeMap<JobId, Token>,
    /// The token under which a job's result was accepted.
    pub(super) results: BTreeMap<JobId, Token>,
    /// Accepted reports that left their job open: sending them again changes nothing.
    pub(super) accepted: BTreeMap<JobId, Report>,
    /// Reports without an answer.
    pub(super) unanswered: Vec<Report>,
}

impl Ledger {
    pub(super) fn record_lease(&mut self, held: &LeasedJob) -> Checked {
        let (job, token) = (held.job(), held.lease.token);
        if self.results.contains_key(&job) {
            return Err(format!("job {job} was leased after its result was accepted"));
        }
        if self.tokens.insert(job, token).is_some_and(|before| before >= token) {
            return Err(format!("job {job} was leased twice under token {}", token.number));
        }
        for input in &held.lease.inputs {
            let JobInput::Value(value) = input else { continue };
            let Some((parent, token)) = origin(&text_of(value)) else { continue };
            if self.results.get(&parent).is_some_and(|accepted| *accepted != token) {
                return Err(format!("the result of job {parent} was replaced"));
            }
        }
        Ok(())
    }

    pub(super) fn record_verdict(&mut self, report: Report, verdict: Verdict) -> Checked {
        let (job, token) = (report.job, report.token);
        if verdict == Verdict::LeaseLost {
            return Ok(());
        }
        match &report.outcome {
            Outcome::Completed { .. } => {
                if self.results.insert(job, token).is_some_and(|before| before != token) {
                    return Err(format!("job {job} has two results"));
                }
                self.accepted.remove(&job);
            }
            // it starts over as if nothing had been reported
            Outcome::Reset { .. } => drop(self.accepted.remove(&job)),
            _ => drop(self.accepted.insert(job, report)),
        }
        Ok(())
    }
}

/// Returns the job that returned a value, and the token under which it was reported.
pub(crate) fn origin(text: &str) -> Option<(JobId, Token)> {
    let (job, token) = text.split(' ').next()?.split_once(':')?;
    Some((JobId(job.parse().ok()?), Token::unsealed(token.parse().ok()?)))
}
