//! What a request changes, worked out in memory from rows that were read before. Pure: a snapshot in, a [`ChangeSet`] out.
//!
//! ```text
//! Snapshot (rows read so far) --> an operation on a ChangeSet --> Complete: the changes, to be written at once
//!    ^                                                        `-> Incomplete: what else must be read
//!    +------------- the store reads it, and the operation starts over ----------+
//! ```
//! A database is fastest with few large queries: each one costs a round trip, or at least a walk through a B-tree. So an operation
//! runs on what was read; where it meets a row that was not, it records the need and stops, and starts over on an empty change
//! set once the row is there too. The snapshot grows each time, so this ends. The store is the only writer, or holds the locks
//! on the runs, so what was read stays true meanwhile.
//!
//! | file | rules |
//! | --- | --- |
//! | `complete` | what a reported outcome changes |
//! | `release` | a lease that ends without an outcome: a worker died, gave the job up, or cannot get it |
//! | `expire` | a job that has not started in time |
//! | `reset`, `cancel` | starting over and cancelling, by a step or a person |
//! | `restore` | resets of what was cancelled |
//! | `reuse` | jobs of reruns that get the results of the run before |
//! | `propagate` | what becomes of dependants |
//! | `fan_out`, `instantiate` | rounds of loops and the rows of blocks |
//! | `stream` | loops that run while their source does |
//! | `settle` | how rounds, loops and runs end |
//! | `handlers` | the calls of `!on_failure` |
//! | `ending` | `finally` blocks, and the ends of runs |
//! | `ended` | which attempts and runs have ended, for those who export them |

mod cancel;
pub(crate) mod change_set;
mod complete;
mod ended;
mod ending;
mod expire;
mod fan_out;
mod handlers;
mod instantiate;
pub(crate) mod pending_notifications;
mod propagate;
mod release;
mod reset;
mod restore;
mod reuse;
pub(crate) mod rows;
mod settle;
pub(crate) mod snapshot;
mod stream;
