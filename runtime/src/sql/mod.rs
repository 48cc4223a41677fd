//! What SQL steps have in common, whatever database runs them.

mod placeholders;
mod result;
mod table;
mod text;

pub(crate) use placeholders::mask_placeholders;
pub(crate) use result::{RowBuffer, unique_names};
pub(crate) use table::{Shape, Table, key_text, needs_rows, quoted, table_name, unlike_rows};
pub(crate) use text::SqlText;
