//! The wall around sandbox hosts: what a process can still do if a guest escapes from WebAssembly into it.
//!
//! ```text
//! spec.rs        what the parent orders: which mode, which user id, packages or none
//! raise.rs       the steps in order, in a child with one thread that has not touched a guest
//!   privileges.rs  user id, root folder, no new privileges, no dumps
//!   landlock.rs    no files, TCP connections, signals, abstract sockets
//!   syscalls.rs    the list of allowed system calls
//!   probe.rs       tries what must be refused now
//! escape/        what a host that was broken out of would try, for the tests
//! report.rs      which parts are up, what is missing and how to get it
//! parent.rs      what the parent does about itself, and the user id of each child
//! ```
//! Depends on nothing of ours but what opens files that [`host`](crate::host) needs behind the wall.

pub(crate) mod escape;
pub(crate) mod landlock;
pub(crate) mod parent;
pub(crate) mod privileges;
pub(crate) mod probe;
pub(crate) mod raise;
pub(crate) mod report;
pub(crate) mod spec;
pub(crate) mod syscalls;
