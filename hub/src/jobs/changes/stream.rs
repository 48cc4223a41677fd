//! Loops that run while their source does.
//!
//! A running attempt reports its list in pieces. The first one starts the fan-outs that run over it, each further one adds rounds. Such a
//! fan-out *streams*: it is not over when its rounds are, because more may come. It stops streaming when the source completes, whose
//! outcome has the rest of the list; if the source fails, it is stuck behind the source once its rounds have settled.
//!
//! A piece is recorded once: its position is compared with the number of elements that are recorded. Elements that were recorded stay.
//! The next attempt is sent them, and its worker compares them with what it yields; so its pieces follow the recorded ones, too.

use bue_model::wire::{ListPiece, PieceVerdict};
use bue_model::{Chunk, ValueRef};

use super::change_set::{ChangeError, ChangeResult, ChangeSet};
use super::rows::{ChunkRow, JobRow};
use crate::error::HubError;
use crate::jobs::columns::{from_postcard, row_id, signed, small};
use crate::jobs::graph::Block;
use crate::jobs::initial_state::{Hint, ParentState};
use crate::jobs::instance::{FanOut, Location, Run, WINDOW, instance_of, location_in};
use crate::jobs::outcome_rules::{MAX_ELEMENTS, check_chunks, elements_of, streams};
use crate::jobs::state::State;

