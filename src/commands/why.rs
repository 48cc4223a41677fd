//! `bue why JOB`.

use anyhow::Context;
use bue_model::wire::{ParentView, WhyView};
use bue_model::{JobId, JobState};
use clap::Args;

use crate::commands::remote::HubFlag;
use crate::commands::target::job_id;
use crate::reactor::{block_on, interruptible};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::print;

/// Says why a job is not running, or what became of it.
///
/// It may wait for its parents, for a time, for its `!rate`, for a worker that serves its scope, or for its turn.
#[derive(Debug, Args)]
pub(crate) struct Why {
    /// Number of the job
    #[arg(value_parser = job_id)]
    job: JobId,
    /// JSON, as the hub gives it: the job, its parents, its lease, who serves its scope
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hub: HubFlag,
}

impl Why {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let hub = self.hub.client(&Settings::load()?)?;
        let why = block_on(interruptible(async { Ok(hub.why(self.job).await.context("failed to ask for the job")?) }))?;
        match self.json {
            true => print(&serde_json::to_string(&why).context("failed to write JSON")?),
            false => print(&sentences(&why).join("\n")),
        }
    }
}

/// What a person would say of it, the most important first.
fn sentences(why: &WhyView) -> Vec<String> {
    let job = &why.job;
    let mut said = vec![format!("job {} (step `{}`, run {}) is {}", job.id, job.step, job.run, job.state.name())];
    match job.state {
        JobState::Completed => said.push(format!("it ran on {}", worker_of(why))),
        JobState::Cancelled => said.push("it was called off, by a step's answer or by a person".to_owned()),
        JobState::Failed => said.extend(failed(why)),
        JobState::Running => said.push(running(why)),
        JobState::Blocked => said.extend(blocked(why)),
        JobState::Available => said.extend(available(why)),
    }
    said
}

fn failed(why: &WhyView) -> Vec<String> {
    let attempts = why.job.attempts;
    let message = why.job.failure.as_ref().map_or("no reason was kept", |failure| &failure.message);
    vec![
        format!("it failed for good in attempt {attempts}, on {}: {message}", worker_of(why)),
        format!("`bue errors {}` has the traceback, `bue reset {}` tries it again", why.job.run, why.job.id),
    ]
}

fn running(why: &WhyView) -> String {
    let left = why.lease_ends_at.map_or(0, |end| end.since_ms(why.now));
    format!("{} runs it; if that is not heard of for {}, another worker gets it", worker_of(why), seconds(left))
}

fn blocked(why: &WhyView) -> Vec<String> {
    let mut said: Vec<String> = why.parents.iter().map(parent).collect();
    let more = (why.job.waiting_for as usize).saturating_sub(why.parents.len());
    if more > 0 {
        said.push(format!("and for {more} more"));
    }
    if let Some(failed) = why.job.blocked_by {
        said.push(format!("it stays blocked because job {failed} failed; `bue why {failed}` says why"));
    }
    said
}

fn parent(parent: &ParentView) -> String {
    let rounds = parent.rounds.map_or_else(String::new, |(over, all)| format!(", {over} of {all} rounds are over"));
    match parent.rounds {
        Some(_) => format!("it waits for all rounds of `{}`{rounds}", parent.name),
        None => format!("it waits for job {} (step `{}`), which is {}", parent.job, parent.name, parent.state.name()),
    }
}

fn available(why: &WhyView) -> Vec<String> {
    let wait = why.job.available_at.since_ms(why.now);
    if wait > 0 {
        return vec![format!("it may start in {}, because {}", seconds(wait), why_parked(why))];
    }
    let mut said = Vec::new();
    let closed = why.rate_opens_at.map_or(0, |opens| opens.since_ms(why.now));
    if closed > 0 {
        said.push(format!("its !rate lets the next job start in {}", seconds(closed)));
    }
    said.push(match why.served_by.as_slice() {
        [] => format!(
            "no worker has asked this hub for jobs of the scope `{}` lately; `bue worker -s {}` starts one",
            why.scope, why.scope
        ),
        workers => format!("it waits for a free slot of {}, which serve the scope `{}`", workers.join(", "), why.scope),
    });
    said
}

