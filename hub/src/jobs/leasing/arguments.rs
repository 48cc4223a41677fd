//! [`Arguments`]: the arguments of one job, and about how many bytes of a message they take. Pure.

use bue_model::job::INLINE_LIMIT;
use bue_model::wire::{Gathered, JobInput};
use bue_model::{Chunk, Failure, FailureKind, ValueRef};

/// Bytes of all arguments of one job, values by reference counted as references. A lease must fit into a message.
const MAX_ARGUMENT_BYTES: usize = 48 * 1024 * 1024;
/// Bytes that a value takes beside its own.
const VALUE_OVERHEAD: usize = 64;

/// Arguments, in order.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) inputs: Vec<JobInput>,
    /// The elements of the job's own list that earlier attempts reported.
    pub(crate) recorded: Vec<Chunk>,
    /// About as many bytes as they take in a message.
    pub(crate) bytes: usize,
}

impl Arguments {
    /// Adds an argument, or returns the failure of a job with too many bytes of them.
    pub(crate) fn push(&mut self, input: JobInput) -> Result<(), Failure> {
        self.bytes += match &input {
            JobInput::Value(value) => encoded_size(value),
            JobInput::Element { chunk, .. } | JobInput::Part { chunk, .. } => encoded_size(&chunk.value),
            JobInput::Gathered(values) => values.iter().map(gathered_size).sum(),
        };
        self.inputs.push(input);
        if self.bytes > MAX_ARGUMENT_BYTES { Err(too_large()) } else { Ok(()) }
    }

    /// Adds the elements of the job's own list that are recorded, or returns the failure of a job with too many bytes of them.
    pub(crate) fn with_recorded(mut self, recorded: Vec<Chunk>) -> Result<Self, Failure> {
        self.bytes += recorded.iter().map(|chunk| chunk_size(&chunk.value)).sum::<usize>();
        self.recorded = recorded;
        if self.bytes > MAX_ARGUMENT_BYTES { Err(too_much_recorded()) } else { Ok(self) }
    }
}

/// Returns a part of an element, which is a list itself.
pub(crate) fn part_of(element: JobInput, part: u32) -> JobInput {
    match element {
        JobInput::Element { chunk, index } => JobInput::Part { chunk, index, part },
        other => other,
    }
}

/// A gathered list while it is read.
pub(crate) struct GatheredList {
    values: Vec<Gathered>,
    /// Those of the arguments before it included.
    bytes: usize,
}

impl GatheredList {
    /// An empty list, to be the argument after these.
    pub(crate) fn after(arguments: &Arguments) -> Self {
        Self { values: Vec::new(), bytes: arguments.bytes }
    }

    /// Adds the value of a round; a cancelled round has none.
    pub(crate) fn push(&mut self, value: Option<ValueRef>) {
        let value = value.map_or(Gathered::Nothing, Gathered::Value);
        self.bytes += gathered_size(&value);
        self.values.push(value);
    }

    /// Returns whether the arguments are too large already, so that there is no use in reading more.
    pub(crate) fn is_too_large(&self) -> bool {
        self.bytes > MAX_ARGUMENT_BYTES
    }

    /// Returns the list as an argument.
    pub(crate) fn into_input(self) -> JobInput {
        JobInput::Gathered(self.values)
    }
}

/// Returns about how many bytes a value takes in a message.
pub(crate) fn encoded_size(value: &ValueRef) -> usize {
    VALUE_OVERHEAD
        + match value {
            ValueRef::Inline(bytes) => bytes.len(),
            ValueRef::Blob(_) => 0,
            ValueRef::List(chunks) => chunks.iter().map(|chunk| chunk_size(&chunk.value)).sum(),
        }
}

fn chunk_size(value: &ValueRef) -> usize {
    match value {
        ValueRef::Inline(bytes) => VALUE_OVERHEAD + bytes.len(),
        ValueRef::Blob(_) | ValueRef::List(_) => VALUE_OVERHEAD,
    }
}

fn gathered_size(value: &Gathered) -> usize {
    match value {
        Gathered::Nothing => VALUE_OVERHEAD,
        Gathered::Value(value) => encoded_size(value),
    }
}

fn too_much_recorded() -> Failure {
    let message = format!(
        "it cannot be tried again: it would have to yield all elements again that it has handed over to its loop, and their places \
         alone have more than {} MiB",
        MAX_ARGUMENT_BYTES / (1024 * 1024)
    );
    Failure::new(FailureKind::Limit, message)
}

fn too_large() -> Failure {
    let message = format!(
        "its arguments have more than {} MiB together; values up to {} KiB travel inline, so give it fewer or gather \
         less in one list",
        MAX_ARGUMENT_BYTES / (1024 * 1024),
        INLINE_LIMIT / 1024
    );
    Failure::new(FailureKind::Limit, message)
}
