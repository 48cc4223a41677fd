//! The same tests as an ordinary user.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::Runtime;
use crate::common::{cache, keys};

/// `nobody`.
const UID: u32 = 65534;

/// Runs the tests of the wall again as another user, with a copy of the cache.
pub(crate) fn an_ordinary_user_has_the_same_wall(_: &Runtime) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let copied = folder.path().join("cache");
    fs::create_dir(&copied).expect("a folder");
    chown(&copied, Some(UID), Some(UID)).expect("given away");
    copy(&cache().join("sandbox"), &copied.join("sandbox"));
    copy(&keys(), &folder.path().join("keys"));
    chown(folder.path(), Some(UID), Some(UID)).expect("given away");
    let mut command = Command::new("/proc/self/exe");
    command.arg("the_wall").uid(UID).gid(UID).current_dir("/").env("BUE_TEST_CACHE", copied);
    let status = command.status().expect("started");
    assert!(status.success(), "{status}");
}

/// Copies the files of a folder, which then belong to the other user.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a folder");
    fs::set_permissions(to, fs::metadata(from).expect("there").permissions()).expect("its mode");
    chown(to, Some(UID), Some(UID)).expect("given away");
    for entry in fs::read_dir(from).expect("a folder").flatten().filter(|entry| entry.path().is_file()) {
        let target = to.join(entry.file_name());
        fs::copy(entry.path(), &target).expect("copied");
        chown(&target, Some(UID), Some(UID)).expect("given away");
    }
}
