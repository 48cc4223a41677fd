//! `bue status [RUN]`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use bue_client::HubClient;
use bue_model::wire::{JobQuery, RunView, UnservedScope};
use bue_model::{JobId, JobState, RunState};
use clap::Args;
use tokio::time::Instant;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::flags::params::names_and_values;
use crate::flags::target::{RunName, parse_job_id};
use crate::process::clock::now;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{clear_screen, eprint_line, json_text, print_line, redraw_line};
use crate::process::terminal::stdout_width;
use crate::runs::job_list::read_jobs;
use crate::runs::run_list::read_runs;
use crate::runs::status_line::{LineSchedule, line_text};
use crate::runs::tables::{job_table, run_table, run_text};
use crate::runs::times::utc_text;
use crate::runs::unserved::unserved_text;

/// Time between two updates of `-s`, as in Buelon.
const UPDATE_INTERVAL: Duration = Duration::from_secs(3);

/// Shows the state of the latest runs, of the steps of one run, or its jobs.
///
/// On a terminal, and if COLUMNS is set, tables leave out columns that do not fit.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// A run: its id, the first digits of it, or `last`
    run: Option<RunName>,
    /// List the jobs of the run
    #[arg(long, requires = "run")]
    jobs: bool,
    /// List only jobs of the run in this state; without a run, only runs in this state, or in several that commas separate
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// List only jobs of this step
    #[arg(long, value_name = "STEP", requires = "run")]
    step: Option<String>,
    /// List only jobs with numbers above this one
    #[arg(long, value_name = "JOB", requires = "run", value_parser = parse_job_id)]
    after: Option<JobId>,
    /// The most jobs or runs to list
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// List only runs of this pipeline
    #[arg(long, value_name = "NAME", conflicts_with = "run")]
    pipeline: Option<String>,
    /// List only runs of the script with this path; `etl/*` lists all whose paths begin with etl/
    #[arg(long, value_name = "PATH", conflicts_with = "run")]
    name: Option<String>,
    /// List only runs of pipelines that were given this value of a parameter. Can be repeated
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "run")]
    param: Vec<String>,
    /// List only runs that were created since then: 2h, 2026-11-01 or 2026-11-01T06:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "run")]
    since: Option<String>,
    /// Print one line: how many runs, jobs in each state and workers there are. The jobs are those of runs that have not ended
    #[arg(long, conflicts_with_all = ["run", "state", "pipeline", "name", "param", "since"])]
    line: bool,
    /// With --line -s: keep a line every 15 minutes, which begins with its time
    #[arg(short = 'l', long, requires = "line", requires = "subscribe")]
    lasting: bool,
    /// Update every three seconds, until Ctrl-C or until the run has ended. Lines that are not on a terminal are printed when
    /// something has changed
    #[arg(short = 's', long)]
    subscribe: bool,
    /// Print JSON as the hub returns it: one run, a list of runs, {"jobs", "next"}, or with --line {"counts", "oldest_run_at"};
    /// with -s, one line per update
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hub: HubFlags,
}

/// What is printed.
struct StatusText {
    text: String,
    warnings: Vec<String>,
    /// It will not change any more.
    is_final: bool,
}

