//! The `bue` command. The only place that reads the command line and the environment, and the only one that prints.
//!
//! ```text
//! commands/    one verb, one file, one struct; its doc comment is its help
//! settings     flag > environment > .env > bue.toml > default; setting: the table of them; unsupported: what means nothing
//! allow        what steps may reach: flags, settings, secrets
//! limits       what they may cost
//! script       reads a script and everything its steps name; complaints before anything runs
//! databases    what postgres steps work on, as the settings say
//! package      the files of a step that travel with it
//! deps         Python packages: what steps need, bue.lock, wheels
//! upkeep       deletes old runs, and what they left in the bucket
//! services     hub, bucket and worker inside this process, over loopback
//! follow       waits for a run, shows how it goes
//! results      a run's values as JSON on stdout
//! failures     what failed, for people
//! stop, talk   exit codes; stdout is data, stderr is talk
//! ```
#![forbid(unsafe_code)]

mod address;
mod allow;
mod commands;
mod compiled;
mod databases;
mod deps;
mod duration;
mod failures;
mod follow;
mod imports;
mod limits;
mod local;
mod memory;
mod package;
mod progress;
mod reactor;
mod report_api;
mod results;
mod script;
mod sdk;
mod services;
mod setting;
mod settings;
mod stop;
mod submit;
mod talk;
mod unsupported;
mod upkeep;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Bue;

fn main() -> ExitCode {
    stop::report_panics();
    stop::exit_code(|| Bue::parse().execute())
}
