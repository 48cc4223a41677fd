//! Schedules: when a hub starts runs of published pipelines by itself. Pure: no clock, no store.
//!
//! ```text
//! request (JSON) --fields--> ScheduleSpec --Recurrence--> due times
//!                                |
//!      progress + now --> turn --+--> which runs start now, and the progress afterwards
//! ```
//! The stores keep, for each schedule, the text of its [`spec`], its [`progress`] and the time of its next turn; they carry a turn
//! out in one transaction. The run of a due time has an id that is computed from the schedule's name and that time ([`ids`]), so
//! it exists once, however many hubs start it.

pub(crate) mod backfill;
pub(crate) mod cron;
pub(crate) mod duration_text;
pub(crate) mod fields;
pub(crate) mod firing;
pub(crate) mod ids;
pub(crate) mod policy;
pub(crate) mod progress;
pub(crate) mod recurrence;
pub(crate) mod request;
pub(crate) mod spec;
pub(crate) mod time_text;
pub(crate) mod turn;
pub(crate) mod view;
pub(crate) mod zone;

/// Schedules in one page of a list.
pub(crate) const MAX_PAGE: u32 = 100;
