//! [`WallPart`]: the parts of the wall around sandbox hosts, which the runtime raises, workers report and hubs count.

use serde::{Deserialize, Serialize};

/// A part of the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WallPart {
    /// A list of allowed system calls.
    Seccomp,
    /// No files, TCP connections, signals and abstract sockets.
    Landlock,
    /// No core dumps, no tracing, no new privileges.
    NoDumps,
    /// A separate user, if the worker runs as root.
    OwnUser,
}

impl WallPart {
    /// All parts.
    pub const ALL: [Self; 4] = [Self::Seccomp, Self::Landlock, Self::NoDumps, Self::OwnUser];

    /// Returns its name in output and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seccomp => "seccomp",
            Self::Landlock => "landlock",
            Self::NoDumps => "no-dumps",
            Self::OwnUser => "own-user",
        }
    }

    /// Returns what it takes away from a process.
    #[must_use]
    pub const fn effect(self) -> &'static str {
        match self {
            Self::Seccomp => "only the system calls that sandboxes need: no sockets, programs, processes or tracing",
            Self::Landlock => "no files, TCP connections, signals and abstract sockets of others",
            Self::NoDumps => "no core dumps, no reading of its memory, no new privileges",
            Self::OwnUser => "a user that owns nothing, in place of root",
        }
    }

    /// Returns how to get it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Seccomp => "use a kernel with CONFIG_SECCOMP_FILTER, and let the container's profile allow `seccomp`",
            Self::Landlock => {
                "use Linux 5.13 or later with `landlock` in its boot parameter `lsm=`, and let the container's profile \
                 allow the `landlock_*` calls"
            }
            Self::NoDumps => "let the container's profile allow `prctl` and `setrlimit`",
            Self::OwnUser => {
                "give the worker CAP_SETUID, CAP_SETGID, CAP_KILL and CAP_SYS_CHROOT, or start it as an ordinary user"
            }
        }
    }
}
