//! The bodies of answers that are errors.

use serde::{Deserialize, Serialize};

/// The body of every HTTP answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorView,
}

/// An error of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorView {
    /// A code for programs, such as `run_not_found`.
    pub code: String,
    /// What went wrong, for people.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// What is wrong with single fields of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldError>,
}

/// What is wrong with a field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The name of the field or parameter; `runs[2].day` in a batch.
    pub field: String,
    /// What is wrong, and what to send.
    pub message: String,
}
