//! The arguments of a job, put together when it is leased. Values pass through as bytes.

use bue_model::job::Chunk;
use bue_model::plan::Input;
use bue_model::wire::JobInput;
use bue_model::{Failure, NodeId, ValueRef};
use rusqlite::{OptionalExtension, params};

use crate::error::HubError;
use crate::jobs::columns::{from_postcard, job_id};
use crate::jobs::graph::GraphJob;
use crate::jobs::instance::{FanOut, Instance, Run, location_in, node_of};
use crate::jobs::leasing::arguments::{Arguments, GatheredList, part_of};
use crate::jobs::state::state_code;
use crate::sqlite::read_tx::ReadTx;

/// What was read for the job before; the next one often needs it too.
#[derive(Default)]
pub(in crate::sqlite) struct LastRead {
    /// The fan-out whose round the job is in.
    fan_out: Option<FanOut>,
    piece: Option<Piece>,
}

/// A piece of a list.
struct Piece {
    /// The job that returned the list.
    source: i64,
    /// Elements before the piece.
    first: i64,
    chunk: Chunk,
}

impl Piece {
    /// Returns the position of an element in the piece.
    fn index_of(&self, element: i64) -> Option<u32> {
        u32::try_from(element - self.first).ok().filter(|index| *index < self.chunk.count)
    }
}

impl ReadTx<'_> {
    /// Returns a job's arguments, or the failure of a job whose arguments cannot be sent to any worker.
    pub(in crate::sqlite) fn arguments(
        &self,
        run: &Run,
        instance: Instance,
        job: &GraphJob,
        last_read: &mut LastRead,
    ) -> Result<Result<Arguments, Failure>, HubError> {
        let mut arguments = Arguments::default();
        for input in &job.inputs {
            let argument = match *input {
                Input::Literal(ref value) => JobInput::Value(ValueRef::Inline(value.clone())),
                Input::Node(node) => self.result(run, instance, node)?,
                Input::Loop(node) | Input::Run(node) => self.element(run, instance, node, last_read)?,
                Input::LoopPart(node, part) => part_of(self.element(run, instance, node, last_read)?, part),
                Input::Failure(node) => self.failure(run, instance, node)?,
                Input::Param(_) => return Err(HubError::damaged("a parameter in the plan of a run")),
                Input::Gather(node) => self.gathered(run, instance, node, &arguments)?,
            };
            if let Err(failure) = arguments.push(argument) {
                return Ok(Err(failure));
            }
        }
        Ok(Ok(arguments))
    }

    /// Adds the elements of its own list that earlier attempts of a job reported.
    pub(in crate::sqlite) fn with_recorded(
        &self,
        id: i64,
        arguments: Result<Arguments, Failure>,
    ) -> Result<Result<Arguments, Failure>, HubError> {
        let mut select = self.db.prepare_cached("SELECT count, value FROM chunk WHERE source = ?1 ORDER BY first")?;
        let (mut rows, mut recorded) = (select.query([id])?, Vec::new());
        while let Some(row) = rows.next()? {
            let value: Vec<u8> = row.get(1)?;
            recorded.push(Chunk { count: row.get(0)?, value: Box::new(from_postcard(&value)?) });
        }
        Ok(arguments.and_then(|arguments| arguments.with_recorded(recorded)))
    }

    fn result(&self, run: &Run, from: Instance, node: NodeId) -> Result<JobInput, HubError> {
        let instance = self.enclosing(run, from, node_of(run, node)?.block)?;
        let id = location_in(run, instance, node)?.id;
        let value = self.value(id)?.ok_or_else(|| HubError::damaged(format!("job {} has no value", job_id(id))))?;
        Ok(JobInput::Value(value))
    }

    /// Returns the element of the round of a loop in which this instance is.
    fn element(&self, run: &Run, from: Instance, node: NodeId, last_read: &mut LastRead) -> Result<JobInput, HubError> {
        let block = run.graph.fan_out(node).map_or(0, |fan_out| fan_out.body);
        let round = self.enclosing(run, from, block)?;
        let fan_out = match last_read.fan_out.filter(|fan_out| fan_out.id == round.fanout) {
            Some(fan_out) => fan_out,
            None => self.require_fan_out(round.fanout)?,
        };
        last_read.fan_out = Some(fan_out);
        let element = fan_out.round_index(round);
        let piece = match last_read.piece.take() {
            Some(piece) if piece.source == fan_out.source && piece.index_of(element).is_some() => piece,
            _ => self.piece(&fan_out, element)?,
        };
        let (chunk, index) = (piece.chunk.clone(), piece.index_of(element));
        last_read.piece = Some(piece);
        let index = index.ok_or_else(|| missing_element(&fan_out, element))?;
        Ok(JobInput::Element { chunk, index })
    }

    /// Returns the failure that the handler of a job is called for: the one element of a list.
    fn failure(&self, run: &Run, instance: Instance, failed: NodeId) -> Result<JobInput, HubError> {
        let handler = run.graph.job(failed).and_then(|job| job.handler);
        let handler = handler.ok_or_else(|| HubError::damaged("a failure without a handler"))?;
        let chunk = self.piece_of(location_in(run, instance, handler)?.id, 0)?;
        let chunk = chunk.ok_or_else(|| HubError::damaged("a handler without a failure"))?.chunk;
        Ok(JobInput::Element { chunk, index: 0 })
    }

    /// Returns the piece of a list that an element is in.
    fn piece(&self, fan_out: &FanOut, element: i64) -> Result<Piece, HubError> {
        self.piece_of(fan_out.source, element)?.ok_or_else(|| missing_element(fan_out, element))
    }

    fn piece_of(&self, source: i64, element: i64) -> Result<Option<Piece>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT first, count, value FROM chunk WHERE source = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1",
        )?;
        let row = select.query_row(params![source, element], |row| {
            Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?))
        });
        let Some((first, count, value)) = row.optional()? else { return Ok(None) };
        let chunk = Chunk { count, value: Box::new(from_postcard(&value)?) };
        Ok(Some(Piece { source, first, chunk }))
    }

    /// Returns the values of all rounds, in order; a cancelled round has none. Stops reading when they are too large.
    fn gathered(&self, run: &Run, from: Instance, node: NodeId, before: &Arguments) -> Result<JobInput, HubError> {
        let instance = self.enclosing(run, from, node_of(run, node)?.block)?;
        let mut list = GatheredList::after(before);
        // a loop over an empty list never became a fan-out
        let Some(fan_out) = self.fan_out(location_in(run, instance, node)?.id)? else { return Ok(list.into_input()) };
        let gather = run.graph.fan_out(node).and_then(|fan_out| fan_out.gather);
        let gather = gather.ok_or_else(|| HubError::damaged("a loop that gathers nothing"))?;
        let offset = node_of(run, gather)?.offset;
        for round in 0..fan_out.count {
            list.push(self.value(fan_out.round_start(round) + offset)?);
            if list.is_too_large() {
                break;
            }
        }
        Ok(list.into_input())
    }

    /// Returns the value of a completed job.
    pub(in crate::sqlite) fn value(&self, id: i64) -> Result<Option<ValueRef>, HubError> {
        let mut select = self
            .db
            .prepare_cached(concat!("SELECT value FROM done WHERE id = ?1 AND state = ", state_code!(Completed)))?;
        let value: Option<Option<Vec<u8>>> = select.query_row([id], |row| row.get(0)).optional()?;
        value.flatten().map(|value| from_postcard(&value)).transpose()
    }
}

fn missing_element(fan_out: &FanOut, element: i64) -> HubError {
    HubError::damaged(format!("fan-out {} has no element {element}", fan_out.id))
}
