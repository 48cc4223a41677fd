//! `bue why JOB`.

use anyhow::Context;
use bue_model::wire::{ParentView, WhyView};
use bue_model::{JobId, JobState};
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::flags::target::parse_job_id;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{counted, print_json, print_line};
use crate::runs::attempt_lines::attempt_lines;
use crate::runs::job_name::job_name;

/// Explains the state of a job: why it is not running yet, or how it ended.
///
/// A job may wait for its parents, for a point in time, for its `!rate` or `!at_most`, for a worker that serves its scope, or for a free
/// slot.
#[derive(Debug, Args)]
pub(crate) struct Why {
    /// Number of the job
    #[arg(value_parser = parse_job_id)]
    job: JobId,
    /// Print JSON as the hub returns it: the job, its parents, its lease, the workers that serve its scope
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hub: HubFlags,
}

impl Why {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        let why = block_on(interruptible(async { Ok(hub.why(self.job).await.context("failed to fetch the job")?) }))?;
        match self.json {
            true => print_json(&why),
            false => print_line(&sentences(&why).join("\n")),
        }
    }
}

/// Explains the state in sentences, the most important first.
fn sentences(why: &WhyView) -> Vec<String> {
    let job = &why.job;
    let mut sentences = vec![format!("job {} ({}, run {}) is {}", job.id, job_name(job), job.run, job.state.name())];
    match job.state {
        JobState::Completed if job.reused => {
            sentences.push("it did not run: its run repeats another one, and has the result of that".to_owned());
        }
        JobState::Completed => sentences.push(format!("it ran on {}", worker_of(why))),
        JobState::Cancelled => sentences.push("it was cancelled, by a step's answer or by a user".to_owned()),
        JobState::Failed => sentences.extend(failed(why)),
        JobState::Running => sentences.push(running(why)),
        JobState::Blocked => sentences.extend(blocked(why)),
        JobState::Available => sentences.extend(available(why)),
    }
    sentences.extend(attempt_lines(job, why.now));
    sentences
}

fn failed(why: &WhyView) -> Vec<String> {
    let message = why.job.failure.as_ref().map_or("the reason is unknown", |failure| &failure.message);
    let failed = match (why.job.attempts, &why.job.worker) {
        (0, None) => format!("it failed before it started: {message}"),
        (0, Some(worker)) => format!("it failed on worker {worker}: {message}"),
        (attempts, _) => format!("it failed in its last attempt ({attempts}), on {}: {message}", worker_of(why)),
    };
    vec![failed, format!("`bue errors {}` prints the traceback, `bue reset {}` runs it again", why.job.run, why.job.id)]
}

fn running(why: &WhyView) -> String {
    let remaining = why.lease_ends_at.map_or(0, |end| end.since_ms(why.now));
    format!(
        "{} runs it; without a heartbeat within {}, the job goes to another worker",
        worker_of(why),
        seconds(remaining)
    )
}

fn blocked(why: &WhyView) -> Vec<String> {
    let mut sentences: Vec<String> = why.parents.iter().map(parent).collect();
    let more = (why.job.waiting_for as usize).saturating_sub(why.parents.len());
    if more > 0 {
        sentences.push(format!("and for {more} more"));
    }
    if let Some(failed) = why.job.blocked_by {
        sentences.push(format!("it stays blocked because job {failed} failed; `bue why {failed}` explains why"));
    }
    sentences.extend(expiry(why));
    sentences
}

/// When a job fails unless it has started.
fn expiry(why: &WhyView) -> Option<String> {
    let left = why.expires_at?.since_ms(why.now);
    Some(format!("if it has not started in {}, it fails, because of its !expires", seconds(left)))
}

fn parent(parent: &ParentView) -> String {
    match parent.rounds {
        Some((finished, all)) => {
            format!("it waits for all rounds of `{}`, {finished} of {all} rounds have ended", parent.name)
        }
        None => format!("it waits for job {} (step `{}`), which is {}", parent.job, parent.name, parent.state.name()),
    }
}

fn available(why: &WhyView) -> Vec<String> {
    let wait = why.job.available_at.since_ms(why.now);
    if wait > 0 {
        return vec![format!("it may start in {}, because {}", seconds(wait), delay_reason(why))];
    }
    let mut sentences = Vec::new();
    let closed = why.rate_opens_at.map_or(0, |opens| opens.since_ms(why.now));
    if closed > 0 {
        sentences.push(format!("its !rate allows the next start in {}", seconds(closed)));
    }
    if let Some(at_most) = why.at_most.filter(|at_most| at_most.running >= at_most.limit) {
        sentences.push(format!(
            "it waits because {} of {} are running, as its !at_most allows",
            at_most.running, at_most.limit
        ));
    }
    sentences.push(match why.served_by.as_slice() {
        [] => format!(
            "no worker has requested jobs of the scope `{}` lately; `bue worker -s {}` starts one",
            why.scope, why.scope
        ),
        workers => format!("it waits for a free slot of {}, which serve the scope `{}`", workers.join(", "), why.scope),
    });
    sentences.extend(expiry(why));
    sentences
}

