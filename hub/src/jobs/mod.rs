//! The rules of jobs, the same for both databases and pure: state and time in, state out.
//!
//! ```text
//! graph (the checked plan) <-- instance (rows and ids of a run) <-- changes (what a request changes)
//! state, counts, delay, initial_state, outcome_rules, original, matching_rounds: rules that `changes` applies
//! leasing: which jobs a worker gets, and what it is sent        views: what people and scripts read
//! failed_entry, headline, param_index: what jobs and runs are found by in lists
//! ended, traces: what is exported of attempts and runs, and the ids of their spans
//! ```
//! Nothing here performs IO or reads a clock. Uses `bue_model`, [`crate::error`] and [`crate::store`]; both stores use it.

pub(crate) mod attempts;
pub(crate) mod changes;
pub(crate) mod columns;
pub(crate) mod counts;
pub(crate) mod delay;
pub(crate) mod ended;
pub(crate) mod failed_entry;
pub(crate) mod failure_record;
pub(crate) mod graph;
pub(crate) mod headline;
pub(crate) mod initial_state;
pub(crate) mod instance;
pub(crate) mod leasing;
pub(crate) mod matching_rounds;
pub(crate) mod original;
pub(crate) mod outcome_rules;
pub(crate) mod param_index;
pub(crate) mod plan_body;
pub(crate) mod run_cache;
pub(crate) mod state;
pub(crate) mod traces;
pub(crate) mod views;
