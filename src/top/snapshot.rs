//! [`Snapshot`]: what the hub knows at one moment about the runs that are shown.

use bue_client::{ClientError, HubClient};
use bue_model::wire::{RunPage, RunView};
use bue_model::{RunId, RunState};

/// Open runs that are shown at most; each costs a request per interval.
const MAX_RUNS: usize = 20;

/// Steps after which no further run is read: nobody scrolls through more, and a run may have a thousand.
const MAX_STEPS: usize = 2_000;

/// Pages of the hub's list that are read for one snapshot at most. A page may have no runs although there are more.
const MAX_PAGES: usize = 5;

/// Which runs are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// One run.
    Run(RunId),
    /// The open runs that were submitted last.
    Open,
}

/// Runs with their steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Snapshot {
    /// The runs, newest first.
    pub(crate) runs: Vec<RunView>,
    /// There are more open runs than these.
    pub(crate) has_more: bool,
}

impl Snapshot {
    /// Returns the state of the selected run if it has ended. Open runs as a whole never end.
    pub(crate) fn end_state(&self, selection: Selection) -> Option<RunState> {
        let run = match selection {
            Selection::Run(_) => self.runs.first()?,
            Selection::Open => return None,
        };
        (run.state != RunState::Running).then_some(run.state)
    }
}

/// Requests the selected runs from the hub.
///
/// # Errors
/// The selected run does not exist, or the hub cannot be reached.
pub(crate) async fn read_snapshot(hub: &HubClient, selection: Selection) -> Result<Snapshot, ClientError> {
    match selection {
        Selection::Run(run) => Ok(Snapshot { runs: vec![hub.run(run, None, 0).await?], has_more: false }),
        Selection::Open => read_open(hub).await,
    }
}

async fn read_open(hub: &HubClient) -> Result<Snapshot, ClientError> {
    let (ids, mut has_more) = open_runs(hub).await?;
    let (mut runs, mut steps) = (Vec::new(), 0);
    for id in ids {
        if steps >= MAX_STEPS {
            has_more = true;
            break;
        }
        match hub.run(id, None, 0).await {
            Ok(run) => {
                steps += run.steps.len();
                runs.push(run);
            }
            // it was deleted a moment ago
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Snapshot { runs, has_more })
}

/// Returns the open runs that were submitted last, and whether there are more.
async fn open_runs(hub: &HubClient) -> Result<(Vec<RunId>, bool), ClientError> {
    let limit = MAX_RUNS.to_string();
    let (mut ids, mut after) = (Vec::new(), None::<String>);
    for _ in 0..MAX_PAGES {
        let mut query = vec![("state", RunState::Running.name()), ("limit", &limit)];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let RunPage { runs, next } = hub.run_page(&query).await?;
        ids.extend(runs.iter().map(|run| run.id));
        after = next;
        if after.is_none() || ids.len() >= MAX_RUNS {
            break;
        }
    }
    let has_more = after.is_some() || ids.len() > MAX_RUNS;
    ids.truncate(MAX_RUNS);
    Ok((ids, has_more))
}
