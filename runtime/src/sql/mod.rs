//! What SQL steps have in common, whichever database runs them: inputs as rows of tables, and rows as a result.
//!
//! Depends on [`step`](crate::step) and on no database's client.

pub(crate) mod declared;
pub(crate) mod item;
pub(crate) mod json;
mod json_reader;
pub(crate) mod placeholders;
pub(crate) mod result;
pub(crate) mod rows;
pub(crate) mod rows_error;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod time;
