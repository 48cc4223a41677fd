//! Runs as a row of coloured cells, the newest on the right. Each leads to its run.

use bue_model::{RunId, RunState, Timestamp};
use maud::{Markup, html};

use crate::web::parts::times::relative;

/// A run in a row of cells.
pub(in crate::web) struct RunCell {
    pub(in crate::web) run: RunId,
    pub(in crate::web) state: RunState,
    /// When it started, or was due.
    pub(in crate::web) at: Timestamp,
}

/// The runs, newest first, as cells. The text of a cell says what its colour says.
pub(in crate::web) fn run_cells(now: Timestamp, runs: &[RunCell]) -> Markup {
    html! {
        span.cells {
            @for RunCell { run, state, at } in runs.iter().rev() {
                @let label = format!("{}, {}", state.name(), relative(now, *at));
                a class={ "cell " (state.name()) } href=(format!("/runs/{run}")) title=(label) aria-label=(label) {}
            }
        }
    }
}
