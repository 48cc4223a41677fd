//! The errors and the log of a step, as lines that can be drawn.

use bue_client::{BucketClient, ClientError, HubClient, LogEvent};
use bue_model::log::LogSelection;
use bue_model::text::printable;
use bue_model::wire::{JobQuery, JobView};
use bue_model::{JobState, RunId, ValueRef};
use tokio::sync::mpsc::Sender;

use crate::runs::job_name::job_name;
use crate::runs::live_log::labelled_lines;
use crate::top::state::{MAX_LINES, Topic};

/// Failed jobs whose errors are shown; `bue errors` prints all.
const MAX_ERRORS: u32 = 50;

/// What stands for a tab.
const TAB: &str = "    ";

/// Fetches the lines of a topic and sends them, those of a log as they are printed. If that fails, the error is a line.
pub(crate) async fn send_lines(
    (hub, bucket): (&HubClient, &BucketClient),
    topic: Topic,
    (run, step): (RunId, &str),
    lines: &Sender<Vec<String>>,
) {
    let sent = match topic {
        Topic::Errors => send_errors(hub, run, step, lines).await,
        Topic::Log => send_log((hub, bucket), run, step, lines).await,
    };
    if let Err(error) = sent {
        send(lines, &format!("failed: {error}")).await;
    }
}

async fn send_errors(hub: &HubClient, run: RunId, step: &str, lines: &Sender<Vec<String>>) -> Result<(), ClientError> {
    let page = hub.jobs(run, &query(step, JobState::Failed, MAX_ERRORS)).await?;
    for job in &page.jobs {
        send(lines, &error_text(job)).await;
    }
    match (page.jobs.is_empty(), page.next) {
        (true, None) => send(lines, "no job of this step has failed").await,
        (_, Some(_)) => send(lines, &format!("there may be more: `bue errors {run}` prints them")).await,
        (false, None) => {}
    }
    Ok(())
}

fn query(step: &str, state: JobState, limit: u32) -> JobQuery {
    JobQuery { step: Some(step.to_owned()), state: Some(state), limit, ..JobQuery::default() }
}

/// The job, its message and its trace.
fn error_text(job: &JobView) -> String {
    let failure = job.failure.as_ref();
    let message = failure.map_or("", |failure| failure.message.as_str());
    let trace = failure.and_then(|failure| failure.trace.as_deref()).unwrap_or_default();
    format!("job {}, {}:\n{message}\n{trace}\n", job.id, job_name(job))
}

/// Sends the log of a job that has ended, one that failed if there is one, and then what running jobs print.
async fn send_log(
    (hub, bucket): (&HubClient, &BucketClient),
    run: RunId,
    step: &str,
    lines: &Sender<Vec<String>>,
) -> Result<(), ClientError> {
    // from now on, so that nothing is lost that is printed meanwhile
    let mut follower = hub.follow_log(&LogSelection::Run { run, step: Some(step.to_owned()) }).await?;
    if let Some(job) = ended_job(hub, run, step).await? {
        let log = stored_log(hub, bucket, &job).await?;
        send(lines, &format!("job {} ({}):\n{log}", job.id, job.state.name())).await;
    }
    send(lines, "what running jobs print:").await;
    loop {
        match follower.next().await? {
            Some(LogEvent::Lines { log, missed }) => send(lines, &labelled_lines(&log, missed, true).join("\n")).await,
            Some(LogEvent::Lagged) => send(lines, "… lines are missing here; `bue logs JOB` prints them").await,
            Some(LogEvent::End { state }) => {
                send(lines, &format!("the run has ended: {state}")).await;
                return Ok(());
            }
            None => {
                send(lines, "the hub has stopped; Esc and `l` try again").await;
                return Ok(());
            }
        }
    }
}

async fn ended_job(hub: &HubClient, run: RunId, step: &str) -> Result<Option<JobView>, ClientError> {
    for state in [JobState::Failed, JobState::Completed] {
        if let Some(job) = hub.jobs(run, &query(step, state, 1)).await?.jobs.pop() {
            return Ok(Some(job));
        }
    }
    Ok(None)
}

async fn stored_log(hub: &HubClient, bucket: &BucketClient, job: &JobView) -> Result<String, ClientError> {
    let log = match hub.logs(job.id).await? {
        Some(ValueRef::Inline(bytes)) => bytes,
        Some(ValueRef::Blob(blob)) => bucket.get(&blob).await?,
        Some(ValueRef::List(_)) | None => return Ok("it printed nothing".to_owned()),
    };
    Ok(String::from_utf8_lossy(&log).into_owned())
}

/// Sends a text in lines. A reader that has gone away wants no more.
async fn send(lines: &Sender<Vec<String>>, text: &str) {
    let _ = lines.send(drawable_lines(text)).await;
}

/// Returns the last lines of a text, with printable characters only.
fn drawable_lines(text: &str) -> Vec<String> {
    let all: Vec<&str> = text.lines().collect();
    let last = all.get(all.len().saturating_sub(MAX_LINES)..).unwrap_or_default();
    last.iter().map(|line| printable(&line.replace('\t', TAB))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_printable_characters_only_and_are_bounded() {
        assert_eq!(drawable_lines("\ta\u{1b}[2J\r\n\u{202e}b\u{9b}\n"), ["    a[2J", "b"]);
        let lines = drawable_lines(&"x\n".repeat(MAX_LINES + 5));
        assert_eq!(lines.len(), MAX_LINES);
    }
}
