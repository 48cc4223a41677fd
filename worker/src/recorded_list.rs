//! [`RecordedList`]: what earlier attempts of a step yielded for a loop, compared with what this one yields. Rounds have started for it,
//! so this attempt has to yield the same first.

use bue_model::wire::{Lease, LeasedStep};
use bue_model::{Failure, FailureKind, cbor};
use bytes::Bytes;

use crate::fetch::FetchError;
use crate::list_job::Elements;
use crate::output::Output;

/// Why a step cannot go on where an earlier attempt was.
#[derive(Debug)]
pub(crate) enum RecordedError {
    /// It yielded something else.
    Failed(Failure),
    /// A recorded element could not be read.
    Fetch(FetchError),
}

impl From<FetchError> for RecordedError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

/// The elements that earlier attempts reported.
#[derive(Debug)]
pub(crate) struct RecordedList {
    loop_text: String,
    count: u64,
    /// Those that this attempt has yielded, too.
    seen: u64,
    elements: Elements,
}

impl RecordedList {
    /// Those of a lease.
    pub(crate) fn new(lease: &Lease, step: &LeasedStep) -> Self {
        let count = lease.recorded.iter().map(|chunk| u64::from(chunk.count)).sum();
        let loop_text = step.loop_text.clone().unwrap_or_default();
        Self { loop_text, count, seen: 0, elements: Elements::new(lease.recorded.clone()) }
    }

    /// Returns the number of elements.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// Compares elements that the step has yielded. Returns those that are not recorded, if there are any.
    pub(crate) async fn skip(
        &mut self,
        count: u32,
        items: Bytes,
        output: Output<'_>,
    ) -> Result<Option<(u32, Bytes)>, RecordedError> {
        if self.seen == self.count {
            return Ok(Some((count, items)));
        }
        let Ok(Some(elements)) = cbor::array_items(&items) else { return Err(self.cannot_be_compared()) };
        let (mut rest, mut number) = (Vec::new(), 0_u32);
        for element in elements {
            let Ok(element) = element else { return Err(self.cannot_be_compared()) };
            if self.seen < self.count {
                let recorded = self.elements.next(output).await?.ok_or_else(|| self.cannot_be_compared())?;
                if recorded != element {
                    return Err(self.changed());
                }
                self.seen += 1;
            } else {
                number += 1;
                rest.extend_from_slice(element);
            }
        }
        let array = (number > 0).then(|| Bytes::from([cbor::array_head(number.into()), rest].concat()));
        Ok(array.map(|array| (number, array)))
    }

    /// Checks that the step has yielded all of them.
    pub(crate) fn expect_all(&self) -> Result<(), RecordedError> {
        if self.seen == self.count {
            return Ok(());
        }
        Err(self.failed(&format!(
            "the step yielded {} elements this time, and {} in an earlier attempt, for which rounds have started",
            self.seen, self.count
        )))
    }

    fn changed(&self) -> RecordedError {
        self.failed(&format!(
            "element {} is another one than in an earlier attempt of the step, for which a round has started",
            self.seen
        ))
    }

    fn failed(&self, problem: &str) -> RecordedError {
        let message = format!(
            "{}: {problem}. Yield the same elements in each attempt, or return a list instead of yielding: its rounds start when the \
             step has ended",
            self.loop_text
        );
        RecordedError::Failed(Failure::new(FailureKind::BadResult, message))
    }

    /// The error for elements that are damaged.
    pub(crate) fn cannot_be_compared(&self) -> RecordedError {
        let message =
            format!("{}: the elements of an earlier attempt cannot be compared with those of this one", self.loop_text);
        RecordedError::Failed(Failure::new(FailureKind::Internal, message))
    }
}
