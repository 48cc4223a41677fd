//! The edge of the process: exit codes, stdout and stderr, the event loop, signals, the clock, and randomness.
//!
//! May use nothing else of this crate. Only here (and in `config`, which reads the environment) does the command touch what a
//! test cannot replace.
//!
//! ```text
//! command_error  why a command failed
//! exit           the exit code of each outcome; panics
//! output         stdout is for data, stderr for messages
//! control_characters  what others wrote cannot control the terminal
//! table          tables that fit into a terminal
//! terminal       its width
//! logging        the log of hub, bucket and worker
//! event_loop     runs async code until it is done or interrupted
//! signals        Ctrl-C and SIGTERM
//! clock, random  the time; tokens, ids and names
//! secrets        what other programs do not get
//! ```

pub(crate) mod clock;
pub(crate) mod command_error;
pub(crate) mod control_characters;
pub(crate) mod event_loop;
pub(crate) mod exit;
pub(crate) mod logging;
pub(crate) mod output;
pub(crate) mod random;
pub(crate) mod secrets;
pub(crate) mod signals;
pub(crate) mod table;
pub(crate) mod terminal;
