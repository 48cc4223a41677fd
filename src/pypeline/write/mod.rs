//! A [`Project`](super::project::Project) to text.

mod python;
mod schedules;
mod script;

pub(super) use schedules::{schedule_json, schedules_text};
pub(super) use script::script_text;
