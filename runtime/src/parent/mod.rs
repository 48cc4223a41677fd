//! The parent process, a worker or a local run: it prepares the Python image, starts sandbox hosts, hands tasks to them
//! and holds the network.
//!
//! Depends on [`step`](crate::step) and [`protocol`](crate::protocol), and on [`host`](crate::host) only to prepare what
//! hosts map: the guest's code, its base image and compiled steps.

pub(crate) mod bucket;
pub(crate) mod cache;
pub(crate) mod child;
pub(crate) mod egress;
pub(crate) mod fair_places;
pub(crate) mod hosts;
pub(crate) mod machine;
pub(crate) mod prepare;
pub(crate) mod running;
pub(crate) mod sealed;
pub(crate) mod simulated_time;
pub(crate) mod step_compiler;
pub(crate) mod wall;
