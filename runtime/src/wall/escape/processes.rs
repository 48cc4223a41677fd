//! Other processes: new ones, its parent, its siblings.

use super::attempt::{Attempt, EscapeTarget, attempt, int, scratch, text, words};

pub(crate) fn attempts(target: &EscapeTarget) -> Vec<Attempt> {
    [started(), of_others(target), scheduled(target)].concat()
}

fn started() -> Vec<Attempt> {
    let program = || text("/nowhere/program");
    vec![
        attempt("fork", libc::SYS_fork, &[]),
        attempt("clone a process", libc::SYS_clone, &[int(libc::SIGCHLD), 0, 0, 0, 0]),
        attempt("clone3", libc::SYS_clone3, &[scratch(), 0]),
        attempt("execute a program", libc::SYS_execve, &[program(), 0, 0]),
        attempt("execute with execveat", libc::SYS_execveat, &[int(libc::AT_FDCWD), program(), 0, 0, 0]),
        attempt("a session of its own", libc::SYS_setsid, &[]),
        attempt("another process group", libc::SYS_setpgid, &[0, 0]),
        attempt("wait for a child", libc::SYS_wait4, &[usize::MAX, 0, int(libc::WNOHANG), 0]),
    ]
}

fn of_others(target: &EscapeTarget) -> Vec<Attempt> {
    let (parent, sibling) = (target.parent(), target.sibling_id());
    let part = || words(&[scratch() as u64, 8]);
    let peek = int(2);
    vec![
        attempt("signal the parent", libc::SYS_kill, &[parent, 0]),
        attempt("signal a sibling", libc::SYS_kill, &[sibling, 0]),
        attempt("signal all processes", libc::SYS_kill, &[usize::MAX, 0]),
        attempt("signal a thread of the parent", libc::SYS_tgkill, &[parent, parent, 0]),
        attempt("signal a thread of a sibling", libc::SYS_tkill, &[sibling, 0]),
        attempt("queue a signal", libc::SYS_rt_sigqueueinfo, &[parent, 0, words(&[0, u64::MAX << 32])]),
        attempt("trace a sibling", libc::SYS_ptrace, &[0x4206, sibling, 0, 0]),
        attempt("read the parent by ptrace", libc::SYS_ptrace, &[peek, parent, 0, 0]),
        attempt("read the parent's memory", libc::SYS_process_vm_readv, &[parent, part(), 1, part(), 1, 0]),
        attempt("write the parent's memory by a call", libc::SYS_process_vm_writev, &[parent, part(), 1, part(), 1, 0]),
        attempt("read a sibling's memory", libc::SYS_process_vm_readv, &[sibling, part(), 1, part(), 1, 0]),
        attempt("a descriptor of the parent", libc::SYS_pidfd_open, &[parent, 0]),
        attempt("a descriptor of a sibling", libc::SYS_pidfd_open, &[sibling, 0]),
        attempt("take a file of another process", libc::SYS_pidfd_getfd, &[0, 0, 0]),
        attempt("signal by a descriptor", libc::SYS_pidfd_send_signal, &[0, 0, 0, 0]),
        attempt("compare with the parent", libc::SYS_kcmp, &[parent, sibling, 0, 0, 0]),
        attempt("advise a process's memory", libc::SYS_process_madvise, &[0, part(), 1, 20, 0]),
        attempt("the robust list of the parent", libc::SYS_get_robust_list, &[parent, scratch(), scratch()]),
        attempt("the parent's process group", libc::SYS_getpgid, &[parent]),
        attempt("the parent's id", libc::SYS_getppid, &[]),
    ]
}

fn scheduled(target: &EscapeTarget) -> Vec<Attempt> {
    let (parent, sibling) = (target.parent(), target.sibling_id());
    vec![
        attempt("move a sibling to a core", libc::SYS_sched_setaffinity, &[sibling, 8, words(&[u64::MAX])]),
        attempt("the parent's priority", libc::SYS_setpriority, &[0, parent, 0]),
        attempt("a sibling's scheduler", libc::SYS_sched_setscheduler, &[sibling, 0, scratch()]),
        attempt("a sibling's I/O priority", libc::SYS_ioprio_set, &[1, sibling, 2 << 13 | 4]),
        attempt("the parent's limits", libc::SYS_prlimit64, &[parent, 7, 0, scratch()]),
        attempt("its own limits", libc::SYS_prlimit64, &[0, 4, words(&[0, 0]), 0]),
        attempt("its own limits by setrlimit", libc::SYS_setrlimit, &[4, words(&[0, 0])]),
    ]
}
