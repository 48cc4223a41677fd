//! Settings: where each is read from, and how its value is written.
//!
//! May use `process` and the other crates, no other folder of this one. Everything in the environment is read here, except
//! `BUE_LOG` and `NO_COLOR` (`process`) and the variables of compilers (`compiled`).
//!
//! ```text
//! setting      the table of all settings; unsupported: settings of older systems that have no effect
//! value_type   what a value in `bue.toml` may be
//! settings     flag > environment > .env > bue.toml > the user's own bue.toml > default
//! settings_file, trust_store, withheld   the files, which of them the user trusts, and what does not count of the others
//! effective    settings as people see them, without secrets
//! user_dirs    the folders of this user
//! address, duration, memory       how addresses, durations and amounts of memory are written
//! network, net_rules, secrets     what steps may reach
//! databases    the databases of postgres steps
//! environment  the environment variables of steps
//! limits       what a step may use
//! token        the token of clients and workers
//! ```

pub(crate) mod address;
pub(crate) mod databases;
pub(crate) mod duration;
pub(crate) mod effective;
pub(crate) mod environment;
pub(crate) mod limits;
pub(crate) mod memory;
pub(crate) mod net_rules;
pub(crate) mod network;
pub(crate) mod secrets;
pub(crate) mod setting;
pub(crate) mod settings;
pub(crate) mod settings_file;
pub(crate) mod token;
pub(crate) mod trust_store;
pub(crate) mod unsupported;
pub(crate) mod user_dirs;
pub(crate) mod value_type;
pub(crate) mod withheld;
