//! How sandbox hosts are started.

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
}
