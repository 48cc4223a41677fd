//! A sandbox host that behaves as if a guest had broken out of it: native code behind the wall tries what an attacker would.
//!
//! `attempt.rs` makes one system call, `files.rs`, `network.rs`, `processes.rs` and `kernel.rs` list them, `report.rs` runs all. The
//! hidden flag `bue sandbox-host --as-if-escaped` leads here; the tests also run it without a wall, to see that the attempts
//! succeed there.

pub(crate) mod attempt;
pub(crate) mod files;
pub(crate) mod kernel;
pub(crate) mod network;
pub(crate) mod processes;
pub(crate) mod report;
