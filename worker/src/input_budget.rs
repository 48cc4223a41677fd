//! [`InputBudget`]: what a job needs is known before any of it is fetched, so limits are checked first, and jobs whose inputs would
//! not fit into memory together wait for each other.

use bue_model::wire::{Gathered, JobInput, Lease};
use bue_model::{BlobRef, Failure, ValueRef};
use bue_runtime::{Limits, MAX_BUNDLE_BYTES, too_much_code, too_much_input};
use tokio::sync::OwnedSemaphorePermit;

use crate::byte_budget::ByteBudget;

/// Mebibytes of inputs that are on their way through this process at one time. Has room for four jobs with the largest inputs.
const MAX_MIB: u32 = 512;

/// Memory for inputs between the bucket and the sandbox hosts.
#[derive(Clone, Debug)]
pub(crate) struct InputBudget(ByteBudget);

impl Default for InputBudget {
    fn default() -> Self {
        Self(ByteBudget::new(MAX_MIB))
    }
}

impl InputBudget {
    /// Waits until there is room for the inputs of this job, and keeps it until the permit is dropped.
    ///
    /// # Errors
    /// They are over the step's limit.
    pub(crate) async fn reserve(
        &self,
        lease: &Lease,
        limits: &Limits,
    ) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        let bytes = lease.inputs.iter().fold(0_u64, |sum, input| sum.saturating_add(input_bytes(input)));
        if bytes > limits.input_bytes {
            return Err(too_much_input(bytes, limits.input_bytes));
        }
        // an element comes with its chunk, which is cached and shared, but has to be fetched
        let chunks = lease.inputs.iter().filter_map(chunk_of).map(value_bytes).max().unwrap_or(0);
        if chunks > limits.input_bytes {
            return Err(too_much_input(chunks, limits.input_bytes));
        }
        Ok(self.0.reserve(bytes.saturating_add(chunks)).await)
    }
}

/// Checks the size of a step's code.
///
/// # Errors
/// It is over the limit.
pub(crate) fn check_code_size(code: &BlobRef) -> Result<(), Failure> {
    let limit = MAX_BUNDLE_BYTES as u64;
    if code.len > limit { Err(too_much_code(code.len, limit)) } else { Ok(()) }
}

/// Bytes of an argument. An element is at most as large as its chunk and usually far smaller: it is checked once it is here.
fn input_bytes(input: &JobInput) -> u64 {
    match input {
        JobInput::Value(value) => value_bytes(value),
        JobInput::Element { .. } | JobInput::Part { .. } => 0,
        JobInput::Gathered(rounds) => rounds.iter().fold(0, |sum, round| sum.saturating_add(round_bytes(round))),
    }
}

/// Bytes that are fetched for an argument: for an element those of its whole chunk.
pub(crate) fn fetched_bytes(input: &JobInput) -> u64 {
    chunk_of(input).map_or_else(|| input_bytes(input), value_bytes)
}

fn round_bytes(round: &Gathered) -> u64 {
    match round {
        Gathered::Value(value) => value_bytes(value),
        Gathered::Nothing => 1,
    }
}

fn chunk_of(input: &JobInput) -> Option<&ValueRef> {
    match input {
        JobInput::Element { chunk, .. } | JobInput::Part { chunk, .. } => Some(&chunk.value),
        JobInput::Value(_) | JobInput::Gathered(_) => None,
    }
}

fn value_bytes(value: &ValueRef) -> u64 {
    match value {
        ValueRef::Inline(bytes) => bytes.len() as u64,
        ValueRef::Blob(blob) => blob.len,
        ValueRef::List(chunks) => chunks.iter().fold(0, |sum, chunk| sum.saturating_add(value_bytes(&chunk.value))),
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use bue_model::{BlobHash, Chunk, JobId, Token};

    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn blob(len: u64) -> ValueRef {
        ValueRef::Blob(BlobRef { hash: BlobHash([1; 32]), len })
    }

    fn lease(inputs: Vec<JobInput>) -> Lease {
        let run = "00000000-0000-0000-0000-000000000001".parse().expect("an id");
        let token = Token::unsealed(1);
        Lease {
            job: JobId(1),
            run,
            token,
            attempt: 1,
            step: 0,
            inputs,
            env: None,
            count_by: None,
            trace: None,
            recorded: Vec::new(),
        }
    }

    /// Nothing is fetched to find this out: the sizes are part of the lease.
    #[tokio::test]
    async fn inputs_over_the_limit_are_refused_by_their_declared_sizes() {
        let (budget, limits) = (InputBudget::default(), Limits::default());
        let gathered = |count| JobInput::Gathered(vec![Gathered::Value(blob(60 * MIB)); count]);
        let chunk = |len| Chunk { count: 1, value: Box::new(blob(len)) };
        let list = |len| JobInput::Value(ValueRef::List(vec![chunk(len), chunk(len)]));
        let element = |len| JobInput::Element { chunk: chunk(len), index: 0 };
        for inputs in [vec![gathered(2)], vec![list(60 * MIB)], vec![element(64 * MIB), element(64 * MIB)], vec![]] {
            assert!(budget.reserve(&lease(inputs), &limits).await.is_ok());
        }
        let huge = JobInput::Value(blob(u64::MAX));
        for inputs in [
            vec![gathered(100)],
            vec![list(65 * MIB)],
            vec![element(129 * MIB)],
            vec![huge.clone(), huge],
            vec![JobInput::Value(blob(100 * MIB)), JobInput::Value(blob(29 * MIB))],
        ] {
            let refused = budget.reserve(&lease(inputs), &limits).await.expect_err("over the limit");
            assert!(refused.message.contains("more than the input limit of 128 MiB"), "{refused}");
        }
        assert_eq!(fetched_bytes(&element(MIB)), MIB, "not only the element");
        let code = |len| check_code_size(&BlobRef { hash: BlobHash([1; 32]), len });
        assert!(code(128 * MIB).is_ok());
        assert!(code(8 << 30).expect_err("too large").message.contains("8 GiB"));
    }

    #[tokio::test]
    async fn jobs_whose_inputs_do_not_fit_together_wait_for_each_other() {
        let (budget, limits) = (InputBudget::default(), Limits::default());
        let lease = lease(vec![JobInput::Value(blob(128 * MIB))]);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(budget.reserve(&lease, &limits).await.expect("room"));
        }
        let mut fifth = Box::pin(budget.reserve(&lease, &limits));
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(fifth.as_mut().poll(&mut context), Poll::Pending), "there is no room");
        held.pop();
        assert!(matches!(fifth.as_mut().poll(&mut context), Poll::Ready(Ok(Some(_)))), "there is again");
    }
}
