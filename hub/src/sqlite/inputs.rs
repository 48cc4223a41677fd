//! The arguments of a job, put together when it is leased. Values pass through as the bytes they came as.

use bue_model::job::Chunk;
use bue_model::plan::Input;
use bue_model::wire::{Gathered, JobInput};
use bue_model::{Failure, NodeId, ValueRef};
use rusqlite::{OptionalExtension, params};

use super::ledger::{FanOut, Instance, Ledger, from_blob, job_id, node_of, slot_in};
use super::memory::Run;
use crate::error::HubError;
use crate::jobs::arguments::{Inputs, MAX_INPUT_BYTES, VALUE_BYTES, too_much, weight};
use crate::jobs::graph::GraphJob;

/// What the job before was given, which is often given to the next one too.
#[derive(Default)]
pub(super) struct Seen {
    /// Of whose rounds it was one.
    fan_out: Option<FanOut>,
    /// The piece of a list: by source, with the position of its first element.
    piece: Option<(i64, i64, Chunk)>,
}

impl Ledger<'_> {
    /// A job's arguments; a failure where no worker could be given them.
    pub(super) fn inputs(
        &self,
        run: &Run,
        instance: Instance,
        job: &GraphJob,
        seen: &mut Seen,
    ) -> Result<Result<Inputs, Failure>, HubError> {
        let mut all = Inputs::default();
        for input in &job.inputs {
            let argument = match *input {
                Input::Node(node) => self.result(run, instance, node, &mut all.bytes)?,
                Input::Loop(node) => self.element(run, instance, node, seen, &mut all.bytes)?,
                Input::Gather(node) => self.gathered(run, instance, node, &mut all.bytes)?,
            };
            all.inputs.push(argument);
            if all.bytes > MAX_INPUT_BYTES {
                return Ok(Err(too_much()));
            }
        }
        Ok(Ok(all))
    }

    fn result(&self, run: &Run, from: Instance, node: NodeId, bytes: &mut usize) -> Result<JobInput, HubError> {
        let around = self.climb(run, from, node_of(run, node)?.block)?;
        let id = slot_in(run, around, node)?.id;
        let value = self.value(id)?.ok_or_else(|| HubError::damaged(format!("job {} has no value", job_id(id))))?;
        *bytes += weight(&value);
        Ok(JobInput::Value(value))
    }

    /// The element of the round of a loop in which this instance stands.
    fn element(
        &self,
        run: &Run,
        from: Instance,
        node: NodeId,
        seen: &mut Seen,
        bytes: &mut usize,
    ) -> Result<JobInput, HubError> {
        let block = run.graph.fan_out(node).map_or(0, |fan_out| fan_out.body);
        let around = self.climb(run, from, block)?;
        let fan_out = match seen.fan_out.filter(|fan_out| fan_out.id == around.fanout) {
            Some(fan_out) => fan_out,
            None => self.fan_out(around.fanout)?.ok_or_else(|| HubError::damaged("a round of no fan-out"))?,
        };
        seen.fan_out = Some(fan_out);
        let (chunk, index) = self.piece(&fan_out, fan_out.round_of(around), seen)?;
        *bytes += weight(&chunk.value);
        Ok(JobInput::Element { chunk, index })
    }

    /// The piece of a list in which an element is, and where in it.
    fn piece(&self, fan_out: &FanOut, round: i64, seen: &mut Seen) -> Result<(Chunk, u32), HubError> {
        let place = |first: i64, chunk: &Chunk| u32::try_from(round - first).ok().filter(|at| *at < chunk.count);
        if let Some((source, first, chunk)) = &seen.piece
            && *source == fan_out.source
            && let Some(index) = place(*first, chunk)
        {
            return Ok((chunk.clone(), index));
        }
        let mut select = self.db.prepare_cached(
            "SELECT first, count, value FROM chunk WHERE source = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1",
        )?;
        let found = select.query_row(params![fan_out.source, round], |row| {
            Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?))
        });
        let missing = || HubError::damaged(format!("fan-out {} has no element {round}", fan_out.id));
        let (first, count, value) = found.optional()?.ok_or_else(missing)?;
        let chunk = Chunk { count, value: Box::new(from_blob(&value)?) };
        let index = place(first, &chunk).ok_or_else(missing)?;
        seen.piece = Some((fan_out.source, first, chunk.clone()));
        Ok((chunk, index))
    }

    /// The values of all rounds, in order; a round that was called off gives nothing. Stops reading when it is too much.
    fn gathered(&self, run: &Run, from: Instance, node: NodeId, bytes: &mut usize) -> Result<JobInput, HubError> {
        let around = self.climb(run, from, node_of(run, node)?.block)?;
        // a loop over an empty list never became a fan-out
        let Some(fan_out) = self.fan_out(slot_in(run, around, node)?.id)? else {
            return Ok(JobInput::Gathered(Vec::new()));
        };
        let gather = run.graph.fan_out(node).and_then(|fan_out| fan_out.gather);
        let gather = gather.ok_or_else(|| HubError::damaged("a loop that gathers nothing"))?;
        let offset = node_of(run, gather)?.offset;
        let mut values = Vec::new();
        for round in 0..fan_out.count {
            let value = self.value(fan_out.round(round) + offset)?;
            *bytes += value.as_ref().map_or(VALUE_BYTES, weight);
            values.push(value.map_or(Gathered::Nothing, Gathered::Value));
            if *bytes > MAX_INPUT_BYTES {
                break;
            }
        }
        Ok(JobInput::Gathered(values))
    }

    /// The value of a completed job.
    pub(super) fn value(&self, id: i64) -> Result<Option<ValueRef>, HubError> {
        let mut select = self.db.prepare_cached("SELECT value FROM done WHERE id = ?1 AND state = 7")?;
        let found: Option<Option<Vec<u8>>> = select.query_row([id], |row| row.get(0)).optional()?;
        found.flatten().map(|value| from_blob(&value)).transpose()
    }
}
