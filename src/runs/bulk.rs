//! Changing many runs: counted first, confirmed, then done, request by request.

use std::io::{self, IsTerminal};

use anyhow::Context;
use bue_client::{ClientError, HubClient};
use bue_model::bulk::{BulkRequest, BulkView, RunFilter};
use tokio::task::spawn_blocking;

use crate::process::command_error::CommandError;
use crate::process::output::{counted, eprint_line, eprint_text, print_line};

/// What is done to the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BulkVerb {
    Cancel,
    Reset,
    Delete,
}

impl BulkVerb {
    const fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Reset => "reset",
            Self::Delete => "delete",
        }
    }

    /// `cancelled`
    const fn done(self) -> &'static str {
        match self {
            Self::Cancel => "cancelled",
            Self::Reset => "reset",
            Self::Delete => "deleted",
        }
    }

    /// Which of the jobs are counted.
    const fn jobs(self) -> &'static str {
        match self {
            Self::Cancel => "open job",
            Self::Reset => "failed job",
            Self::Delete => "job",
        }
    }

    async fn send(self, hub: &HubClient, request: &BulkRequest) -> Result<BulkView, ClientError> {
        match self {
            Self::Cancel => hub.cancel_runs(request).await,
            Self::Reset => hub.reset_runs(request).await,
            Self::Delete => hub.delete_runs(request).await,
        }
    }
}

/// Counts what a request concerns, asks if that is more than one run or if the request is for all, and carries it out. Returns the number of jobs that were
/// changed; `None` if it was a dry run.
pub(crate) async fn change_runs(
    hub: &HubClient,
    verb: BulkVerb,
    request: BulkRequest,
    (dry_run, yes): (bool, bool),
) -> Result<Option<u64>, CommandError> {
    let found = all_of(hub, verb, BulkRequest { dry_run: true, ..request.clone() }).await?;
    if dry_run {
        print_dry_run(verb, &found)?;
        return Ok(None);
    }
    // to change all runs is seldom meant, whatever their number
    let is_for_all = request.filter == RunFilter::default();
    if !yes && (found.runs > 1 || (is_for_all && found.runs > 0)) {
        confirm(verb, &format!("{} {}?", verb.name(), jobs_of_runs(verb, &found))).await?;
    }
    let done = match found.runs + found.skipped {
        0 => found,
        _ => all_of(hub, verb, BulkRequest { dry_run: false, ..request }).await?,
    };
    for problem in &done.problems {
        eprint_line(&format!("bue: {}", problem.message));
    }
    if done.skipped > done.problems.len() as u64 {
        eprint_line(&format!(
            "bue: … and {} more runs that could not be {}",
            done.skipped - done.problems.len() as u64,
            verb.done()
        ));
    }
    eprint_line(&format!("runs {}: {}", verb.done(), done.runs));
    Ok(Some(done.jobs))
}

/// Sends a request until the hub has looked at all runs, and adds up the answers.
async fn all_of(hub: &HubClient, verb: BulkVerb, mut request: BulkRequest) -> Result<BulkView, CommandError> {
    let mut sum = BulkView::default();
    loop {
        let view = verb.send(hub, &request).await.with_context(|| format!("failed to {} runs", verb.name()))?;
        sum.runs += view.runs;
        sum.jobs += view.jobs;
        sum.skipped += view.skipped;
        sum.examples.extend(view.examples);
        sum.problems.extend(view.problems);
        sum.examples.truncate(MAX_SHOWN);
        sum.problems.truncate(MAX_SHOWN);
        match view.next {
            Some(next) => request.after = Some(next),
            None => return Ok(sum),
        }
    }
}

/// Runs that are shown.
const MAX_SHOWN: usize = 20;

fn print_dry_run(verb: BulkVerb, view: &BulkView) -> Result<(), CommandError> {
    for example in &view.examples {
        let jobs = counted(usize::try_from(example.jobs).unwrap_or(usize::MAX), "job");
        print_line(&format!("{}  {:9}  {jobs}  {}", example.run, example.state.name(), example.name))?;
    }
    let others = view.runs.saturating_sub(view.examples.len() as u64);
    if others > 0 {
        print_line(&format!("… and {others} more"))?;
    }
    eprint_line(&format!("bue: without --dry-run, this would {} {}", verb.name(), jobs_of_runs(verb, view)));
    Ok(())
}

/// `3 failed jobs of 2 runs`
fn jobs_of_runs(verb: BulkVerb, view: &BulkView) -> String {
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    format!("{} of {}", counted(number(view.jobs), verb.jobs()), counted(number(view.runs), "run"))
}

/// Asks on the terminal. Any answer but yes ends the command, and so does a standard input that is no terminal.
async fn confirm(verb: BulkVerb, question: &str) -> Result<(), CommandError> {
    if !io::stdin().is_terminal() {
        let name = verb.name();
        let message =
            format!("{question} Nobody can be asked here: name one run, or type `bue {name} -y` with the same flags");
        return Err(CommandError::Usage(message));
    }
    eprint_text(&format!("bue: {question} [y/N] "));
    let read = spawn_blocking(|| io::stdin().lines().next().transpose());
    let answer = read.await.context("failed to read the answer")?.context("failed to read the answer")?;
    match answer.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CommandError::Usage(format!("nothing was {}", verb.done()))),
    }
}
