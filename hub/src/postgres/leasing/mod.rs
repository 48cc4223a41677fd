//! Leasing: the queries behind [`crate::jobs::leasing`], and the values that leases contain.

mod lease;
pub(super) mod leased_jobs;
mod pick;
pub(super) mod rate;
mod ready_jobs;
pub(super) mod values;
