//! [`Values`]: results of jobs, read for the arguments of others and for a run's results.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bue_model::job::Chunk;
use bue_model::plan::Input;
use bue_model::wire::JobInput;
use bue_model::{Failure, NodeId, Round, ValueRef};
use deadpool_postgres::Transaction;

use crate::error::HubError;
use crate::jobs::columns::{from_postcard, job_id, small};
use crate::jobs::graph::{BlockIndex, GraphJob};
use crate::jobs::instance::{
    FanOut, Instance, Location, Run, enclosing_instance, location_in, missing_fan_out, node_of,
};
use crate::jobs::leasing::arguments::{Arguments, GatheredList, part_of};
use crate::jobs::state::state_code;
use crate::jobs::views::round_path::RoundPath;
use crate::postgres::query::query;
use crate::postgres::read::read_fan_outs;

/// Rounds whose values are read with one query.
pub(in crate::postgres) const ROUNDS_READ_AHEAD: i64 = 256;

/// Calls whose values are read with one query: at most as many bytes as a page of results may have.
pub(in crate::postgres) const CALLS_READ_AHEAD: usize = 64;

/// Fan-outs that were read, and values that were read ahead.
#[derive(Default)]
pub(in crate::postgres) struct Values {
    fan_outs: HashMap<i64, Option<FanOut>>,
    /// Values of the next rounds.
    rounds: HashMap<i64, Option<ValueRef>>,
    /// Values of the next calls.
    calls: HashMap<i64, Option<ValueRef>>,
    /// Values for the next jobs that are leased.
    arguments: HashMap<i64, ValueRef>,
    /// Pieces of lists for them, by source and position.
    pieces: BTreeMap<(i64, i64), Chunk>,
}

/// A job whose arguments are to be read.
pub(super) struct JobToLease<'a> {
    pub(super) run: &'a Run,
    pub(super) instance: Instance,
    pub(super) job: &'a GraphJob,
}

impl Values {
    /// Returns a job's arguments, or the failure of a job whose arguments cannot be sent to any worker.
    pub(in crate::postgres) async fn arguments(
        &mut self,
        tx: &Transaction<'_>,
        run: &Run,
        instance: Instance,
        job: &GraphJob,
    ) -> Result<Result<Arguments, Failure>, HubError> {
        let mut arguments = Arguments::default();
        for input in &job.inputs {
            let argument = match *input {
                Input::Literal(ref value) => JobInput::Value(ValueRef::Inline(value.clone())),
                Input::Node(node) => self.result(tx, run, instance, node).await?,
                Input::Loop(node) | Input::Run(node) => self.element(tx, run, instance, node).await?,
                Input::LoopPart(node, part) => part_of(self.element(tx, run, instance, node).await?, part),
                Input::Failure(node) => failure(tx, run, instance, node).await?,
                Input::Param(_) => return Err(HubError::damaged("a parameter in the plan of a run")),
                Input::Gather(node) => self.gathered(tx, run, instance, node, &arguments).await?,
            };
            if let Err(failure) = arguments.push(argument) {
                return Ok(Err(failure));
            }
        }
        Ok(Ok(arguments))
    }

    async fn result(
        &mut self,
        tx: &Transaction<'_>,
        run: &Run,
        from: Instance,
        node: NodeId,
    ) -> Result<JobInput, HubError> {
        let instance = self.enclosing(tx, run, from, node_of(run, node)?.block).await?;
        let id = location_in(run, instance, node)?.id;
        let value = self.value(tx, id).await?;
        let value = value.ok_or_else(|| HubError::damaged(format!("job {} has no value", job_id(id))))?;
        Ok(JobInput::Value(value))
    }

    /// Returns the element of the round of a loop in which this instance is.
    async fn element(
        &mut self,
        tx: &Transaction<'_>,
        run: &Run,
        from: Instance,
        node: NodeId,
    ) -> Result<JobInput, HubError> {
        let block = run.graph.fan_out(node).map_or(0, |fan_out| fan_out.body);
        let round = self.enclosing(tx, run, from, block).await?;
        let fan_out = self.fan_out(tx, round.fanout).await?.ok_or_else(|| missing_fan_out(round.fanout))?;
        let element = fan_out.round_index(round);
        if let Some((chunk, index)) = self.piece(fan_out.source, element) {
            return Ok(JobInput::Element { chunk, index });
        }
        let missing = || HubError::damaged(format!("fan-out {} has no element {element}", fan_out.id));
        read_element(tx, fan_out.source, element).await?.ok_or_else(missing)
    }