impl ChangeSet<'_> {
    /// Records a piece of a list, and adds rounds to the loops that run over it. A piece with a stale token, or of elements that are
    /// recorded, changes nothing.
    pub(crate) fn record_piece(&mut self, piece: &ListPiece) -> ChangeResult<PieceVerdict> {
        let (id, token) = (row_id(piece.job), signed(piece.token.number));
        let row = self.job(id)?.filter(|row| row.token == token && row.state == State::Running);
        let Some(row) = row else { return Ok(PieceVerdict::LeaseLost) };
        let run = self.run(row.run)?;
        if !streams(&run, row.location.node) {
            return Err(HubError::BadRequest("no loop takes the elements of this job before it ends".to_owned()).into());
        }
        let recorded = self.elements(id)?;
        if is_new(piece, recorded)? {
            self.append(&run, &row, recorded, &piece.chunks)?;
        }
        self.has_full_window(&run, row.location).map(|is_full| match is_full {
            true => PieceVerdict::WindowFull,
            false => PieceVerdict::Accepted,
        })
    }

    /// Stores the elements that follow the recorded ones, and adds their rounds.
    fn append(&mut self, run: &Run, source: &JobRow, recorded: i64, chunks: &[Chunk]) -> ChangeResult<()> {
        check_chunks(chunks)?;
        let count = elements_of(chunks);
        if recorded.saturating_add(count) > MAX_ELEMENTS {
            let message = format!("the list has more than {MAX_ELEMENTS} elements; a loop runs over no more");
            return Err(HubError::BadRequest(message).into());
        }
        self.store_chunks(source.location.id, recorded, chunks)?;
        self.mark_run_changed(run.key);
        let hint = source.hint();
        for location in self.loops_over(run, source.location)? {
            self.add_rounds(run, location, count, &hint)?;
        }
        Ok(())
    }

    /// Returns the loops that run over the list of a job.
    fn loops_over(&self, run: &Run, source: Location) -> Result<Vec<Location>, HubError> {
        let instance = instance_of(run, source)?;
        run.graph.loops_over(source.node).map(|(node, _)| location_in(run, instance, node)).collect()
    }

    fn has_full_window(&mut self, run: &Run, source: Location) -> ChangeResult<bool> {
        let mut is_full = false;
        for location in self.loops_over(run, source)? {
            let window = run.graph.fan_out(location.node).and_then(|fan_out| fan_out.window);
            if window.is_some() {
                is_full |= self.fan_out(location.id)?.is_some_and(|fan_out| fan_out.is_window_full(window));
            }
        }
        Ok(is_full)
    }

    /// Adds rounds to a fan-out that streams, or starts it. Safe: the piece whose elements they are is recorded once, by this change set.
    fn add_rounds(&mut self, run: &Run, location: Location, count: i64, hint: &Hint) -> ChangeResult<()> {
        let (row, started) = (self.job(location.id), self.fan_out(location.id));
        let (row, started) = (row?, started?);
        let Some(row) = row.filter(|row| row.state.is_open()) else { return Ok(()) };
        let node = run.graph.fan_out(location.node).ok_or_else(|| HubError::damaged("a job where a loop should be"))?;
        // a loop without jobs has no rounds; it ends with its source
        if run.graph.blocks.get(node.body).is_none_or(|block| block.nodes.is_empty()) {
            return Ok(());
        }
        let mut fan_out = started.map_or_else(|| self.start_stream(run, row, hint), Ok)?;
        fan_out.count += count;
        self.count_rounds(run, node.body, State::Blocked, count);
        self.fan_outs.insert(fan_out.id, fan_out);
        self.grow(fan_out.id)
    }

    /// Starts a fan-out whose source runs, without rounds. It inherits what the source did.
    fn start_stream(&mut self, run: &Run, mut row: JobRow, hint: &Hint) -> ChangeResult<FanOut> {
        let location = row.location;
        let over = run.graph.fan_out(location.node).and_then(|node| node.over);
        row.inherit(over.ok_or_else(|| HubError::damaged("a `finally` block where a loop should be"))?, hint);
        row.state = State::Expanding;
        self.put(row);
        let fan_out = self.new_fan_out(run, location, MAX_ELEMENTS)?;
        Ok(FanOut { count: 0, streams: true, ..fan_out })
    }

    /// Returns a fan-out with `count` rounds, and ids for them.
    pub(super) fn new_fan_out(&mut self, run: &Run, location: Location, count: i64) -> ChangeResult<FanOut> {
        let node = run.graph.fan_out(location.node).ok_or_else(|| HubError::damaged("a job where a loop should be"))?;
        let over = node.over.ok_or_else(|| HubError::damaged("a `finally` block where a loop should be"))?;
        let stride = run.graph.blocks.get(node.body).map_or(0, Block::stride);
        let ids = count.checked_mul(stride).ok_or_else(|| HubError::damaged("a list of too many elements"))?;
        Ok(FanOut {
            id: location.id,
            run: run.key,
            node: location.node,
            outer: location.fanout,
            source: location_in(run, instance_of(run, location)?, over)?.id,
            first: self.allocate_ids(ids)?,
            stride,
            count,
            streams: false,
            max_live: node.window.map_or(WINDOW, i64::from),
            expanded: 0,
            settled: 0,
            failed: 0,
        })
    }

    /// The source of a fan-out that streams has completed: the number of rounds is known.
    pub(super) fn end_stream(&mut self, run: &Run, location: Location) -> ChangeResult<()> {
        let mut fan_out = self.require_fan_out(location.id)?;
        let count = self.elements(fan_out.source)?;
        self.count_rounds(run, fan_out.body(run)?, State::Blocked, count - fan_out.count);
        (fan_out.count, fan_out.streams) = (count, false);
        self.fan_outs.insert(fan_out.id, fan_out);
        match fan_out.settled == fan_out.count {
            true => self.close_fan_out(run, &fan_out),
            false => self.grow(fan_out.id),
        }
    }

    /// All rounds of a fan-out that streams have settled. It is stuck if there will be no others unless its source is reset.
    pub(super) fn pause_stream(&mut self, run: &Run, fan_out: &FanOut) -> ChangeResult<()> {
        match self.parent_state(fan_out.source)? {
            ParentState::Failed(job) => self.block_fan_out(run, fan_out.location(), job),
            _ => Ok(()),
        }
    }

    /// The source of fan-outs has failed for good. Those that stream and have no rounds that may go on are stuck.
    pub(super) fn block_streams(&mut self, run: &Run, source: Location) -> ChangeResult<()> {
        for location in self.loops_over(run, source)? {
            let is_expanding = self.job(location.id)?.is_some_and(|row| row.state == State::Expanding);
            if !is_expanding {
                continue;
            }
            let fan_out = self.require_fan_out(location.id)?;
            if fan_out.settled == fan_out.count {
                self.block_fan_out(run, location, source.id)?;
            }
        }
        Ok(())
    }

    /// Cancels all rows in the rounds of a fan-out that streamed, also those that failed: nothing uses what they would return. Returns the
    /// number of jobs, with those of rounds that were never instantiated.
    pub(super) fn cancel_rounds(&mut self, run: &Run, fan_out: &FanOut) -> ChangeResult<u64> {
        let (mut jobs, mut fan_outs) = (0, vec![*fan_out]);
        while let Some(mut fan_out) = fan_outs.pop() {
            jobs += self.cancel_unexpanded(run, &fan_out)?;
            // a cancellation of the run must not count them again
            fan_out.expanded = fan_out.count;
            self.fan_outs.insert(fan_out.id, fan_out);
            for row in self.rows_in(fan_out.expanded_ids())? {
                match run.graph.job(row.location.node) {
                    Some(job) => jobs += u64::from(job.handles.is_none()),
                    None => fan_outs.extend(self.fan_out(row.location.id)?),
                }
                self.cancel_row(run, row);
            }
        }
        Ok(jobs)
    }

    /// Returns the whole list of a job of which this is the rest, and stores the rest. A job that reported no pieces has no other part.
    pub(super) fn complete_list(&mut self, source: i64, rest: Vec<Chunk>) -> ChangeResult<Vec<Chunk>> {
        let recorded = self.elements(source)?;
        if recorded == 0 {
            self.store_chunks(source, 0, &rest)?;
            return Ok(rest);
        }
        let mut list = self.stored_list(source)?.iter().map(chunk_of).collect::<Result<Vec<_>, _>>()?;
        self.store_chunks(source, recorded, &rest)?;
        list.extend(rest);
        Ok(list)
    }

    fn stored_list(&mut self, source: i64) -> ChangeResult<Vec<ChunkRow>> {
        let Some(list) = self.snapshot.lists.get(&source) else {
            self.required.lists.insert(source);
            return Err(ChangeError::MissingRows);
        };
        let new = self.chunks.iter().filter(|chunk| chunk.source == source);
        Ok(list.iter().chain(new).cloned().collect())
    }
}

/// Returns whether a piece has elements, and they follow the recorded ones. It may also be a piece that is recorded already.
fn is_new(piece: &ListPiece, recorded: i64) -> Result<bool, HubError> {
    let (first, count) = (signed(piece.first), elements_of(&piece.chunks));
    match first {
        first if first == recorded => Ok(count > 0),
        first if first.saturating_add(count) <= recorded => Ok(false),
        first => Err(HubError::BadRequest(format!("the piece begins at element {first}, and {recorded} are recorded"))),
    }
}

fn chunk_of(row: &ChunkRow) -> Result<Chunk, HubError> {
    let value: ValueRef = from_postcard(&row.value)?;
    Ok(Chunk { count: small(row.count), value: Box::new(value) })
}
