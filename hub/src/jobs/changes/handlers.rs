//! `!on_failure`: the calls of handlers.
//!
//! A handler's row is made by the transaction that fails its job for good, so a failure has exactly one call, whoever is killed when.
//! While the row is open or failed, its job is failed: a reset of the job withdraws the call. So a handler never decides how a round
//! or a run ends.

use bue_model::job::INLINE_LIMIT;
use bue_model::text::truncate_bytes;
use bue_model::{Failure, Value, ValueRef, cbor};

use super::change_set::{ChangeResult, ChangeSet};
use super::rows::{ChunkRow, DoneRow, JobRow};
use crate::error::HubError;
use crate::jobs::columns::to_postcard;
use crate::jobs::initial_state::{Hint, InheritedHint, InitialState};
use crate::jobs::instance::{Location, Run, instance_of, location_in};
use crate::jobs::state::State;

/// Bytes of an error that a handler gets. With the name of a step, that is less than what is stored inline.
const MAX_ERROR: usize = 32 * 1024;
const _: () = assert!(MAX_ERROR <= INLINE_LIMIT / 2);

impl ChangeSet<'_> {
    /// Calls the handler of a job that has just failed for good. If it was called for an earlier failure, before a reset, it is
    /// called again.
    pub(super) fn call_handler(&mut self, run: &Run, failed: &JobRow, failure: &Failure) -> ChangeResult<()> {
        let Some(location) = handler_of(run, failed.location)? else { return Ok(()) };
        let earlier = self.done_row(location.id)?;
        self.insert_row(run, location, State::Ready, &InitialState::Ready, InheritedHint::default())?;
        match &earlier {
            None => self.count_instantiated(run, location.node, State::Ready),
            Some(done) => self.count_transition(run, location.node, done.state, State::Ready),
        }
        if let Some(done) = earlier {
            self.done.insert(location.id, None);
            self.continue_tokens(location.id, &done);
        }
        let value = failure_value(run, failed, failure)?;
        self.chunks.push(ChunkRow { source: location.id, first: 0, count: 1, value });
        Ok(())
    }

    /// A failure is not final any more: its handler is not called, or stops, or its own failure is no more to be reset.
    pub(super) fn withdraw_handler(&mut self, run: &Run, failed: Location) -> ChangeResult<()> {
        let Some(location) = handler_of(run, failed)? else { return Ok(()) };
        let Some(row) = self.job(location.id)? else { return Ok(()) };
        self.cancel_row(run, row);
        self.mark_closed(run, location)?;
        Ok(())
    }

    /// Cancels one row, whatever its state, without those that depend on it.
    pub(super) fn cancel_row(&mut self, run: &Run, row: JobRow) {
        if row.state == State::Failed {
            self.failed.insert((run.key, row.location.id), None);
        }
        self.count_transition(run, row.location.node, row.state, State::Cancelled);
        self.move_to_done(row, State::Cancelled, Hint::default(), None);
    }

    /// A row that had ended and begins again goes on with larger tokens than before.
    fn continue_tokens(&mut self, id: i64, done: &DoneRow) {
        if let Some(Some(row)) = self.jobs.get_mut(&id) {
            row.token = done.token;
            // a cancelled row's last lease ended without a report
            row.reported = if done.state == State::Completed { done.token } else { 0 };
        }
    }
}

/// Returns where the handler of a job is.
fn handler_of(run: &Run, failed: Location) -> Result<Option<Location>, HubError> {
    let Some(handler) = run.graph.job(failed.node).and_then(|job| job.handler) else { return Ok(None) };
    location_in(run, instance_of(run, failed)?, handler).map(Some)
}

/// Returns the input of a handler: a list of one element, as the elements of a loop are stored.
fn failure_value(run: &Run, failed: &JobRow, failure: &Failure) -> Result<Vec<u8>, HubError> {
    let mut error = failure.message.clone();
    truncate_bytes(&mut error, MAX_ERROR);
    let entries = [
        ("run", Value::Text(run.id.to_string())),
        ("job", Value::Int(failed.location.id)),
        ("step", Value::Text(run.graph.name_of(failed.location.node).to_owned())),
        ("error", Value::Text(error)),
        ("attempts", Value::Int(failed.attempts.into())),
    ];
    one_map(entries)
}

/// Encodes a list of one map as it is stored.
pub(super) fn one_map<const N: usize>(entries: [(&str, Value); N]) -> Result<Vec<u8>, HubError> {
    let map = entries.into_iter().map(|(name, value)| (Value::Text(name.to_owned()), value)).collect();
    to_postcard(&ValueRef::Inline(cbor::encode(&Value::List(vec![Value::Map(map)])).into()))
}