    /// Returns the values of all rounds, in order; a cancelled round has none. Stops reading when they are too large.
    async fn gathered(
        &mut self,
        tx: &Transaction<'_>,
        run: &Run,
        from: Instance,
        node: NodeId,
        before: &Arguments,
    ) -> Result<JobInput, HubError> {
        let instance = self.enclosing(tx, run, from, node_of(run, node)?.block).await?;
        let mut list = GatheredList::after(before);
        let fan_out = self.fan_out(tx, location_in(run, instance, node)?.id).await?;
        // a loop over an empty list never became a fan-out
        let Some(fan_out) = fan_out else { return Ok(list.into_input()) };
        let gather = run.graph.fan_out(node).and_then(|fan_out| fan_out.gather);
        let gather = gather.ok_or_else(|| HubError::damaged("a loop that gathers nothing"))?;
        let offset = node_of(run, gather)?.offset;
        for round in 0..fan_out.count {
            if round % ROUNDS_READ_AHEAD == 0 {
                self.read_rounds(tx, &fan_out, round, offset).await?;
            }
            list.push(self.value(tx, fan_out.round_start(round) + offset).await?);
            if list.is_too_large() {
                break;
            }
        }
        Ok(list.into_input())
    }

    /// Reads the arguments of these jobs with a few queries, in place of what was read ahead before. What is missing then is
    /// looked up one by one when it is needed, and reported there.
    pub(super) async fn read_arguments(
        &mut self,
        tx: &Transaction<'_>,
        jobs: &[JobToLease<'_>],
    ) -> Result<(), HubError> {
        self.read_enclosing(tx, jobs.iter().map(|job| job.instance.fanout).collect()).await?;
        let (mut values, mut elements) = (BTreeSet::new(), Vec::new());
        for JobToLease { run, instance, job } in jobs {
            for input in &job.inputs {
                match *input {
                    Input::Node(node) => values.extend(self.id_of(run, *instance, node)),
                    Input::Loop(node) | Input::LoopPart(node, _) | Input::Run(node) => {
                        elements.extend(self.element_of(run, *instance, node));
                    }
                    Input::Gather(_) | Input::Literal(_) | Input::Param(_) | Input::Failure(_) => {}
                }
            }
        }
        let values: Vec<i64> = values.into_iter().collect();
        self.arguments = read_values(tx, &values).await?;
        self.read_pieces(tx, elements).await
    }

    /// Reads the pieces that contain these elements, by source and position. Most often it is one piece, the same as before.
    async fn read_pieces(&mut self, tx: &Transaction<'_>, mut elements: Vec<(i64, i64)>) -> Result<(), HubError> {
        let wanted = elements.len();
        elements.retain(|(source, element)| self.piece(*source, *element).is_none());
        if elements.len() == wanted {
            self.pieces.clear();
        }
        let first = elements.get(..1).unwrap_or_default().to_vec();
        self.pieces.extend(read_pieces(tx, &first).await?);
        elements.retain(|(source, element)| self.piece(*source, *element).is_none());
        self.pieces.extend(read_pieces(tx, &elements).await?);
        Ok(())
    }

    /// Reads these fan-outs, and those around them.
    async fn read_enclosing(&mut self, tx: &Transaction<'_>, mut ids: BTreeSet<i64>) -> Result<(), HubError> {
        loop {
            ids.retain(|id| *id != 0 && !self.fan_outs.contains_key(id));
            if ids.is_empty() {
                return Ok(());
            }
            let fan_outs = read_fan_outs(tx, &ids).await?;
            self.fan_outs.extend(ids.iter().map(|id| (*id, None)));
            ids = fan_outs.iter().map(|fan_out| fan_out.outer).collect();
            self.fan_outs.extend(fan_outs.into_iter().map(|fan_out| (fan_out.id, Some(fan_out))));
        }
    }

    /// Returns a fan-out that was read.
    fn presume_read(&self, id: i64) -> Result<FanOut, HubError> {
        self.fan_outs.get(&id).copied().flatten().ok_or_else(|| missing_fan_out(id))
    }

    /// Returns the row of a node that this instance uses, as far as fan-outs were read.
    fn id_of(&self, run: &Run, from: Instance, node: NodeId) -> Option<i64> {
        let block = node_of(run, node).ok()?.block;
        let instance = enclosing_instance(run, from, block, |id| self.presume_read(id)).ok()?;
        Some(location_in(run, instance, node).ok()?.id)
    }

    /// Returns the source and position of an element that this instance uses, as far as fan-outs were read.
    fn element_of(&self, run: &Run, from: Instance, node: NodeId) -> Option<(i64, i64)> {
        let body = run.graph.fan_out(node)?.body;
        let round = enclosing_instance(run, from, body, |id| self.presume_read(id)).ok()?;
        let fan_out = self.presume_read(round.fanout).ok()?;
        Some((fan_out.source, fan_out.round_index(round)))
    }

    /// Returns the piece that contains an element, and the position in it.
    fn piece(&self, source: i64, element: i64) -> Option<(Chunk, u32)> {
        let ((_, first), chunk) = self.pieces.range((source, 0)..=(source, element)).next_back()?;
        let index = u32::try_from(element - first).ok().filter(|index| *index < chunk.count)?;
        Some((chunk.clone(), index))
    }

    /// Reads the values of one node in the next rounds, in place of those read ahead before.
    pub(in crate::postgres) async fn read_rounds(
        &mut self,
        tx: &Transaction<'_>,
        fan_out: &FanOut,
        round: i64,
        offset: i64,
    ) -> Result<(), HubError> {
        let end = fan_out.count.min(round.saturating_add(ROUNDS_READ_AHEAD));
        let ids: Vec<i64> = (round..end).map(|round| fan_out.round_start(round) + offset).collect();
        self.rounds = results(tx, &ids).await?;
        Ok(())
    }

    /// Reads the values of the last jobs of calls, in place of those read ahead before.
    pub(in crate::postgres) async fn read_calls(&mut self, tx: &Transaction<'_>, ids: &[i64]) -> Result<(), HubError> {
        self.calls = results(tx, ids).await?;
        Ok(())
    }

    /// Returns the value of a completed job.
    pub(in crate::postgres) async fn value(
        &mut self,
        tx: &Transaction<'_>,
        id: i64,
    ) -> Result<Option<ValueRef>, HubError> {
        if let Some(value) = self.rounds.remove(&id).or_else(|| self.calls.remove(&id)) {
            return Ok(value);
        }
        if let Some(value) = self.arguments.get(&id) {
            return Ok(Some(value.clone()));
        }
        let sql = concat!("SELECT value FROM done WHERE id = $1 AND state = ", state_code!(Completed));
        let rows = query(tx, sql, &[&id]).await?;
        let value: Option<&[u8]> = rows.first().map_or(Ok(None), |row| row.try_get(0))?;
        value.map(from_postcard).transpose()
    }

    /// Returns what never changes of a fan-out. Its `expanded` and `settled` may be outdated.
    pub(in crate::postgres) async fn fan_out(
        &mut self,
        tx: &Transaction<'_>,
        id: i64,
    ) -> Result<Option<FanOut>, HubError> {
        if !self.fan_outs.contains_key(&id) {
            self.read_enclosing(tx, [id].into()).await?;
        }
        Ok(self.fan_outs.get(&id).copied().flatten())
    }

    /// Returns a job's rounds of the loops around it, outermost first.
    pub(in crate::postgres) async fn rounds_of(
        &mut self,
        tx: &Transaction<'_>,
        run: &Run,
        job: Location,
    ) -> Result<Vec<Round>, HubError> {
        let mut path = RoundPath::new(run, job)?;
        while let Some(id) = path.needs() {
            path.add(&self.fan_out(tx, id).await?.ok_or_else(|| missing_fan_out(id))?)?;
        }
        Ok(path.finish())
    }

    /// Returns the instance of `block` that contains `from`: `from` itself, or one around it.
    pub(in crate::postgres) async fn enclosing(
        &mut self,
        tx: &Transaction<'_>,
        run: &Run,
        from: Instance,
        block: BlockIndex,
    ) -> Result<Instance, HubError> {
        if from.block != block && !self.fan_outs.contains_key(&from.fanout) {
            self.read_enclosing(tx, [from.fanout].into()).await?;
        }
        enclosing_instance(run, from, block, |id| self.presume_read(id))
    }
}

/// Reads the results of these jobs; `None` for one that has not completed.
async fn results(tx: &Transaction<'_>, ids: &[i64]) -> Result<HashMap<i64, Option<ValueRef>>, HubError> {
    let mut values: HashMap<i64, Option<ValueRef>> = ids.iter().map(|id| (*id, None)).collect();
    if ids.is_empty() {
        return Ok(values);
    }
    let sql = concat!("SELECT id, value FROM done WHERE id = ANY($1) AND state = ", state_code!(Completed));
    for row in query(tx, sql, &[&ids]).await? {
        let value: Option<&[u8]> = row.try_get(1)?;
        values.insert(row.try_get(0)?, value.map(from_postcard).transpose()?);
    }
    Ok(values)
}

/// Reads the values of these jobs, as far as they are completed.
async fn read_values(tx: &Transaction<'_>, ids: &[i64]) -> Result<HashMap<i64, ValueRef>, HubError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = concat!(
        "SELECT id, value FROM done WHERE id = ANY($1) AND value IS NOT NULL AND state = ",
        state_code!(Completed)
    );
    let mut values = HashMap::new();
    for row in query(tx, sql, &[&ids]).await? {
        // a damaged one must not keep the others from being read
        if let Ok(value) = from_postcard(row.try_get(1)?) {
            values.insert(row.try_get(0)?, value);
        }
    }
    Ok(values)
}

