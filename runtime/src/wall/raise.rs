//! Raises the wall: the parts in the order in which they are possible.

use std::fs::File;

use bue_model::WallPart;

use super::report::Wall;
use super::spec::{UserId, WallMode, WallSpec};
use super::syscalls::PackageFiles;
use super::{landlock, privileges, probe, syscalls};
use crate::host::memory::pagemap;

/// Raises what was ordered, as far as this machine offers it. Must be called while the process has one thread, because
/// Landlock applies to the calling thread and those that it starts. `packages` is the folder of packages.
///
/// # Errors
/// What is missing, if all parts were required.
pub(crate) fn raise(spec: WallSpec, packages: Option<&File>) -> Result<Wall, String> {
    let entered = packages.map(privileges::enter).transpose();
    entered.map_err(|error| format!("the folder of packages cannot be entered: {error}"))?;
    if spec.mode == WallMode::Off {
        return Ok(Wall { packages: packages.is_some(), ..Wall::default() });
    }
    open_what_is_needed_later();
    let mut wall = Wall::default();
    give_up_privileges(&mut wall, spec.user, packages.is_some());
    match landlock::restrict(packages) {
        Ok(_) if probe::can_read_files() => wall.add_missing(WallPart::Landlock, "files can still be read"),
        Ok(version) => wall.landlock = Some(version),
        Err(reason) => wall.add_missing(WallPart::Landlock, reason),
    }
    wall.packages = packages.is_some() && (wall.landlock.is_some() || wall.uid.is_some());
    let files = if wall.packages { PackageFiles::Allowed } else { PackageFiles::Refused };
    match syscalls::restrict(files) {
        Ok(()) if probe::refuses_syscalls() => wall.seccomp = true,
        Ok(()) => wall.add_missing(WallPart::Seccomp, "calls that are not on the list are still possible"),
        Err(reason) => wall.add_missing(WallPart::Seccomp, reason),
    }
    match spec.mode == WallMode::Require && !wall.missing.is_empty() {
        true => Err(format!("the wall around sandboxes is incomplete: {}", wall.missing_text())),
        false => Ok(wall),
    }
}

fn give_up_privileges(wall: &mut Wall, user: UserId, packages: bool) {
    match user {
        UserId::Inherited => {}
        UserId::Root => {
            wall.add_missing(WallPart::OwnUser, "the worker is root without the capabilities to be another");
        }
        UserId::Own(uid) => match privileges::become_user(uid, packages) {
            Ok(()) => wall.uid = Some(uid),
            Err(error) => wall.add_missing(WallPart::OwnUser, error),
        },
    }
    // after the change of user, which resets it
    match privileges::forbid_dumps() {
        Ok(()) if probe::can_be_dumped() => wall.add_missing(WallPart::NoDumps, "the kernel did not accept it"),
        Ok(()) => wall.no_dumps = true,
        Err(error) => wall.add_missing(WallPart::NoDumps, error),
    }
}

/// Files that this process would open later, when it cannot.
fn open_what_is_needed_later() {
    // read from the auxiliary vector, a file
    rustix::param::page_size();
    pagemap::open();
}
