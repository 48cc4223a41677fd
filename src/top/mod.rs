//! `bue top`: the steps of runs as they progress, on a terminal or as lines of JSON.
//!
//! ```text
//! snapshot   what the hub knows at one moment          json     a line per interval, for programs
//!    |                                                 app      keys and answers to state, until `q`
//!  rows      a row per step, with rates                screen   takes the terminal and gives it back
//!    |                                                 details  errors and logs of a step, as lines
//!  columns   cells, order, what fits into a width
//!    |
//!  state     keys, selection, filter, order
//!    |
//!  draw      state to characters
//! ```
//! From `rows` down to `draw` everything is pure: time and size are arguments. May use `runs`, `flags` and `process`.

pub(crate) mod app;
pub(crate) mod columns;
mod details;
mod draw;
pub(crate) mod json;
pub(crate) mod rows;
mod screen;
pub(crate) mod snapshot;
mod state;