impl Status {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        if self.line {
            return block_on(interruptible(self.follow_line(&hub)));
        }
        block_on(interruptible(async {
            loop {
                let StatusText { text, warnings, is_final } = self.current(&hub).await?;
                if self.subscribe && !self.json && std::io::stdout().is_terminal() {
                    clear_screen()?;
                }
                print_line(&text)?;
                warnings.iter().for_each(|warning| eprint_line(warning));
                if !self.subscribe || is_final {
                    return Ok(());
                }
                tokio::time::sleep(UPDATE_INTERVAL).await;
            }
        }))
    }

    /// Prints the counts of the hub on one line, and with -s again and again.
    async fn follow_line(&self, hub: &HubClient) -> Result<(), CommandError> {
        let redraws = self.subscribe && !self.json && std::io::stdout().is_terminal();
        let mut schedule = LineSchedule::new(self.lasting);
        loop {
            let view = hub.counts().await.context("failed to fetch the counts")?;
            let keeps = schedule.keeps(&view, Instant::now());
            let text = if self.json { to_json(&view)? } else { line_text(&view) };
            match (redraws, keeps && self.lasting && !self.json) {
                (true, true) => redraw_line(&format!("{} {text}\n", utc_text(view.counts.at)), None)?,
                (true, false) => redraw_line(&text, stdout_width())?,
                (false, true) => print_line(&format!("{} {text}", utc_text(view.counts.at)))?,
                (false, false) if keeps => print_line(&text)?,
                (false, false) => {}
            }
            if !self.subscribe {
                return Ok(());
            }
            tokio::time::sleep(UPDATE_INTERVAL).await;
        }
    }

    async fn current(&self, hub: &HubClient) -> Result<StatusText, CommandError> {
        match &self.run {
            Some(run) => self.run_status(hub, run).await,
            None => self.latest(hub).await,
        }
    }

    /// Fetches the state of one run.
    async fn run_status(&self, hub: &HubClient, run: &RunName) -> Result<StatusText, CommandError> {
        let run = run.resolve(hub).await?;
        let view = hub.run(run, None, 0).await.context("failed to fetch the run")?;
        let text = match (self.lists_jobs(), self.json) {
            (true, _) => self.jobs(hub, &view).await?,
            (false, true) => to_json(&view)?,
            (false, false) => run_text(&view, now(), stdout_width()),
        };
        let warnings = view.unserved.iter().map(unserved_text).collect();
        Ok(StatusText { text, warnings, is_final: view.state != RunState::Running })
    }

    const fn lists_jobs(&self) -> bool {
        self.jobs || self.state.is_some() || self.step.is_some() || self.after.is_some()
    }

    /// Lists jobs of a run.
    async fn jobs(&self, hub: &HubClient, view: &RunView) -> Result<String, CommandError> {
        let state = self.state.as_deref().map(parse_state).transpose().map_err(CommandError::Usage)?;
        let query = JobQuery { step: self.step.clone(), state, after: self.after, ..JobQuery::default() };
        let page = read_jobs(hub, view.id, query, self.limit).await?;
        match self.json {
            true => to_json(&page),
            false => Ok(job_table(&page, stdout_width())),
        }
    }

    /// Fetches the state of the latest runs. It is never final, because new runs may be submitted.
    async fn latest(&self, hub: &HubClient) -> Result<StatusText, CommandError> {
        let views = read_runs(hub, &self.filters()?, self.limit).await?;
        let text = match self.json {
            true => to_json(&views)?,
            false => run_table(&views, now(), stdout_width()),
        };
        Ok(StatusText { text, warnings: merged_warnings(&views), is_final: false })
    }
}

impl Status {
    /// Returns the filters of the list of runs, by the names of the hub's parameters.
    fn filters(&self) -> Result<Vec<(String, String)>, CommandError> {
        let texts =
            [("state", &self.state), ("pipeline", &self.pipeline), ("name", &self.name), ("since", &self.since)];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?)));
        let params = names_and_values(&self.param, "--param ")?;
        let params = params.into_iter().map(|(name, value)| (format!("param.{name}"), value.to_owned()));
        Ok(texts.chain(params).collect())
    }
}

/// Warns once of each scope, for all runs.
fn merged_warnings(views: &[RunView]) -> Vec<String> {
    let mut scopes: BTreeMap<&str, (BTreeSet<&str>, u64, u64)> = BTreeMap::new();
    for unserved in views.iter().flat_map(|view| &view.unserved) {
        let (steps, more_steps, jobs) = scopes.entry(&unserved.scope).or_default();
        steps.extend(unserved.steps.iter().map(String::as_str));
        *more_steps += unserved.more_steps;
        *jobs += unserved.jobs;
    }
    let merged = scopes.into_iter().map(|(scope, (steps, more_steps, jobs))| UnservedScope {
        scope: scope.to_owned(),
        steps: steps.into_iter().map(str::to_owned).collect(),
        more_steps,
        jobs,
    });
    merged.map(|unserved| unserved_text(&unserved)).collect()
}

fn to_json(value: &impl serde::Serialize) -> Result<String, CommandError> {
    Ok(json_text(value)?)
}

fn parse_state(text: &str) -> Result<JobState, String> {
    let states = JobState::ALL;
    let names = states.map(JobState::name).join(", ");
    states.into_iter().find(|state| state.name() == text).ok_or_else(|| format!("the states of jobs are {names}"))
}
