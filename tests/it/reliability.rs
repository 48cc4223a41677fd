//! What is promised of services that are killed, paused, stopped and cut off: real processes, and a ledger that the
//! database itself keeps. docs/reliability.md says what was seen in the long versions.
//!
//! ```text
//! kills       kill -9 of hubs and workers at any time
//! pauses      SIGSTOP past the lease, SIGCONT
//! stops       SIGTERM and Ctrl-C under load
//! faults      connections that are cut, slow, silent
//! full        a file system without room
//! site        bucket, hub and workers of one test
//! ledger      who committed what under which lease
//! proxy       the bad network
//! ```

mod faults;
mod full;
mod kills;
mod ledger;
mod pauses;
mod proxy;
// which seeds, and how often: as in the hub's own tests
#[path = "../../hub/tests/it/seeds.rs"]
mod seeds;
mod site;
mod stops;
