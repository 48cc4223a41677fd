//! The kernel: rights, namespaces, mounts, and its many interfaces.

use super::attempt::{Attempt, EscapeTarget, attempt, int, scratch, text, words};

pub(crate) fn attempts(target: &EscapeTarget) -> Vec<Attempt> {
    [rights(), namespaces(), interfaces(), shared_objects(), memory(), descriptors(target)].concat()
}

fn rights() -> Vec<Attempt> {
    vec![
        attempt("become root", libc::SYS_setresuid, &[0, 0, 0]),
        attempt("the group of root", libc::SYS_setresgid, &[0, 0, 0]),
        attempt("groups", libc::SYS_setgroups, &[0, 0]),
        attempt("capabilities", libc::SYS_capset, &[words(&[0x2008_0522]), words(&[0, 0, 0])]),
        attempt("dumps", libc::SYS_prctl, &[int(libc::PR_SET_DUMPABLE), 1]),
        attempt("a debugger", libc::SYS_prctl, &[0x5961_6d61, usize::MAX]),
        attempt("ambient capabilities", libc::SYS_prctl, &[int(libc::PR_CAP_AMBIENT), 4, 0, 0, 0]),
        attempt("another seccomp filter", libc::SYS_seccomp, &[2, 0, words(&[0x7fff_0000])]),
        attempt("a Landlock ruleset", libc::SYS_landlock_create_ruleset, &[0, 0, 1]),
        attempt("another personality", libc::SYS_personality, &[0xffff_ffff]),
        attempt("ports", libc::SYS_ioperm, &[0x80, 1, 1]),
        attempt("all ports", libc::SYS_iopl, &[3]),
        attempt("a local descriptor table", libc::SYS_modify_ldt, &[0, scratch(), 8]),
        attempt("segment registers", libc::SYS_arch_prctl, &[0x1004, scratch()]),
    ]
}

fn namespaces() -> Vec<Attempt> {
    vec![
        attempt("a namespace of host names", libc::SYS_unshare, &[int(libc::CLONE_NEWUTS)]),
        attempt("a namespace of the network", libc::SYS_unshare, &[int(libc::CLONE_NEWNET)]),
        attempt("enter a namespace", libc::SYS_setns, &[0, 0]),
        attempt("mount", libc::SYS_mount, &[text("none"), text("/nowhere"), text("tmpfs"), 0, 0]),
        attempt("unmount", libc::SYS_umount2, &[text("/nowhere"), 0]),
        attempt("another root", libc::SYS_pivot_root, &[text("/nowhere"), text("/nowhere")]),
        attempt("open a mount tree", libc::SYS_open_tree, &[int(libc::AT_FDCWD), text("/"), 0]),
        attempt("a new file system", libc::SYS_fsopen, &[text("tmpfs"), 0]),
        attempt("the host's name", libc::SYS_sethostname, &[0, usize::MAX]),
        attempt("swap", libc::SYS_swapon, &[text("/nowhere"), 0]),
        attempt("accounting", libc::SYS_acct, &[text("/nowhere")]),
    ]
}

fn interfaces() -> Vec<Attempt> {
    vec![
        attempt("userfaultfd", libc::SYS_userfaultfd, &[1]),
        attempt("bpf", libc::SYS_bpf, &[0, words(&[2 | 4 << 32, 4 | 1 << 32]), 128]),
        attempt("perf_event_open", libc::SYS_perf_event_open, &[words(&[1 | 128 << 32]), 0, usize::MAX, usize::MAX, 0]),
        attempt("the kernel's log", libc::SYS_syslog, &[10, 0, 0]),
        attempt("a kernel module", libc::SYS_init_module, &[scratch(), 0, text("")]),
        attempt("a kernel module from a file", libc::SYS_finit_module, &[0, text(""), 0]),
        attempt("another kernel", libc::SYS_kexec_load, &[0, 0, 0, usize::MAX]),
        attempt("reboot", libc::SYS_reboot, &[0, 0, 0]),
        attempt("the clock", libc::SYS_clock_settime, &[0, 0]),
        attempt("the clock's speed", libc::SYS_adjtimex, &[scratch()]),
        attempt("a timer", libc::SYS_timer_create, &[1, 0, scratch()]),
        attempt("a timer as a file", libc::SYS_timerfd_create, &[1, 0]),
        attempt("signals as a file", libc::SYS_signalfd4, &[usize::MAX, scratch(), 8, 0]),
        attempt("asynchronous I/O", libc::SYS_io_setup, &[1, scratch()]),
        attempt("quotas", libc::SYS_quotactl, &[0, 0, 0, 0]),
        attempt("memory policies", libc::SYS_get_mempolicy, &[0, 0, 0, 0, 0]),
    ]
}

/// Objects of the kernel that processes of a user share.
fn shared_objects() -> Vec<Attempt> {
    vec![
        attempt("add a key", libc::SYS_add_key, &[text("user"), text("bue"), text("x"), 1, usize::MAX - 1]),
        attempt("ask for a key", libc::SYS_request_key, &[text("user"), text("bue"), 0, 0]),
        attempt("a keyring", libc::SYS_keyctl, &[0, usize::MAX - 1, 1]),
        attempt("shared memory", libc::SYS_shmget, &[0x6275_6500, 0, 0]),
        attempt("a message queue", libc::SYS_msgget, &[0x6275_6500, 0]),
        attempt("semaphores", libc::SYS_semget, &[0x6275_6500, 0, 0]),
        attempt("a POSIX message queue", libc::SYS_mq_open, &[text("bue-escape"), 0, 0, 0]),
    ]
}

fn memory() -> Vec<Attempt> {
    let (rwx, anonymous) = (7, int(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS));
    vec![
        attempt("map executable memory", libc::SYS_mmap, &[0, 4096, rwx, anonymous, usize::MAX, 0]),
        attempt("map a file as code", libc::SYS_mmap, &[0, 4096, 5, anonymous, usize::MAX, 0]),
        attempt("executable and writable", libc::SYS_mprotect, &[0, 0, rwx]),
        attempt("executable memory with a key", libc::SYS_pkey_mprotect, &[0, 0, 5, usize::MAX]),
        attempt("memory that merges with others", libc::SYS_madvise, &[0, 0, 12]),
        attempt("secret memory", libc::SYS_memfd_secret, &[0]),
        attempt("huge pages", libc::SYS_memfd_create, &[text("bue"), 4]),
        attempt("lock memory", libc::SYS_mlockall, &[1]),
        attempt("map its pages anew", libc::SYS_remap_file_pages, &[0, 0, 0, 0, 0]),
    ]
}

fn descriptors(target: &EscapeTarget) -> Vec<Attempt> {
    vec![
        attempt("send signals about its socket", libc::SYS_fcntl, &[0, int(libc::F_SETOWN), target.parent()]),
        attempt("change its socket's flags", libc::SYS_fcntl, &[0, int(libc::F_SETFL), int(libc::O_NONBLOCK)]),
        attempt("keep a descriptor over exec", libc::SYS_dup2, &[0, 9]),
        attempt("type into a terminal", libc::SYS_ioctl, &[2, 0x5412, text("x")]),
        attempt("lock a file", libc::SYS_flock, &[1, int(libc::LOCK_EX | libc::LOCK_NB)]),
        attempt("copy between files", libc::SYS_splice, &[0, 0, 1, 0, 0, 2]),
        attempt("a pipe", libc::SYS_pipe2, &[scratch(), 0]),
    ]
}
