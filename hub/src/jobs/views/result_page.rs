//! [`PageBuilder`]: a page of a run's results while it is read. Pure.

use bue_model::plan::Call;
use bue_model::wire::{CallResult, FailedJob, NoValue, ResultCursor, ResultPage, RoundValue};
use bue_model::{Failure, FailureKind, Round, RunState, ValueRef};

use crate::error::HubError;
use crate::jobs::columns::{from_postcard, job_id, unsigned};
use crate::jobs::failure_record::FailureRecord;
use crate::jobs::instance::{Location, Run};
use crate::jobs::leasing::arguments::encoded_size;
use crate::jobs::views::missing_value::{MissingValue, States, fill_in};
use crate::jobs::views::round_path::{line_of, named};

/// Bytes after which a page ends. The outermost loop around a call may be cut between two rounds, inner loops are not.
const PAGE_BYTES: i64 = 4 * 1024 * 1024;
/// Bytes that a round takes beside those of its value.
const ROUND_OVERHEAD: usize = 32;
/// Failed jobs that a page lists.
pub(crate) const MAX_FAILED: i64 = 1_000;

/// A page while it grows.
pub(crate) struct PageBuilder {
    /// Bytes that it may still take; it is full at 0 and below.
    remaining: i64,
    cursor: ResultCursor,
    results: Vec<CallResult>,
    next: Option<ResultCursor>,
    /// What has no value, in the order of the results and their rounds.
    missing: Vec<MissingValue>,
}

/// The value of a call.
pub(crate) struct CallValue {
    pub(crate) value: RoundValue,
    /// The round of its outermost loop at which the page was full.
    pub(crate) cut_at: Option<u64>,
}

impl CallValue {
    /// A value that the page had room for.
    pub(crate) fn whole(value: RoundValue) -> Self {
        Self { value, cut_at: None }
    }

    /// Rounds, the page being full before this one.
    pub(crate) fn cut(rounds: Vec<RoundValue>, round: i64) -> Self {
        Self { value: RoundValue::Rounds(rounds), cut_at: Some(unsigned(round)) }
    }
}

impl PageBuilder {
    /// A page that begins at a cursor.
    pub(crate) fn new(cursor: ResultCursor) -> Self {
        Self { remaining: PAGE_BYTES, cursor, results: Vec::new(), next: None, missing: Vec::new() }
    }

    /// Returns the call statements from the cursor on, with their positions.
    pub(crate) fn calls<'a>(&self, run: &'a Run) -> Vec<(u32, &'a Call)> {
        let statements = run.graph.calls.iter().filter(|call| !call.nested);
        (0..).zip(statements).skip(self.cursor.call as usize).collect()
    }

    /// Returns the round of its outermost loop at which a call's value begins on this page.
    pub(crate) fn first_round(&self, call: u32) -> i64 {
        let round = if call == self.cursor.call { self.cursor.round } else { 0 };
        i64::try_from(round).unwrap_or(i64::MAX)
    }

    /// Returns whether the page has no room for more.
    pub(crate) fn is_full(&self) -> bool {
        self.remaining <= 0
    }

    /// Takes the value of one round, where there is one: that of this job, which is the last of its call.
    pub(crate) fn round_value(&mut self, job: Location, value: Option<ValueRef>) -> RoundValue {
        let bytes = value.as_ref().map_or(0, encoded_size) + ROUND_OVERHEAD;
        self.remaining = self.remaining.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        match value {
            Some(value) => RoundValue::Value(value),
            None => self.nothing(MissingValue { id: job.id, last: Some(job.node) }),
        }
    }

    /// Takes that a loop was never reached.
    pub(crate) fn loop_not_reached(&mut self, id: i64) -> RoundValue {
        self.nothing(MissingValue { id, last: None })
    }

    /// The reason is filled in at the end, when all are read at once.
    fn nothing(&mut self, missing: MissingValue) -> RoundValue {
        self.missing.push(missing);
        RoundValue::Nothing(NoValue::Running)
    }

    /// Returns the ids of the rows that say why there are no values.
    pub(crate) fn missing_ids(&self) -> Vec<i64> {
        self.missing.iter().map(|missing| missing.id).collect()
    }

    /// Adds the value of a call. Returns whether the page goes on behind it.
    pub(crate) fn add(&mut self, run: &Run, index: u32, call: &Call, CallValue { value, cut_at }: CallValue) -> bool {
        let is_used = run.graph.is_used(call.last);
        self.results.push(CallResult { line: call.line, name: call.name.clone(), is_used, value });
        self.next = cut_at.map(|round| ResultCursor { call: index, round });
        self.next.is_none()
    }

    /// Ends the page before this call.
    pub(crate) fn end_before(&mut self, index: u32) {
        self.next = Some(ResultCursor { call: index, round: 0 });
    }

    /// Returns whether the page lists failed jobs, as the first one does.
    pub(crate) fn lists_failed(&self) -> bool {
        self.cursor == ResultCursor::default()
    }

    /// Returns the page. `states` are the rows of [`missing_ids`](Self::missing_ids).
    pub(crate) fn finish(mut self, run: &Run, state: RunState, states: &States, failed: FailedJobs) -> ResultPage {
        fill_in(&mut self.results, self.missing.iter().map(|missing| missing.reason(run, state, states)));
        ResultPage { state, results: self.results, failed: failed.jobs, next: self.next }
    }
}

/// The columns of a failed job.
pub(crate) struct FailedColumns {
    pub(crate) job: Location,
    pub(crate) attempts: u32,
    pub(crate) worker: Option<String>,
    pub(crate) failure: Option<Vec<u8>>,
    pub(crate) log: Option<Vec<u8>>,
}

/// Failed jobs, as many as fit into a page.
#[derive(Default)]
pub(crate) struct FailedJobs {
    jobs: Vec<FailedJob>,
    bytes: i64,
}

impl FailedJobs {
    /// Returns whether they take as much as a page may.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes > PAGE_BYTES
    }

    /// Adds a job.
    pub(crate) fn add(&mut self, run: &Run, row: FailedColumns, rounds: Vec<Round>) -> Result<(), HubError> {
        let node = row.job.node;
        let step = run.graph.job(node).and_then(|job| run.graph.step_of(job));
        let record = row.failure.as_deref().map(FailureRecord::decode).transpose()?;
        let unknown = || Failure::new(FailureKind::Internal, "no reason was stored").into();
        let FailureRecord { failure, arguments } = record.unwrap_or_else(unknown);
        let log: Option<ValueRef> = row.log.as_deref().map(from_postcard).transpose()?;
        let trace = failure.trace.as_ref().map_or(0, String::len);
        let bytes = failure.message.len() + trace + log.as_ref().map_or(0, encoded_size);
        self.bytes = self.bytes.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.jobs.push(FailedJob {
            job: job_id(row.job.id),
            step: step.map(|step| step.name.clone()).unwrap_or_default(),
            line: line_of(run, node),
            rounds,
            arguments: named(run, node, arguments),
            attempts: row.attempts,
            worker: row.worker,
            failure,
            log,
        });
        Ok(())
    }
}
