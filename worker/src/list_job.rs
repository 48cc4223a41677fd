//! [`run_list_job`]: makes a list of others, for a loop to run over. Bytes of elements are copied and never decoded; of each list, one
//! piece is in memory at a time.

use std::collections::VecDeque;
use std::time::Duration;

use bue_client::ClientError;
use bue_model::wire::{JobInput, Lease, LeasedStep};
use bue_model::{Chunk, Failure, FailureKind, ListOperation, Outcome, ValueRef, cbor};
use bue_runtime::Limits;
use bytes::Bytes;

use crate::fetch::FetchError;
use crate::output::{ListBuilder, Output, describe};

/// Why there is no list.
pub(crate) enum ListError {
    /// The lists do not fit the operation, or exceed a limit.
    Failed(Failure),
    /// A piece could not be read.
    Fetch(FetchError),
    /// A piece could not be stored.
    Store(ClientError),
}

impl From<Failure> for ListError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<FetchError> for ListError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

impl From<ClientError> for ListError {
    fn from(error: ClientError) -> Self {
        Self::Store(error)
    }
}

/// Executes the operation that a step of the language `Builtin` is.
pub(crate) async fn run_list_job(
    lease: &Lease,
    step: &LeasedStep,
    limits: &Limits,
    output: Output<'_>,
) -> Result<Outcome, ListError> {
    let operation: ListOperation = step.function.parse().map_err(|error| internal(format!("{error}.")))?;
    let lists: Result<Vec<Vec<Chunk>>, Failure> = lease.inputs.iter().map(pieces).collect();
    let job = ListJob { name: &step.name, limits, output };
    let time = Duration::from_millis(step.timeout_ms);
    let list = tokio::time::timeout(time, job.run(operation, lists?)).await;
    let value = list.unwrap_or_else(|_| {
        let message = format!("`{}` took longer than {} s, its time limit.", step.name, time.as_secs_f64());
        Err(Failure::new(FailureKind::Limit, message).into())
    })?;
    Ok(Outcome::Completed { value, hints: Default::default() })
}

fn internal(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Internal, message)
}

/// The hub accepts a result that a list is made of only in pieces.
fn pieces(input: &JobInput) -> Result<Vec<Chunk>, Failure> {
    match input {
        JobInput::Value(ValueRef::List(chunks)) => Ok(chunks.clone()),
        _ => Err(internal("The hub sent a value in place of a list in pieces.")),
    }
}

struct ListJob<'a> {
    name: &'a str,
    limits: &'a Limits,
    output: Output<'a>,
}

