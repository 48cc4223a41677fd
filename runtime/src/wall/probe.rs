//! Tries what the wall must refuse: what counts is what the kernel refuses, not what it was asked to.

use std::fs::File;

use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
use rustix::thread::no_new_privs;

/// Returns whether files outside the folder of packages can be read. Where that folder is the root of all paths, there are none.
pub(crate) fn can_read_files() -> bool {
    File::open("/proc/self/environ").is_ok()
}

/// Returns whether a harmless system call that is not on the list is refused.
pub(crate) fn refuses_syscalls() -> bool {
    // SAFETY: `getppid` has no arguments and no effect.
    unsafe { libc::syscall(libc::SYS_getppid) == -1 }
}

/// Returns whether the process can be dumped, or gain privileges. To be called before the list of system calls is in force.
pub(crate) fn can_be_dumped() -> bool {
    let is_closed = matches!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable))
        && getrlimit(Resource::Core).current == Some(0)
        && matches!(no_new_privs(), Ok(true));
    !is_closed
}
