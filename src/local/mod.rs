//! Hub, bucket and worker inside this process, and a script run on them.
//!
//! May use `runs`, `script`, `sandbox`, `config` and `process`.

pub(crate) mod explain_wall;
pub(crate) mod run;
pub(crate) mod services;
pub(crate) mod simulation;
pub(crate) mod watch;
pub(crate) mod worker;
