//! The parent's side of the wall.

use std::fs;

use rustix::process::{DumpableBehavior, geteuid, set_dumpable_behavior};

use super::spec::UserId;

/// User ids that distributions leave unused, see <https://systemd.io/UIDS-GIDS/>. Each sandbox host has its own, up to this many.
const FIRST_UID: u32 = 60706;
const HOST_UIDS: u32 = 399;
/// The compiler's, which no sandbox host has.
const COMPILER_UID: u32 = FIRST_UID + HOST_UIDS;

/// `CAP_KILL`, `CAP_SETGID`, `CAP_SETUID`, `CAP_SYS_CHROOT`: to become another user, and to kill a process of that.
const NEEDED_CAPABILITIES: u64 = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 18;

/// Forbids other processes of this user to look into this one, which holds tokens and secrets. It writes no core dumps.
pub fn protect() {
    // supported by every kernel
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Returns the user that the sandbox host in this slot runs guests as.
pub(crate) fn user_of_host(slot: usize) -> UserId {
    user(uid_of_host(slot))
}

/// Returns the user that compiles steps.
pub(crate) fn user_of_compiler() -> UserId {
    user(COMPILER_UID)
}

fn uid_of_host(slot: usize) -> u32 {
    FIRST_UID + u32::try_from(slot).unwrap_or(0) % HOST_UIDS
}

/// Returns the user with this id, where this process may become it.
fn user(id: u32) -> UserId {
    match (geteuid().is_root(), capabilities()) {
        (false, _) => UserId::Inherited,
        (true, Some(held)) if held & NEEDED_CAPABILITIES == NEEDED_CAPABILITIES => UserId::Own(id),
        (true, _) => UserId::Root,
    }
}

/// Returns the effective capabilities of this process.
fn capabilities() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let hex = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_host_has_the_user_of_the_compiler() {
        assert!((0..2_000).all(|slot| (FIRST_UID..COMPILER_UID).contains(&uid_of_host(slot))));
    }
}
