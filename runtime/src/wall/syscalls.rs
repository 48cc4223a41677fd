//! The system calls that a sandbox host needs: those of Rust's and C's memory, threads and time, of tokio on one socket, of
//! wasmtime's memories and traps. A call that is not listed fails with `EPERM`, so that code which copes with the refusal of
//! an optional call goes on; glibc, for one, reads a file of `/proc` when a thread frees memory.
//!
//! A filter sees the arguments of a call, but not the memory that they point to. So it cannot limit `openat2`, whose flags are
//! in memory, nor the path of `fstatat` and `statx`: a path given to these two yields the metadata of a file, not its content.

use std::collections::BTreeMap;

use rustix::mm::ProtFlags;
use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, Le, MaskedEq};
use seccompiler::{
    BackendError, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};

/// Whether the files of packages may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PackageFiles {
    Allowed,
    Refused,
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Restricts all threads of this process to the calls that sandbox hosts need.
///
/// # Errors
/// Why the kernel accepts no filter.
pub(crate) fn restrict(packages: PackageFiles) -> Result<(), String> {
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    apply(no_clone3(), SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS.unsigned_abs()))?;
    // the last filter, because it forbids to add another
    apply(allowed(packages).map_err(|error| error.to_string())?, refuse, SeccompAction::Allow)
}

fn apply(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> Result<(), String> {
    let filter =
        SeccompFilter::new(rules, otherwise, matched, TargetArch::x86_64).map_err(|error| error.to_string())?;
    let program: seccompiler::BpfProgram = filter.try_into().map_err(|error: BackendError| error.to_string())?;
    apply_filter_all_threads(&program).map_err(|error| error.to_string())
}

/// `clone3` takes its flags in memory. Told that it does not exist, glibc uses `clone`, whose flags a filter sees.
fn no_clone3() -> Rules {
    Rules::from([(libc::SYS_clone3, Vec::new())])
}

fn allowed(packages: PackageFiles) -> Result<Rules, BackendError> {
    let mut rules: Rules = ALWAYS.iter().map(|call| (*call, Vec::new())).collect();
    // `clone3` is refused by the other filter
    rules.insert(libc::SYS_clone3, Vec::new());
    memory_rules(&mut rules)?;
    thread_rules(&mut rules)?;
    file_rules(&mut rules)?;
    if packages == PackageFiles::Allowed {
        package_rules(&mut rules)?;
    }
    Ok(rules)
}

/// Calls that are allowed with any arguments: they affect this process only, or descriptors that it already has.
const ALWAYS: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_ftruncate,
    libc::SYS_recvmsg,
    libc::SYS_recvfrom,
    libc::SYS_shutdown,
    libc::SYS_poll,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_ctl,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getrandom,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigreturn,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Memory is never writable and executable at once. Code that the wall has let in becomes executable when it is loaded.
fn memory_rules(rules: &mut Rules) -> Result<(), BackendError> {
    let (exec, write) = (u64::from(ProtFlags::EXEC.bits()), u64::from(ProtFlags::WRITE.bits()));
    let read_exec = u64::from((ProtFlags::READ | ProtFlags::EXEC).bits());
    add(rules, libc::SYS_mmap, &[(2, Dword, MaskedEq(exec), 0)])?;
    add(rules, libc::SYS_mprotect, &[(2, Dword, Le, write | 1)])?;
    add(rules, libc::SYS_mprotect, &[(2, Dword, Eq, read_exec)])?;
    for advice in MADVICE {
        add(rules, libc::SYS_madvise, &[(2, Dword, Eq, *advice)])?;
    }
    let huge = u64::from(libc::MFD_HUGETLB);
    add(rules, libc::SYS_memfd_create, &[(1, Dword, MaskedEq(huge), 0)])
}

/// `MADV_DONTNEED`, and `MADV_GUARD_INSTALL` and `MADV_GUARD_REMOVE`, with which newer versions of glibc guard stacks.
const MADVICE: &[u64] = &[4, 102, 103];

/// Threads, but no processes; signals to this process only.
fn thread_rules(rules: &mut Rules) -> Result<(), BackendError> {
    let flags = (libc::CLONE_THREAD | NAMESPACES).unsigned_abs();
    add(rules, libc::SYS_clone, &[(0, Qword, MaskedEq(u64::from(flags)), libc::CLONE_THREAD.unsigned_abs().into())])?;
    add(rules, libc::SYS_tgkill, &[(0, Dword, Eq, u64::from(std::process::id()))])?;
    add(rules, libc::SYS_prctl, &[(0, Dword, Eq, libc::PR_SET_NAME.unsigned_abs().into())])?;
    add(rules, libc::SYS_prctl, &[(0, Dword, Eq, PR_SET_VMA)])?;
    // only to read this process's limits
    add(rules, libc::SYS_prlimit64, &[(0, Dword, Eq, 0), (2, Qword, Eq, 0)])
}

const NAMESPACES: libc::c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;
/// Names a range of memory.
const PR_SET_VMA: u64 = 0x5356_4d41;

fn file_rules(rules: &mut Rules) -> Result<(), BackendError> {
    // to the socket's other end only
    add(rules, libc::SYS_sendto, &[(4, Qword, Eq, 0)])?;
    for request in [PAGEMAP_SCAN, libc::FIONBIO] {
        add(rules, libc::SYS_ioctl, &[(1, Dword, Eq, request)])?;
    }
    for command in [libc::F_GETFD, libc::F_GETFL, libc::F_DUPFD_CLOEXEC, libc::F_ADD_SEALS, libc::F_GET_SEALS]
        .map(i32::unsigned_abs)
    {
        add(rules, libc::SYS_fcntl, &[(1, Dword, Eq, u64::from(command))])?;
    }
    let empty_path = libc::AT_EMPTY_PATH.unsigned_abs().into();
    add(rules, libc::SYS_statx, &[(2, Dword, MaskedEq(empty_path), empty_path)])?;
    add(rules, libc::SYS_newfstatat, &[(3, Dword, MaskedEq(empty_path), empty_path)])
}

/// Finds the pages that a guest wrote to.
const PAGEMAP_SCAN: u64 = 0xc060_6610;

/// Reading below the folder of packages. The paths are limited by Landlock, or by the rights of a user that owns nothing.
fn package_rules(rules: &mut Rules) -> Result<(), BackendError> {
    let writes = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC;
    add(rules, libc::SYS_openat, &[(2, Dword, MaskedEq(writes.unsigned_abs().into()), 0)])?;
    // the entries of a folder
    let no_links = libc::AT_SYMLINK_NOFOLLOW.unsigned_abs().into();
    add(rules, libc::SYS_statx, &[(2, Dword, MaskedEq(no_links), no_links)])?;
    rules.insert(libc::SYS_openat2, Vec::new());
    rules.insert(libc::SYS_getdents64, Vec::new());
    Ok(())
}

/// Allows a call if all these conditions hold.
fn add(
    rules: &mut Rules,
    call: i64,
    conditions: &[(u8, SeccompCmpArgLen, SeccompCmpOp, u64)],
) -> Result<(), BackendError> {
    let conditions = conditions.iter().cloned();
    let conditions: Result<Vec<_>, _> =
        conditions.map(|(argument, len, op, value)| SeccompCondition::new(argument, len, op, value)).collect();
    rules.entry(call).or_default().push(SeccompRule::new(conditions?)?);
    Ok(())
}
