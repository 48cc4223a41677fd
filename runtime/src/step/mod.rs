//! A step as both processes see it: the task, what it may use and reach, its log, its failures.
//!
//! Depends on `model` and on [`packages`](crate::packages), and on neither of [`parent`](crate::parent) and
//! [`host`](crate::host), which both use it.

pub(crate) mod box_future;
pub(crate) mod compiled_step;
pub(crate) mod failure;
pub(crate) mod limits;
pub(crate) mod log;
pub(crate) mod net_port;
pub(crate) mod permissions;
pub(crate) mod task;
pub(crate) mod timestamp;
