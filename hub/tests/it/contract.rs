//! What every store promises. Each claim takes a [`World`](crate::world::World) on an empty store.

pub(crate) mod flow;
pub(crate) mod gathers;
pub(crate) mod leases;
pub(crate) mod loops;
pub(crate) mod order;
pub(crate) mod outcomes;
pub(crate) mod people;
pub(crate) mod plans;
