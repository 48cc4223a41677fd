//! Services that are killed, paused, stopped and disconnected: real processes, and a ledger that the database itself keeps.
//! docs/reliability.md has the results of longer versions of these tests.
//!
//! ```text
//! kills       kill -9 of hubs and workers at any time
//! pauses      SIGSTOP past the lease, SIGCONT
//! stops       SIGTERM and Ctrl-C under load
//! faults      connections that are cut, slow or silent
//! full        a full file system
//! outages     a bucket that is away
//! reports     large reports, and reports that are refused
//! test_bed    bucket, hub and workers of one test
//! ledger      which worker committed which job under which lease
//! proxy       the faulty network
//! ```

mod faults;
mod full;
mod kills;
mod ledger;
mod outages;
mod pauses;
mod proxy;
mod reports;
// the seeds and repetitions of the hub's own tests
#[path = "../../../hub/tests/it/seeds.rs"]
mod seeds;
mod stops;
pub(crate) mod test_bed;
