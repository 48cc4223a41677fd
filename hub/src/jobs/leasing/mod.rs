//! Which ready jobs a worker gets, in which order, what it is sent about them, and how long its leases last. Pure; the stores
//! run the queries.

pub(crate) mod arguments;
pub(crate) mod expiry;
pub(crate) mod isolation;
pub(crate) mod lease_batch;
pub(crate) mod pick;
