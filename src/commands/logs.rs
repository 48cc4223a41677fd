//! `bue logs [-f] JOB|RUN`.

use anyhow::{Context, anyhow};
use bue_client::{BucketClient, HubClient};
use bue_model::log::{LogSelection, LogView};
use bue_model::{JobId, JobState, ValueRef};
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::{ClientFlags, Clients};
use crate::flags::target::{Target, TargetName};
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{eprint_line, print_text};
use crate::runs::live_log::{LiveLog, labelled_lines};

/// Prints what a step prints: the log of a job's last attempt, or with -f what running jobs print, as they print it.
///
/// Each line has its time; the lines of a run also have their step and job in front. Characters that would control the
/// terminal are left out. A log keeps the first megabyte of an attempt ([limits] log_bytes).
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The number of a job; with -f also a run: its id, the first digits of it, or `last`
    target: TargetName,
    /// Follow the running job, or all running jobs of the run, until it has ended
    #[arg(short = 'f', long)]
    follow: bool,
    /// With -f RUN: only the jobs of this step
    #[arg(long, requires = "follow")]
    step: Option<String>,
    #[command(flatten)]
    servers: ClientFlags,
}

impl Logs {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        block_on(interruptible(async {
            let Clients { hub, bucket } = self.servers.connect(&settings).await?;
            let selection = self.selection(self.target.resolve(&hub).await?)?;
            match (self.follow, &selection) {
                (false, LogSelection::Job(job)) => print_log(&hub, &bucket, *job).await,
                _ => follow(&hub, &bucket, selection).await,
            }
        }))
    }

    fn selection(&self, target: Target) -> Result<LogSelection, CommandError> {
        match (target, &self.step, self.follow) {
            (Target::Job(job), None, _) => Ok(LogSelection::Job(job)),
            (Target::Run(run), step, true) => Ok(LogSelection::Run { run, step: step.clone() }),
            (Target::Job(_), Some(_), _) => {
                Err(CommandError::Usage("--step needs a run, and this is a job; leave it out".to_owned()))
            }
            (Target::Run(run), _, false) => Err(CommandError::Usage(format!(
                "`bue logs -f {run}` follows a run; without -f, name a job: `bue logs JOB`"
            ))),
        }
    }
}

/// Prints the log of a job's last attempt.
async fn print_log(hub: &HubClient, bucket: &BucketClient, job: JobId) -> Result<(), CommandError> {
    let log = match hub.logs(job).await.context("failed to look up the log")? {
        None => Vec::new().into(),
        Some(ValueRef::Inline(bytes)) => bytes,
        Some(ValueRef::Blob(blob)) => bucket.get(&blob).await.context("failed to fetch the log")?,
        Some(ValueRef::List(_)) => return Err(CommandError::Environment(anyhow!("the stored log is not text"))),
    };
    if hub.job(job).await.context("failed to look up the job")?.state == JobState::Running {
        eprint_line(&format!("bue: job {job} is running; `bue logs -f {job}` shows what it prints"));
    }
    print_text(&String::from_utf8_lossy(&log))
}

/// Prints what jobs print until they have ended. The log of a job that ended before is printed whole.
async fn follow(hub: &HubClient, bucket: &BucketClient, selection: LogSelection) -> Result<(), CommandError> {
    let job = match &selection {
        LogSelection::Job(job) => Some(*job),
        LogSelection::Run { .. } => None,
    };
    let live_log = LiveLog::start(hub, selection).await?;
    let has_lines = live_log.follow(|log, missed| print_lines(log, missed, job.is_none())).await?;
    match job {
        Some(job) if !has_lines => print_log(hub, bucket, job).await,
        _ => Ok(()),
    }
}

fn print_lines(log: &LogView, missed: u64, has_label: bool) -> Result<(), CommandError> {
    if has_label {
        return print_text(
            &labelled_lines(log, missed, true).iter().map(|line| format!("{line}\n")).collect::<String>(),
        );
    }
    if missed > 0 {
        eprint_line(&format!("bue: {missed} bytes did not arrive; `bue logs {}` prints the whole log", log.job));
    }
    print_text(&log.lines)
}