impl ListJob<'_> {
    async fn run(&self, operation: ListOperation, lists: Vec<Vec<Chunk>>) -> Result<ValueRef, ListError> {
        match operation {
            // the pieces of one list after those of the other, as they are
            ListOperation::Merge => Ok(ValueRef::List(lists.into_iter().flatten().collect())),
            ListOperation::Zip => {
                self.check_lengths(&lists)?;
                self.zip(lists).await
            }
            ListOperation::ZipLongest => self.zip(lists).await,
            ListOperation::Flatten => self.flatten(lists).await,
            ListOperation::Chunk(size) => self.chunk(lists, size as usize).await,
        }
    }

    fn check_lengths(&self, lists: &[Vec<Chunk>]) -> Result<(), Failure> {
        let lengths: Vec<u64> =
            lists.iter().map(|list| list.iter().map(|chunk| u64::from(chunk.count)).sum()).collect();
        if lengths.windows(2).all(|pair| pair.first() == pair.last()) {
            return Ok(());
        }
        let lengths: Vec<String> = lengths.iter().map(u64::to_string).collect();
        let longest = self.name.replacen("zip(", "zip longest(", 1);
        let message = format!(
            "`{}` got lists of different lengths: {} elements. Return lists of one length, or write `{longest}`, which puts null \
             in place of what is missing.",
            self.name,
            lengths.join(" and ")
        );
        Err(Failure::new(FailureKind::BadInput, message))
    }

    async fn zip(&self, lists: Vec<Vec<Chunk>>) -> Result<ValueRef, ListError> {
        let mut lists: Vec<Elements> = lists.into_iter().map(Elements::new).collect();
        let mut built = Built::default();
        loop {
            let mut element = cbor::array_head(lists.len() as u64);
            let mut has_any = false;
            for list in &mut lists {
                match list.next(self.output).await? {
                    Some(item) => {
                        has_any = true;
                        element.extend_from_slice(&item);
                    }
                    None => element.extend_from_slice(cbor::NULL),
                }
            }
            if !has_any {
                return Ok(built.finish(self.output).await?);
            }
            self.push(&mut built, &element).await?;
        }
    }

    async fn flatten(&self, lists: Vec<Vec<Chunk>>) -> Result<ValueRef, ListError> {
        let (mut built, mut index) = (Built::default(), 0_u64);
        for list in lists {
            let mut elements = Elements::new(list);
            while let Some(element) = elements.next(self.output).await? {
                let Ok(Some(items)) = cbor::array_items(&element) else {
                    let message = format!(
                        "`{}` needs a list of lists, and element {index} is {}.",
                        self.name,
                        describe(&element)
                    );
                    return Err(Failure::new(FailureKind::BadInput, message).into());
                };
                for item in items {
                    let item = item.map_err(|_| internal("A list is damaged."))?;
                    self.push(&mut built, item).await?;
                }
                index += 1;
            }
        }
        Ok(built.finish(self.output).await?)
    }

    async fn chunk(&self, lists: Vec<Vec<Chunk>>, size: usize) -> Result<ValueRef, ListError> {
        let mut built = Built::default();
        let mut elements = Elements::new(lists.into_iter().flatten().collect());
        loop {
            let (mut count, mut bytes) = (0, Vec::new());
            while count < size
                && let Some(item) = elements.next(self.output).await?
            {
                count += 1;
                bytes.extend_from_slice(&item);
                if bytes.len() as u64 > self.limits.result_bytes {
                    let message = format!(
                        "`{}` makes a chunk of more than {} bytes, the limit of a value. Write a smaller number.",
                        self.name, self.limits.result_bytes
                    );
                    return Err(Failure::new(FailureKind::Limit, message).into());
                }
            }
            if count == 0 {
                return Ok(built.finish(self.output).await?);
            }
            let element = [cbor::array_head(count as u64), bytes].concat();
            self.push(&mut built, &element).await?;
        }
    }

    async fn push(&self, built: &mut Built, element: &[u8]) -> Result<(), ListError> {
        built.bytes = built.bytes.saturating_add(element.len() as u64);
        if built.bytes > self.limits.stream_bytes {
            let message =
                format!("`{}` makes a list of more than {} bytes, the limit.", self.name, self.limits.stream_bytes);
            return Err(Failure::new(FailureKind::Limit, message).into());
        }
        Ok(built.list.push(element, self.output).await?)
    }
}

/// The new list, and the bytes of its elements.
#[derive(Default)]
struct Built {
    list: ListBuilder,
    bytes: u64,
}

impl Built {
    async fn finish(self, output: Output<'_>) -> Result<ValueRef, ClientError> {
        self.list.finish(output).await
    }
}

/// The elements of a list, of which one piece is in memory.
#[derive(Debug)]
pub(crate) struct Elements {
    chunks: VecDeque<Chunk>,
    items: VecDeque<Bytes>,
}

impl Elements {
    pub(crate) fn new(chunks: Vec<Chunk>) -> Self {
        Self { chunks: chunks.into(), items: VecDeque::new() }
    }

    pub(crate) async fn next(&mut self, output: Output<'_>) -> Result<Option<Bytes>, FetchError> {
        while self.items.is_empty() {
            let Some(chunk) = self.chunks.pop_front() else { return Ok(None) };
            self.items = output.fetch.elements(&chunk).await?.into();
            // other jobs of the worker go on, even if all pieces are in its cache
            tokio::task::yield_now().await;
        }
        Ok(self.items.pop_front())
    }
}
