//! One postgres step to run.

use std::sync::Arc;

use bue_model::Bundle;
use bue_sql::placeholders::Placeholders;
use bytes::Bytes;

use crate::step::limits::Limits;

/// A postgres step.
#[derive(Clone, Debug)]
pub struct Query {
    /// The statements are the text of its entry.
    pub bundle: Arc<Bundle>,
    /// The table that the first input becomes: the text of an [`SqlTable`](bue_model::SqlTable).
    pub table: String,
    /// Values for `{{scope}}` and so on.
    pub placeholders: Placeholders,
    /// The name of the connection, if the step names one (`!allow postgres NAME`).
    pub connection: Option<String>,
    /// The arguments, CBOR each.
    pub inputs: Vec<Bytes>,
    /// A loop runs over the result: its rows are sent as [`Event::Items`](crate::Event::Items) as they arrive.
    pub streamed: bool,
    /// What it may cost.
    pub limits: Limits,
}
