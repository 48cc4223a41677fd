//! Identical failures, printed once: a loop over ten thousand elements may fail ten thousand times for one reason.

use bue_model::wire::FailedJob;

use crate::process::output::counted;
use crate::runs::job_name::{call_text, failed_job_name, round_number};

/// The rounds that are named of a group.
const MAX_ROUNDS: usize = 10;

/// The jobs that are named of a group.
const MAX_NAMED_JOBS: usize = 3;

/// Failed jobs of one step with the same message, in the order of their numbers.
pub(crate) struct FailureGroup<'a> {
    /// The first one stands for all.
    pub(crate) first: &'a FailedJob,
    others: Vec<&'a FailedJob>,
}

/// Groups failed jobs whose step and message are equal, in the order of the first of each group.
pub(crate) fn grouped<'a>(failed: impl IntoIterator<Item = &'a FailedJob>) -> Vec<FailureGroup<'a>> {
    let mut groups: Vec<FailureGroup<'a>> = Vec::new();
    let mut positions = std::collections::HashMap::new();
    for job in failed {
        let position = *positions.entry((job.step.as_str(), job.failure.message.as_str())).or_insert(groups.len());
        match groups.get_mut(position) {
            Some(group) => group.others.push(job),
            None => groups.push(FailureGroup { first: job, others: Vec::new() }),
        }
    }
    groups
}

impl FailureGroup<'_> {
    /// Returns the number of its jobs.
    pub(crate) fn len(&self) -> usize {
        1 + self.others.len()
    }

    fn jobs(&self) -> impl Iterator<Item = &FailedJob> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }

    /// Formats it without tracebacks and logs: which job, or which jobs, failed with which message.
    pub(crate) fn header(&self) -> String {
        let FailedJob { step, failure, attempts, .. } = self.first;
        let location = format!("  step `{step}`, {}\n", call_text(self.first));
        if self.others.is_empty() {
            let attempts = if *attempts > 1 { format!(", after {attempts} attempts") } else { String::new() };
            return format!("failed: {}{attempts}: {}\n{location}", failed_job_name(self.first), failure.message);
        }
        let mut text = format!("failed: {} x {}{}\n{location}", self.len(), failure.message, self.rounds());
        for job in self.jobs().take(MAX_NAMED_JOBS) {
            text.push_str(&format!("  {}\n", failed_job_name(job)));
        }
        if self.len() > MAX_NAMED_JOBS {
            let more = counted(self.len() - MAX_NAMED_JOBS, "more job");
            text.push_str(&format!("  … and {more}; `--json` lists all of them; the first one's traceback:\n"));
        }
        text
    }

    /// `  (rounds 1, 3, 5, …)`
    fn rounds(&self) -> String {
        if self.first.rounds.is_empty() {
            return String::new();
        }
        let numbers: Vec<String> = self.jobs().take(MAX_ROUNDS).map(|job| round_number(&job.rounds)).collect();
        let more = if self.len() > MAX_ROUNDS { ", …" } else { "" };
        format!("  (rounds {}{more})", numbers.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use bue_model::{Failure, FailureKind, JobId, Round};

    use super::*;

    fn failed(job: u64, message: &str) -> FailedJob {
        FailedJob {
            job: JobId(job),
            step: "work".to_owned(),
            line: 3,
            rounds: vec![Round { variable: "x".to_owned(), line: 2, round: job, rounds: 40 }],
            arguments: Vec::new(),
            attempts: 1,
            worker: None,
            failure: Failure::new(FailureKind::Raised, message),
            log: None,
        }
    }

    #[test]
    fn equal_messages_are_one_group() {
        let mut jobs: Vec<FailedJob> = (1..=40).step_by(2).map(|job| failed(job, "bad id")).collect();
        jobs.insert(1, failed(2, "no such file"));
        let groups = grouped(&jobs);
        assert_eq!(groups.iter().map(FailureGroup::len).collect::<Vec<_>>(), [20, 1]);
        let header = groups[0].header();
        assert!(header.starts_with("failed: 20 x bad id  (rounds 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, …)\n"), "{header}");
        assert!(header.contains("work(), round 5 of 40, job 5\n  … and 17 more jobs"), "{header}");
        let header = groups[1].header();
        assert_eq!(
            header,
            "failed: work(), round 2 of 40, job 2: no such file\n  step `work`, called in line 3, for x in line 2\n"
        );
    }
}
