//! Leasing: the queries behind [`crate::jobs::leasing`], and the arguments of leased jobs.

pub(super) mod arguments;
mod lease;
mod pick;
mod rate;
