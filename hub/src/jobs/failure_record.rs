//! [`FailureRecord`]: a failure with the arguments that it happened with, as both stores keep it.

use bue_model::{ArgumentSummary, Failure};

use crate::error::HubError;
use crate::jobs::columns::to_postcard;

/// A failure, and a summary of the arguments of the attempt.
///
/// Stored as postcard, the failure first. Rows of earlier releases end after the failure, and those releases ignore what
/// follows it, so no migration is needed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FailureRecord {
    pub(crate) failure: Failure,
    pub(crate) arguments: Vec<ArgumentSummary>,
}

impl From<Failure> for FailureRecord {
    fn from(failure: Failure) -> Self {
        Self { failure, arguments: Vec::new() }
    }
}

impl FailureRecord {
    /// Encodes it for its column.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, HubError> {
        to_postcard(&(&self.failure, &self.arguments))
    }

    /// Decodes a column.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HubError> {
        let damaged = |error: postcard::Error| HubError::damaged(error.to_string());
        let (failure, others) = postcard::take_from_bytes(bytes).map_err(damaged)?;
        let arguments = if others.is_empty() { Vec::new() } else { postcard::from_bytes(others).map_err(damaged)? };
        Ok(Self { failure, arguments })
    }
}

#[cfg(test)]
mod tests {
    use bue_model::FailureKind;

    use super::*;

    #[test]
    fn a_failure_of_an_older_release_has_no_arguments() {
        let failure = Failure::new(FailureKind::Raised, "no");
        let older = to_postcard(&failure).expect("postcard");
        assert_eq!(FailureRecord::decode(&older).expect("a failure"), failure.clone().into());

        let arguments = vec![ArgumentSummary { name: None, value: "7".into() }];
        let record = FailureRecord { failure, arguments };
        assert_eq!(FailureRecord::decode(&record.encode().expect("postcard")).expect("a failure"), record);
    }
}
