//! What SQL steps have in common, whatever database runs them.

mod placeholders;
mod result;
mod rows;
mod table;
mod text;

pub(crate) use placeholders::mask_placeholders;
pub(crate) use result::{RowBuffer, unique_names};
pub(crate) use rows::{Columns, Naming, Rows, RowsError};
pub(crate) use table::{Shape, Table, no_table, quoted, table_name, unlike_rows};
pub(crate) use text::SqlText;
