//! Settings of steps: `!timeout 5m`, `$ production`, `@ 5`. Which there are, what their values mean, and how several add up.
//!
//! Works on the text of a value; where a value begins and ends is the parser's business.

mod allow;
pub(crate) mod apply;
mod arithmetic;
pub(crate) mod at_most;
mod duration;
pub(crate) mod error;
mod files;
mod list;
pub(crate) mod names;
pub(crate) mod parse;
mod rate;
mod requires;
mod time;
pub(crate) mod value;

#[cfg(test)]
mod tests;