fn why_parked(why: &WhyView) -> String {
    match &why.job.failure {
        Some(failure) if why.job.attempts > 0 => format!("attempt {} failed: {}", why.job.attempts, failure.message),
        _ if why.pendings > 0 => format!("it said `pending` {} times so far", why.pendings),
        _ if why.releases > 0 => format!("{} workers gave it back or were lost with it", why.releases),
        _ => "its call was reset with a wait".to_owned(),
    }
}

fn worker_of(why: &WhyView) -> String {
    why.job.worker.as_ref().map_or_else(|| "an unknown worker".to_owned(), |worker| format!("worker {worker}"))
}

fn seconds(ms: u64) -> String {
    format!("{} s", ms.div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use bue_model::wire::JobView;
    use bue_model::{Failure, FailureKind, RunId, Timestamp};

    use super::*;

    fn why(state: JobState) -> WhyView {
        let job = JobView {
            id: JobId(7),
            run: RunId(uuid::Uuid::nil()),
            step: "load".into(),
            state,
            available_at: Timestamp(0),
            attempts: 0,
            waiting_for: 0,
            worker: None,
            failure: None,
            blocked_by: None,
        };
        WhyView {
            job,
            now: Timestamp(1_000),
            scope: "heavy".into(),
            parents: Vec::new(),
            pendings: 0,
            releases: 0,
            lease_ends_at: None,
            rate_opens_at: None,
            served_by: Vec::new(),
        }
    }

    #[track_caller]
    fn says(why: &WhyView, parts: &[&str]) {
        let said = sentences(why).join("\n");
        for part in ["job 7 (step `load`"].iter().chain(parts) {
            assert!(said.contains(part), "no `{part}` in\n{said}");
        }
    }

    #[test]
    fn each_reason_has_its_words() {
        let mut blocked = why(JobState::Blocked);
        blocked.job.waiting_for = 3;
        let parent = |name: &str, state, rounds| ParentView { job: JobId(3), name: name.into(), state, rounds };
        blocked.parents = vec![
            parent("fetch", JobState::Failed, None),
            parent("for x in … (line 2)", JobState::Running, Some((1, 30))),
        ];
        blocked.job.blocked_by = Some(JobId(3));
        says(&blocked, &["job 3 (step `fetch`), which is failed", "1 of 30 rounds", "1 more", "`bue why 3`"]);

        let unserved = why(JobState::Available);
        says(&unserved, &["no worker", "bue worker -s heavy"]);
        says(&WhyView { served_by: vec!["w1".into()], ..unserved.clone() }, &["free slot of w1"]);
        says(&WhyView { rate_opens_at: Some(Timestamp(1_001)), ..unserved.clone() }, &["!rate", "in 1 s"]);

        let mut parked = unserved;
        parked.job.available_at = Timestamp(3_500);
        says(&WhyView { pendings: 4, ..parked.clone() }, &["in 3 s", "`pending` 4 times"]);
        says(&WhyView { releases: 1, ..parked.clone() }, &["gave it back"]);
        says(&parked, &["was reset"]);
        parked.job.attempts = 2;
        parked.job.failure = Some(Failure::new(FailureKind::Raised, "KeyError: 'x'"));
        says(&parked, &["attempt 2 failed: KeyError: 'x'"]);

        parked.job.state = JobState::Failed;
        says(&parked, &["KeyError: 'x'", "bue reset 7"]);
        let mut running = WhyView { lease_ends_at: Some(Timestamp(6_001)), ..why(JobState::Running) };
        running.job.worker = Some("w9".into());
        says(&running, &["worker w9 runs it", "6 s"]);
        says(&why(JobState::Completed), &["is completed"]);
        says(&why(JobState::Cancelled), &["called off"]);
    }
}
