//! [`Inputs`]: the arguments of one job, and how many bytes of them a message takes. Pure.

use bue_model::job::INLINE_LIMIT;
use bue_model::wire::JobInput;
use bue_model::{Failure, FailureKind, ValueRef};

/// Bytes of all arguments of one job, values by reference counted as references. A lease must fit into a message.
pub(crate) const MAX_INPUT_BYTES: usize = 48 * 1024 * 1024;
/// What a value costs beside its bytes.
pub(crate) const VALUE_BYTES: usize = 64;

/// Arguments, in order.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    pub(crate) inputs: Vec<JobInput>,
    /// About as many bytes as they take in a message.
    pub(crate) bytes: usize,
}

/// About how many bytes a value takes in a message.
pub(crate) fn weight(value: &ValueRef) -> usize {
    VALUE_BYTES
        + match value {
            ValueRef::Inline(bytes) => bytes.len(),
            ValueRef::Blob(_) => 0,
            ValueRef::List(chunks) => chunks.iter().map(|chunk| flat_weight(&chunk.value)).sum(),
        }
}

fn flat_weight(value: &ValueRef) -> usize {
    match value {
        ValueRef::Inline(bytes) => VALUE_BYTES + bytes.len(),
        ValueRef::Blob(_) | ValueRef::List(_) => VALUE_BYTES,
    }
}

/// No worker could be given them.
pub(crate) fn too_much() -> Failure {
    let message = format!(
        "its arguments have more than {} MiB together; values up to {} KiB travel inline, so give it fewer or gather \
         less in one list",
        MAX_INPUT_BYTES / (1024 * 1024),
        INLINE_LIMIT / 1024
    );
    Failure::new(FailureKind::Limit, message)
}
