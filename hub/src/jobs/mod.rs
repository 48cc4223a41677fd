//! The rules of runs and jobs, the same for both databases: the graph of a plan, states, delays, outcomes, and the changes that
//! one call makes to the rows. Pure functions of rows that were read: nothing here reads a clock, a database or a network.

pub(crate) mod arguments;
pub(crate) mod columns;
pub(crate) mod counts;
pub(crate) mod delay;
pub(crate) mod draft;
pub(crate) mod graph;
pub(crate) mod initial_state;
pub(crate) mod instance;
pub(crate) mod lease_batch;
pub(crate) mod outcome_rules;
pub(crate) mod run_cache;
pub(crate) mod state;
pub(crate) mod tally;
