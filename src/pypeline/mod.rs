//! PypeLine's YAML, `sermos.yaml` and `pypeline.yaml`, to scripts and a file of schedules. Pure: text in, files and warnings out.
//!
//! ```text
//! text --yaml--> Node --read--> Project --write--> Conversion: NAME.bue, schedules.toml
//!    \______________\______________\_______ problem: errors and warnings, each with its line and column
//! ```
//! A key of the file is converted, or a warning or an error names it; none is dropped.
//!
//! ```text
//! problem    errors and warnings with their places
//! yaml       YAML text to a tree of a bounded size
//! variables  `${NAME:default}`
//! data       values, as JSON, as Python, and in scripts
//! names      names of steps and files that differ from those in the YAML
//! project    what the file says, checked
//! graph      `dagAdjacency`: the parents of each node, cycles
//! cron       crontab fields, as Celery and APScheduler read them
//! read       tree to `Project`
//! write      `Project` to text
//! convert    all of it in a row
//! ```

mod convert;
mod cron;
mod data;
mod graph;
mod names;
mod problem;
mod project;
mod read;
mod variables;
mod write;
mod yaml;

pub(crate) use convert::{Conversion, ImportedScript, convert};
pub(crate) use problem::{Place, Problem, Problems};
pub(crate) use project::Handler;
pub(crate) use variables::{Variables, is_variable_name};
pub(crate) use yaml::MAX_YAML;
