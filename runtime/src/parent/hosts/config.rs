//! How sandbox hosts are started.

use core::time::Duration;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::packages::sites::Sites;
use crate::parent::egress::Egress;
use crate::prepared::Prepared;
use crate::wall::spec::WallMode;

/// How to start sandbox hosts.
#[derive(Clone, Debug)]
pub struct HostsConfig {
    /// The program's absolute path and its arguments. It must call [`serve_sandbox_host`](crate::serve_sandbox_host).
    pub command: (PathBuf, Vec<OsString>),
    /// The number of hosts: one per core, because each runs its guests in one thread. 0 counts as 1.
    pub hosts: usize,
    /// The guest that they run.
    pub prepared: Prepared,
    /// The network of their steps.
    pub egress: Egress,
    /// The packages of their steps; `None` if no step has packages.
    pub packages: Option<Sites>,
    /// The wall around the hosts.
    pub wall: WallMode,
    /// When a host is replaced.
    pub lifecycle: HostLifecycle,
}

/// When a sandbox host is replaced by a new process.
#[derive(Clone, Debug)]
pub struct HostLifecycle {
    /// The time between two questions whether a host is alive.
    pub ping_interval: Duration,
    /// A host that has not answered for this many intervals is killed, and its steps end with [`HostLost`](crate::HostLost). At
    /// least 1.
    pub max_missed_pings: u32,
    /// Steps after which a host gets no more. It ends when those that it has are finished, and a new one takes its place. So what a
    /// guest may have left in a process does not stay for long.
    pub steps: u64,
}

/// A host may be silent for 30 s. One that computes answers within milliseconds, but the machine may be short of memory. Renewing
/// takes about as long as ten small steps, and each module's image must be made again.
impl Default for HostLifecycle {
    fn default() -> Self {
        Self { ping_interval: Duration::from_secs(5), max_missed_pings: 6, steps: 100_000 }
    }
}
