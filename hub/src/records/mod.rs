//! What a hub records for people: who changed what, and how many runs, jobs and workers there were. Pure.
//!
//! Uses `bue_model` and the lists of `jobs`; both stores use it.

pub(crate) mod audit;
pub(crate) mod history;
