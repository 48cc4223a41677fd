//! What a child gives up by the ordinary means of Unix.

use std::fs::File;
use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, fchdir, set_dumpable_behavior, setrlimit};
use rustix::thread::set_no_new_privs;

/// Makes the folder of packages the current folder, so that relative paths lead there.
pub(crate) fn enter(folder: &File) -> io::Result<()> {
    Ok(fchdir(folder)?)
}

/// Becomes a user that owns nothing. With it go all capabilities. If the current folder is that of packages, it becomes the root of all paths
/// before.
pub(crate) fn become_user(uid: u32, packages: bool) -> io::Result<()> {
    if packages {
        rustix::process::chroot(".")?;
    }
    // SAFETY: the calls take no memory: no groups, and three ids each.
    let results =
        [unsafe { libc::setgroups(0, core::ptr::null()) }, unsafe { libc::setresgid(uid, uid, uid) }, unsafe {
            libc::setresuid(uid, uid, uid)
        }];
    match results.iter().all(|result| *result == 0) {
        true => Ok(()),
        false => Err(io::Error::last_os_error()),
    }
}

/// No new privileges, no core dumps, and no process of this user may look into this one.
pub(crate) fn forbid_dumps() -> io::Result<()> {
    set_no_new_privs(true)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Closes the descriptors that this process inherited beside its standard streams. To be called before it has others.
pub(crate) fn close_inherited() {
    // SAFETY: the caller has no other descriptors yet, so that none is closed under its owner. A kernel before 5.9 refuses.
    let _ = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}