fn delay_reason(why: &WhyView) -> String {
    match &why.job.failure {
        Some(failure) if why.job.attempts > 0 => format!("attempt {} failed: {}", why.job.attempts, failure.message),
        _ if why.pendings > 0 => format!("it has returned `pending` {} times so far", why.pendings),
        _ if why.releases > 0 => {
            format!("workers that stopped or were lost have released it {}", counted(why.releases as usize, "time"))
        }
        _ => "its call was reset with a delay".to_owned(),
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
    use bue_model::wire::{AtMostView, JobView};
    use bue_model::{Failure, FailureKind, RunId, Timestamp};

    use super::*;

    fn why(state: JobState) -> WhyView {
        let job = JobView {
            id: JobId(7),
            run: RunId(uuid::Uuid::nil()),
            step: "load".into(),
            line: 1,
            rounds: Vec::new(),
            arguments: Vec::new(),
            state,
            available_at: Timestamp(0),
            attempts: 0,
            started_at: None,
            run_ms: None,
            last_attempts: Vec::new(),
            waiting_for: 0,
            worker: None,
            failure: None,
            blocked_by: None,
            reused: false,
            digest: None,
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
            at_most: None,
            expires_at: None,
            served_by: Vec::new(),
        }
    }

    #[track_caller]
    fn assert_explains(why: &WhyView, parts: &[&str]) {
        let text = sentences(why).join("\n");
        for part in ["job 7 (step `load`"].iter().chain(parts) {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
    }

    #[test]
    fn each_reason_is_explained() {
        let mut blocked = why(JobState::Blocked);
        blocked.job.waiting_for = 3;
        let parent = |name: &str, state, rounds| ParentView { job: JobId(3), name: name.into(), state, rounds };
        blocked.parents = vec![
            parent("fetch", JobState::Failed, None),
            parent("for x in … (line 2)", JobState::Running, Some((1, 30))),
        ];
        blocked.job.blocked_by = Some(JobId(3));
        assert_explains(
            &blocked,
            &["job 3 (step `fetch`), which is failed", "1 of 30 rounds", "1 more", "`bue why 3`"],
        );

        let unserved = why(JobState::Available);
        assert_explains(&unserved, &["no worker", "bue worker -s heavy"]);
        assert_explains(&WhyView { served_by: vec!["w1".into()], ..unserved.clone() }, &["free slot of w1"]);
        assert_explains(&WhyView { rate_opens_at: Some(Timestamp(1_001)), ..unserved.clone() }, &["!rate", "in 1 s"]);

        let at_most = |running| Some(AtMostView { running, limit: 2 });
        assert_explains(&WhyView { at_most: at_most(2), ..unserved.clone() }, &["waits because 2 of 2 are running"]);
        let with_room = sentences(&WhyView { at_most: at_most(1), ..unserved.clone() }).join("\n");
        assert!(!with_room.contains("!at_most"), "{with_room}");
        let expires_at = Some(Timestamp(61_000));
        assert_explains(&WhyView { expires_at, ..unserved.clone() }, &["not started in 60 s, it fails", "!expires"]);
        assert_explains(&WhyView { expires_at, ..blocked }, &["not started in 60 s"]);

        let mut parked = unserved;
        parked.job.available_at = Timestamp(3_500);
        assert_explains(&WhyView { pendings: 4, ..parked.clone() }, &["in 3 s", "`pending` 4 times"]);
        assert_explains(&WhyView { releases: 1, ..parked.clone() }, &["released it 1 time"]);
        assert_explains(&parked, &["was reset"]);
        parked.job.attempts = 2;
        parked.job.failure = Some(Failure::new(FailureKind::Raised, "KeyError: 'x'"));
        assert_explains(&parked, &["attempt 2 failed: KeyError: 'x'"]);

        parked.job.state = JobState::Failed;
        assert_explains(&parked, &["last attempt (2), on an unknown worker: KeyError: 'x'", "bue reset 7"]);
        parked.job.attempts = 0;
        assert_explains(&parked, &["before it started: KeyError: 'x'"]);
        parked.job.worker = Some("w9".into());
        assert_explains(&parked, &["failed on worker w9: KeyError: 'x'"]);
        let mut running = WhyView { lease_ends_at: Some(Timestamp(6_001)), ..why(JobState::Running) };
        running.job.worker = Some("w9".into());
        assert_explains(&running, &["worker w9 runs it", "6 s"]);
        assert_explains(&why(JobState::Completed), &["is completed"]);
        let mut reused = why(JobState::Completed);
        reused.job.reused = true;
        assert_explains(&reused, &["did not run"]);
        assert_explains(&why(JobState::Cancelled), &["was cancelled"]);
    }
}
