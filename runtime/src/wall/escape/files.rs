//! Files: secrets of the parent, the cache, the machine.

use libc::{AT_FDCWD, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY};

use super::attempt::{Attempt, EscapeTarget, attempt, int, scratch, text, words};

pub(crate) fn attempts(target: &EscapeTarget) -> Vec<Attempt> {
    [opened(target), changed(target), looked_at(target)].concat()
}

fn open(name: &str, path: usize, flags: i32) -> Attempt {
    attempt(name, libc::SYS_openat, &[int(AT_FDCWD), path, int(flags), 0o600])
}

/// `openat2`, whose flags no filter of system calls can see.
fn open2(name: &str, path: usize, flags: i32) -> Attempt {
    let how = words(&[u64::from(flags.unsigned_abs()), if flags & O_CREAT == 0 { 0 } else { 0o600 }]);
    attempt(name, libc::SYS_openat2, &[int(AT_FDCWD), path, how, 24])
}

fn opened(target: &EscapeTarget) -> Vec<Attempt> {
    let key = || text(&target.key);
    vec![
        open("read the parent's environment", target.of_parent("environ"), O_RDONLY),
        open2("read the parent's environment with openat2", target.of_parent("environ"), O_RDONLY),
        open("write the parent's memory", target.of_parent("mem"), O_RDWR),
        open("read the parent's maps", target.of_parent("maps"), O_RDONLY),
        open("list the parent's descriptors", target.of_parent("fd"), O_RDONLY),
        open("read a sibling's environment", target.of_sibling("environ"), O_RDONLY),
        open("write a sibling's memory", target.of_sibling("mem"), O_RDWR),
        open("write its own memory as a file", text("/proc/self/mem"), O_RDWR),
        open2("reopen its own output", text("/proc/self/fd/1"), O_RDWR),
        open("read the key of the cache", key(), O_RDONLY),
        open2("read the key with openat2", key(), O_RDONLY),
        attempt("read the key with open", libc::SYS_open, &[key(), 0]),
        open("create a file in the cache", target.in_folder("created"), O_CREAT | O_WRONLY),
        open2("create a file with openat2", target.in_folder("created2"), O_CREAT | O_WRONLY),
        attempt("create a file with creat", libc::SYS_creat, &[target.in_folder("created3"), 0o600]),
        open("list the cache", text(&target.folder), O_RDONLY),
        open("read the users of the machine", text("/etc/passwd"), O_RDONLY),
        open("list the folder of programs", text("/usr/bin"), O_RDONLY),
        open2("leave the folder of packages", text("../../etc/passwd"), O_RDONLY),
        open("open a device", text("/dev/null"), O_RDWR),
        open("create a file in shared memory", text("/dev/shm/bue-escape"), O_CREAT | O_RDWR),
    ]
}

fn changed(target: &EscapeTarget) -> Vec<Attempt> {
    let victim = || target.in_folder("victim");
    vec![
        attempt("cut a file", libc::SYS_truncate, &[victim(), 0]),
        attempt("change a mode", libc::SYS_chmod, &[victim(), 0o644]),
        attempt("change a mode with fchmodat", libc::SYS_fchmodat, &[int(AT_FDCWD), victim(), 0o644]),
        attempt("change an owner", libc::SYS_chown, &[victim(), usize::MAX, usize::MAX]),
        attempt("change times", libc::SYS_utimensat, &[int(AT_FDCWD), victim(), 0, 0]),
        attempt("set an attribute", libc::SYS_setxattr, &[victim(), text("user.bue"), text("x"), 1]),
        attempt("link a file", libc::SYS_link, &[victim(), target.in_folder("linked")]),
        attempt("make a symbolic link", libc::SYS_symlink, &[text("/etc"), target.in_folder("symlink")]),
        attempt("make a folder", libc::SYS_mkdir, &[target.in_folder("made"), 0o700]),
        attempt("make a pipe in the cache", libc::SYS_mknod, &[target.in_folder("pipe"), 0o010_600]),
        attempt("rename a file", libc::SYS_rename, &[victim(), target.in_folder("renamed")]),
        attempt("remove a file", libc::SYS_unlink, &[target.in_folder("renamed")]),
        attempt("remove a folder", libc::SYS_rmdir, &[target.in_folder("made")]),
    ]
}

fn looked_at(target: &EscapeTarget) -> Vec<Attempt> {
    let key = || text(&target.key);
    vec![
        attempt("stat the key", libc::SYS_stat, &[key(), scratch()]),
        attempt("test access to the key", libc::SYS_access, &[key(), 0]),
        attempt("read a link", libc::SYS_readlink, &[text("/proc/self/exe"), scratch(), 4096]),
        attempt("name the current folder", libc::SYS_getcwd, &[scratch(), 4096]),
        attempt("change the current folder", libc::SYS_chdir, &[text("/")]),
        attempt("change the root folder", libc::SYS_chroot, &[text("/")]),
        attempt(
            "get a handle of the key",
            libc::SYS_name_to_handle_at,
            &[int(AT_FDCWD), key(), words(&[128]), scratch(), 0],
        ),
        attempt("open by a handle", libc::SYS_open_by_handle_at, &[int(AT_FDCWD), words(&[8 | 1 << 32]), 0]),
        attempt("watch files", libc::SYS_inotify_init1, &[0]),
        attempt("watch the whole file system", libc::SYS_fanotify_init, &[0, 0]),
        attempt("statistics of a file system", libc::SYS_statfs, &[text("/"), scratch()]),
    ]
}
