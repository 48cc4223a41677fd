//! What the tests and benchmarks of several crates share: a PostgreSQL cluster, other servers, a certificate authority, child processes,
//! mutated bytes, and waiting with deadlines.
#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "only tests and benchmarks use this crate, and they fail by panicking"
)]

pub mod authority;
pub mod cluster;
pub mod mutation;
pub mod process;
pub mod servers;
pub mod wait;
