//! How many jobs are where. Adds counts up that are kept anyway, of runs that are open.

use bue_model::RunState;
use rusqlite::params;

use super::ledger::{Ledger, unsigned};
use super::state::run_state_code;
use crate::error::HubError;
use crate::jobs::tally::{MAX_RUNS, Tally};

impl Ledger<'_> {
    pub(super) fn tally(&mut self) -> Result<Tally, HubError> {
        let open = run_state_code(RunState::Running);
        let mut count = self.db.prepare_cached("SELECT count(*) FROM run WHERE state = ?1")?;
        let open_runs = count.query_row([open], |row| row.get(0).map(unsigned))?;
        let mut select = self.db.prepare_cached("SELECT key FROM run WHERE state = ?1 ORDER BY key DESC LIMIT ?2")?;
        let keys: Vec<i64> = select.query_map(params![open, MAX_RUNS], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut tally = Tally { open_runs, ..Tally::default() };
        for key in keys {
            let run = self.run(key)?;
            let steps = self.step_views(key)?;
            steps.iter().zip(&run.graph.steps).for_each(|(view, step)| tally.add(&step.settings.scope, view));
        }
        Ok(tally)
    }
}