/// Reads the pieces that contain these elements, by source and position, each piece once.
async fn read_pieces(tx: &Transaction<'_>, elements: &[(i64, i64)]) -> Result<BTreeMap<(i64, i64), Chunk>, HubError> {
    if elements.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (sources, positions): (Vec<i64>, Vec<i64>) = elements.iter().copied().unzip();
    let sql = "SELECT chunk.source, chunk.first, chunk.count, chunk.value
         FROM (SELECT DISTINCT wanted.source, piece.first FROM unnest($1::int8[], $2::int8[]) AS wanted (source, element)
             CROSS JOIN LATERAL (SELECT first FROM chunk WHERE chunk.source = wanted.source AND first <= wanted.element
                 ORDER BY first DESC LIMIT 1) AS piece) AS found
         JOIN chunk ON chunk.source = found.source AND chunk.first = found.first";
    let mut pieces = BTreeMap::new();
    for row in query(tx, sql, &[&sources, &positions]).await? {
        let count = small(row.try_get(2)?);
        if let Ok(value) = from_postcard(row.try_get(3)?) {
            pieces.insert((row.try_get(0)?, row.try_get(1)?), Chunk { count, value: Box::new(value) });
        }
    }
    Ok(pieces)
}

/// Returns an element of the list that a job returned, with the piece that it is in.
async fn read_element(tx: &Transaction<'_>, source: i64, element: i64) -> Result<Option<JobInput>, HubError> {
    let sql = "SELECT first, count, value FROM chunk WHERE source = $1 AND first <= $2 ORDER BY first DESC LIMIT 1";
    let rows = query(tx, sql, &[&source, &element]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (first, count): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let (Ok(index), Ok(count)) = (u32::try_from(element - first), u32::try_from(count)) else { return Ok(None) };
    let value: ValueRef = from_postcard(row.try_get(2)?)?;
    Ok(Some(JobInput::Element { chunk: Chunk { count, value: Box::new(value) }, index }))
}

/// Adds the elements of its own list that earlier attempts of a job reported.
pub(super) async fn with_recorded(
    tx: &Transaction<'_>,
    id: i64,
    arguments: Result<Result<Arguments, Failure>, HubError>,
) -> Result<Result<Arguments, Failure>, HubError> {
    let mut recorded = Vec::new();
    for row in query(tx, "SELECT count, value FROM chunk WHERE source = $1 ORDER BY first", &[&id]).await? {
        let (count, value) = (small(row.try_get(0)?), from_postcard(row.try_get(1)?)?);
        recorded.push(Chunk { count, value: Box::new(value) });
    }
    Ok(arguments?.and_then(|arguments| arguments.with_recorded(recorded)))
}

/// Returns the failure that the handler of a job is called for: the one element of a list.
async fn failure(tx: &Transaction<'_>, run: &Run, instance: Instance, failed: NodeId) -> Result<JobInput, HubError> {
    let handler = run.graph.job(failed).and_then(|job| job.handler);
    let handler = handler.ok_or_else(|| HubError::damaged("a failure without a handler"))?;
    let element = read_element(tx, location_in(run, instance, handler)?.id, 0).await?;
    element.ok_or_else(|| HubError::damaged("a handler without a failure"))
}
