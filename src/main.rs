//! The `bue` command. The only crate that reads the command line and the environment, and the only one that prints.
//!
//! ```text
//! commands/  one verb, one file, one struct; its doc comment is its help text
//! flags/     flags that several verbs share, and the clients and settings they turn into
//! server/    what `bue hub` and `bue bucket` need around their servers: stores, listeners, retention
//! local/     hub, bucket and worker inside this process
//! top/       the live table of `bue top`
//! runs/      a run as its client sees it: submit, follow, print results and failures
//! pypeline/  PypeLine's YAML to scripts and schedules
//! script/    reads and checks a script; packs the code of its steps
//! compiled/  builds steps of compiled languages
//! deps/      Python packages: requirements, bue.lock, wheels
//! sandbox    prepares the Python sandbox
//! config/    settings: environment, .env, bue.toml, and how their values are written
//! process/   exit codes, stdout and stderr, event loop, signals, clock, random numbers
//! ```
//! A folder uses those below it, never those above.
#![forbid(unsafe_code)]

mod commands;
mod compiled;
mod config;
mod deps;
mod flags;
mod local;
mod process;
mod pypeline;
mod runs;
mod sandbox;
mod script;
mod server;
mod top;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Bue;
use crate::process::exit;

fn main() -> ExitCode {
    exit::install_panic_hook();
    // compilers and pip are children of this process, and it may hold tokens
    bue_runtime::protect_process();
    exit::exit_code(|| Bue::parse().execute())
}
