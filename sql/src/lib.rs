//! SQL steps: inputs as rows of tables, and rows as a result, whichever database runs them; and the execution of `sqlite3`
//! steps, in a guest.
//!
//! ```text
//! rows.rs        the rows of an input, read in place        table.rs   names of tables, inputs that cannot be one
//! declared.rs    values against declared columns            json.rs    values in a column of JSON
//! result.rs      the rows of a result, counted and limited  time.rs    dates and times as numbers
//! text.rs        the text of a step, with placeholders.rs   sqlite/    sqlite3 steps
//! ```
//! Without I/O: rows come from and go to a [`sqlite::Host`]. It also builds for `wasm32`.
#![forbid(unsafe_code)]

pub mod declared;
pub mod item;
pub mod json;
mod json_reader;
pub mod placeholders;
pub mod result;
pub mod rows;
pub mod rows_error;
pub mod sqlite;
pub mod table;
pub mod text;
pub mod time;
