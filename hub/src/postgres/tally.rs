//! How many jobs are where. Adds counts up that are kept anyway, of runs that are open, whichever hub took them in.

use bue_model::RunState;

use super::Inner;
use super::read::ask;
use super::verbs::patiently;
use super::view::step_view;
use crate::error::HubError;
use crate::jobs::columns::unsigned;
use crate::jobs::state::run_state_code;
use crate::jobs::tally::{MAX_RUNS, Tally};

impl Inner {
    pub(super) async fn tally(&self) -> Result<Tally, HubError> {
        patiently!(self.try_tally())
    }

    async fn try_tally(&self) -> Result<Tally, HubError> {
        let open = run_state_code(RunState::Running);
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let count = ask(&tx, "SELECT count(*) FROM run WHERE state = $1", &[&open]).await?;
        let open_runs = count.first().map_or(Ok(0), |row| row.try_get(0))?;
        let mut tally = Tally { open_runs: unsigned(open_runs), ..Tally::default() };
        let sql = "SELECT blocked, available, running, completed, failed, cancelled, attempts, retries, pendings, resets, run_ms,
                 run, step
             FROM step_count WHERE run IN (SELECT key FROM run WHERE state = $1 ORDER BY key DESC LIMIT $2)";
        for row in ask(&tx, sql, &[&open, &MAX_RUNS]).await? {
            let (key, step): (i64, i64) = (row.try_get(11)?, row.try_get(12)?);
            let run = self.run(&tx, key).await?;
            let step = usize::try_from(step).ok().and_then(|step| run.graph.steps.get(step));
            let step = step.ok_or_else(|| HubError::damaged(format!("run {key} counts a step it has not")))?;
            tally.add(&step.settings.scope, &step_view(&row, &step.name)?);
        }
        Ok(tally)
    }
}
