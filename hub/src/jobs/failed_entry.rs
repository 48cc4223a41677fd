//! [`FailedEntry`]: how a failed job is listed among those of all runs. Pure.

use bue_model::NodeId;

use crate::error::HubError;
use crate::jobs::failure_record::FailureRecord;
use crate::jobs::graph::Graph;
use crate::jobs::headline::headline;

/// What a failed job is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedEntry {
    /// The name of its step.
    pub(crate) step: String,
    /// What its failure has in common with others of the same cause.
    pub(crate) headline: String,
}

impl FailedEntry {
    /// Describes a failed job of a run.
    pub(crate) fn new(graph: &Graph, node: NodeId, message: &str) -> Self {
        let step = graph.job(node).and_then(|job| graph.step_of(job));
        // a text column of PostgreSQL takes no NUL
        let step = step.map(|step| step.name.replace('\0', "")).unwrap_or_default();
        Self { step, headline: headline(message) }
    }

    /// Describes a failed job whose failure is stored.
    ///
    /// # Errors
    /// [`HubError::Damaged`]
    pub(crate) fn of_stored(graph: &Graph, node: NodeId, failure: Option<&[u8]>) -> Result<Self, HubError> {
        let record = failure.map(FailureRecord::decode).transpose()?;
        Ok(Self::new(graph, node, record.as_ref().map_or("", |record| &record.failure.message)))
    }
}
