//! The pages, one file each. A page reads what it shows through `api`, as `/v1` does, and makes it of `parts`.

pub(super) mod activity;
pub(super) mod diff;
pub(super) mod downloads;
pub(super) mod error;
pub(super) mod errors;
pub(super) mod errors_reset;
pub(super) mod job;
pub(super) mod new_run;
pub(super) mod overview;
pub(super) mod overview_past;
pub(super) mod pipeline;
pub(super) mod pipelines;
pub(super) mod rerun;
pub(super) mod run;
pub(super) mod runs;
pub(super) mod runs_change;
pub(super) mod schedule;
pub(super) mod schedule_actions;
pub(super) mod schedules;
pub(super) mod settings;
pub(super) mod workers;
