//! [`Values`]: what jobs gave, read for the arguments of others and for a run's results.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bue_model::job::Chunk;
use bue_model::plan::Input;
use bue_model::wire::{CallResult, FailedJob, Gathered, JobInput, ResultCursor, ResultPage, RoundValue};
use bue_model::{Failure, FailureKind, NodeId, RunId, ValueRef};
use deadpool_postgres::Transaction;
use futures_util::future::BoxFuture;

use super::Inner;
use super::read::{FAN_OUT, ask, fan_out_row, read_fan_outs};
use super::verbs::patiently;
use crate::error::HubError;
use crate::jobs::arguments::{Inputs, MAX_INPUT_BYTES, VALUE_BYTES, too_much, weight};
use crate::jobs::columns::{from_blob, job_id, unsigned};
use crate::jobs::graph::{BlockIndex, GraphJob};
use crate::jobs::instance::{FanOut, Instance, Run, instance_of, node_of, slot_in};
use crate::jobs::state::run_state_of_code;

/// Bytes after which a page ends. A call's outermost loop may be cut between two rounds, inner loops are not.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// What a round costs beside its bytes.
const ROUND_BYTES: usize = 32;
/// Failed jobs that are listed.
const MAX_FAILED: i64 = 1_000;
/// Rounds whose values are read at one time.
const ROUNDS: i64 = 256;

/// Fan-outs that were read, and values that were read ahead.
#[derive(Default)]
pub(super) struct Values {
    fan_outs: HashMap<i64, Option<FanOut>>,
    /// Of the next rounds.
    ahead: HashMap<i64, Option<ValueRef>>,
    /// Of the next jobs that are leased.
    arguments: HashMap<i64, ValueRef>,
    /// Pieces of lists for them, by source and position.
    pieces: BTreeMap<(i64, i64), Chunk>,
}

/// A job whose arguments are going to be asked for.
pub(super) struct Next<'a> {
    pub(super) run: &'a Run,
    pub(super) instance: Instance,
    pub(super) job: &'a GraphJob,
}

impl Values {
    /// A job's arguments; a failure where no worker could be given them.
    pub(super) async fn inputs(
        &mut self,
        tx: &Transaction<'_>,
        run: &Run,
        instance: Instance,
        job: &GraphJob,
    ) -> Result<Result<Inputs, Failure>, HubError> {
        let mut all = Inputs::default();
        for input in &job.inputs {
            let argument = match *input {
                Input::Node(node) => self.result(tx, run, instance, node, &mut all.bytes).await?,
                Input::Loop(node) => self.element(tx, run, instance, node, &mut all.bytes).await?,
                Input::Gather(node) => self.gathered(tx, run, instance, node, &mut all.bytes).await?,
            };
            all.inputs.push(argument);
            if all.bytes > MAX_INPUT_BYTES {
                return Ok(Err(too_much()));
            }
        }
        Ok(Ok(all))
    }

    async fn result(
        &mut self,
        tx: &Transaction<'_>,
        run: &Run,
        from: Instance,
        node: NodeId,
        bytes: &mut usize,
    ) -> Result<JobInput, HubError> {
        let around = self.climb(tx, run, from, node_of(run, node)?.block).await?;
        let id = slot_in(run, around, node)?.id;
        let value = self.value(tx, id).await?;
        let value = value.ok_or_else(|| HubError::damaged(format!("job {} has no value", job_id(id))))?;
        *bytes += weight(&value);
        Ok(JobInput::Value(value))
    }

    /// The element of the round of a loop in which this instance stands.
    async fn element(
        &mut self,
        tx: &Transaction<'_>,
        run: &Run,
        from: Instance,
        node: NodeId,
        bytes: &mut usize,
    ) -> Result<JobInput, HubError> {
        let block = run.graph.fan_out(node).map_or(0, |fan_out| fan_out.body);
        let around = self.climb(tx, run, from, block).await?;
        let fan_out = self.presume_fan_out(tx, around.fanout).await?;
        let round = fan_out.round_of(around);
        if let Some((chunk, index)) = self.piece(fan_out.source, round) {
            *bytes += weight(&chunk.value);
            return Ok(JobInput::Element { chunk, index });
        }
        let sql = "SELECT first, count, value FROM chunk WHERE source = $1 AND first <= $2 ORDER BY first DESC LIMIT 1";
        let rows = ask(tx, sql, &[&fan_out.source, &round]).await?;
        let missing = || HubError::damaged(format!("fan-out {} has no element {round}", fan_out.id));
        let row = rows.first().ok_or_else(missing)?;
        let (first, count): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let index = u32::try_from(round - first).map_err(|_| missing())?;
        let count = u32::try_from(count).map_err(|_| missing())?;
        let value: ValueRef = from_blob(row.try_get(2)?)?;
        *bytes += weight(&value);
        Ok(JobInput::Element { chunk: Chunk { count, value: Box::new(value) }, index })
    }

    /// The values of all rounds, in order; a round that was called off gives nothing. Stops reading when it is too much.
    async fn gathered(
        &mut self,
        tx: &Transaction<'_>,
        run: &Run,
        from: Instance,
        node: NodeId,
        bytes: &mut usize,
    ) -> Result<JobInput, HubError> {
        let around = self.climb(tx, run, from, node_of(run, node)?.block).await?;
        // a loop over an empty list never became a fan-out
        let Some(fan_out) = self.fan_out(tx, slot_in(run, around, node)?.id).await? else {
            return Ok(JobInput::Gathered(Vec::new()));
        };
        let gather = run.graph.fan_out(node).and_then(|fan_out| fan_out.gather);
        let gather = gather.ok_or_else(|| HubError::damaged("a loop that gathers nothing"))?;
        let offset = node_of(run, gather)?.offset;
        let mut values = Vec::new();
        for round in 0..fan_out.count {
            if round % ROUNDS == 0 {
                self.read_ahead(tx, &fan_out, round, offset).await?;
            }
            let value = self.value(tx, fan_out.round(round) + offset).await?;
            *bytes += value.as_ref().map_or(VALUE_BYTES, weight);
            values.push(value.map_or(Gathered::Nothing, Gathered::Value));
            if *bytes > MAX_INPUT_BYTES {
                break;
            }
        }
        Ok(JobInput::Gathered(values))
    }

    /// Reads what these jobs take in a few questions for all, in place of what was read before. What is missing then is
    /// asked for one by one, and complained of there.
    pub(super) async fn read_arguments(&mut self, tx: &Transaction<'_>, jobs: &[Next<'_>]) -> Result<(), HubError> {
        self.read_fan_outs(tx, jobs.iter().map(|next| next.instance.fanout).collect()).await?;
        let (mut values, mut elements) = (BTreeSet::new(), Vec::new());
        for Next { run, instance, job } in jobs {
            for input in &job.inputs {
                match *input {
                    Input::Node(node) => values.extend(self.slot_of(run, *instance, node)),
                    Input::Loop(node) => elements.extend(self.round_of(run, *instance, node)),
                    Input::Gather(_) => {}
                }
            }
        }
        let values: Vec<i64> = values.into_iter().collect();
        self.arguments = read_values(tx, &values).await?;
        self.read_pieces(tx, elements).await
    }

    /// The pieces that hold these elements, by source and round. Most often it is one piece, the same as before.
    async fn read_pieces(&mut self, tx: &Transaction<'_>, mut elements: Vec<(i64, i64)>) -> Result<(), HubError> {
        let wanted = elements.len();
        elements.retain(|(source, round)| self.piece(*source, *round).is_none());
        if elements.len() == wanted {
            self.pieces.clear();
        }
        let first = elements.get(..1).unwrap_or_default().to_vec();
        self.pieces.extend(read_pieces(tx, &first).await?);
        elements.retain(|(source, round)| self.piece(*source, *round).is_none());
        self.pieces.extend(read_pieces(tx, &elements).await?);
        Ok(())
    }

    /// These fan-outs, and those around them.
    async fn read_fan_outs(&mut self, tx: &Transaction<'_>, mut ids: BTreeSet<i64>) -> Result<(), HubError> {
        loop {
            ids.retain(|id| *id != 0 && !self.fan_outs.contains_key(id));
            if ids.is_empty() {
                return Ok(());
            }
            let found = read_fan_outs(tx, &ids).await?;
            self.fan_outs.extend(ids.iter().map(|id| (*id, None)));
            ids = found.iter().map(|fan_out| fan_out.outer).collect();
            self.fan_outs.extend(found.into_iter().map(|fan_out| (fan_out.id, Some(fan_out))));
        }
    }

    /// The instance of a block around this one, as far as fan-outs were read.
    fn around(&self, run: &Run, mut instance: Instance, block: BlockIndex) -> Option<Instance> {
        while instance.block != block {
            instance = instance_of(run, (*self.fan_outs.get(&instance.fanout)?)?.slot()).ok()?;
        }
        Some(instance)
    }

    fn slot_of(&self, run: &Run, from: Instance, node: NodeId) -> Option<i64> {
        let around = self.around(run, from, node_of(run, node).ok()?.block)?;
        Some(slot_in(run, around, node).ok()?.id)
    }

    fn round_of(&self, run: &Run, from: Instance, node: NodeId) -> Option<(i64, i64)> {
        let around = self.around(run, from, run.graph.fan_out(node)?.body)?;
        let fan_out = (*self.fan_outs.get(&around.fanout)?)?;
        Some((fan_out.source, fan_out.round_of(around)))
    }

    fn piece(&self, source: i64, round: i64) -> Option<(Chunk, u32)> {
        let ((_, first), chunk) = self.pieces.range((source, 0)..=(source, round)).next_back()?;
        let index = u32::try_from(round - first).ok().filter(|index| *index < chunk.count)?;
        Some((chunk.clone(), index))
    }

    /// The values of one node in the next rounds, in place of those read ahead before.
    async fn read_ahead(
        &mut self,
        tx: &Transaction<'_>,
        fan_out: &FanOut,
        round: i64,
        offset: i64,
    ) -> Result<(), HubError> {
        let end = fan_out.count.min(round.saturating_add(ROUNDS));
        let ids: Vec<i64> = (round..end).map(|round| fan_out.round(round) + offset).collect();
        self.ahead = ids.iter().map(|id| (*id, None)).collect();
        for row in ask(tx, "SELECT id, value FROM done WHERE id = ANY($1) AND state = 7", &[&ids]).await? {
            let value: Option<&[u8]> = row.try_get(1)?;
            self.ahead.insert(row.try_get(0)?, value.map(from_blob).transpose()?);
        }
        Ok(())
    }

    /// The value of a completed job.
    async fn value(&mut self, tx: &Transaction<'_>, id: i64) -> Result<Option<ValueRef>, HubError> {
        if let Some(value) = self.ahead.remove(&id) {
            return Ok(value);
        }
        if let Some(value) = self.arguments.get(&id) {
            return Ok(Some(value.clone()));
        }
        let rows = ask(tx, "SELECT value FROM done WHERE id = $1 AND state = 7", &[&id]).await?;
        let value: Option<&[u8]> = rows.first().map_or(Ok(None), |row| row.try_get(0))?;
        value.map(from_blob).transpose()
    }

    /// What never changes of a fan-out, and its `expanded` and `settled` of some time ago.
    pub(super) async fn fan_out(&mut self, tx: &Transaction<'_>, id: i64) -> Result<Option<FanOut>, HubError> {
        if let Some(fan_out) = self.fan_outs.get(&id) {
            return Ok(*fan_out);
        }
        let rows = ask(tx, &format!("SELECT {FAN_OUT} FROM fanout WHERE id = $1"), &[&id]).await?;
        let fan_out = rows.first().map(fan_out_row).transpose()?;
        self.fan_outs.insert(id, fan_out);
        Ok(fan_out)
    }

    async fn presume_fan_out(&mut self, tx: &Transaction<'_>, id: i64) -> Result<FanOut, HubError> {
        self.fan_out(tx, id).await?.ok_or_else(|| HubError::damaged(format!("fan-out {id} is missing")))
    }

    pub(super) async fn climb(
        &mut self,
        tx: &Transaction<'_>,
        run: &Run,
        from: Instance,
        block: BlockIndex,
    ) -> Result<Instance, HubError> {
        let mut instance = from;
        while instance.block != block {
            if instance.fanout == 0 {
                return Err(HubError::damaged("nothing is around the top level"));
            }
            instance = instance_of(run, self.presume_fan_out(tx, instance.fanout).await?.slot())?;
        }
        Ok(instance)
    }

    /// A call's value from a round of its outermost loop on, and the round at which the page was full.
    async fn call_value(
        &mut self,
        tx: &Transaction<'_>,
        run: &Run,
        last: NodeId,
        from: u64,
        left: &mut i64,
    ) -> Result<(RoundValue, Option<u64>), HubError> {
        let loops = run.graph.loops_around(node_of(run, last)?.block);
        let top = Instance { run: run.key, fanout: 0, block: 0, first: run.first };
        let Some((outermost, inner)) = loops.split_first() else {
            return Ok((self.round_value(tx, run, top, &[], last, left).await?, None));
        };
        let slot = slot_in(run, top, *outermost)?.id;
        let Some(fan_out) = self.fan_out(tx, slot).await? else {
            return Ok((no_rounds(tx, slot).await?, None));
        };
        let block = fan_out.body(run)?;
        let mut rounds = Vec::new();
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        for round in from..fan_out.count {
            if *left <= 0 {
                return Ok((RoundValue::Rounds(rounds), Some(unsigned(round))));
            }
            if inner.is_empty() && (round - from) % ROUNDS == 0 {
                self.read_ahead(tx, &fan_out, round, node_of(run, last)?.offset).await?;
            }
            let instance = Instance { run: run.key, fanout: fan_out.id, block, first: fan_out.round(round) };
            rounds.push(self.round_value(tx, run, instance, inner, last, left).await?);
        }
        Ok((RoundValue::Rounds(rounds), None))
    }

    /// The value of a node in an instance, or, where loops stand between them, in all their rounds.
    fn round_value<'a>(
        &'a mut self,
        tx: &'a Transaction<'_>,
        run: &'a Run,
        instance: Instance,
        loops: &'a [NodeId],
        last: NodeId,
        left: &'a mut i64,
    ) -> BoxFuture<'a, Result<RoundValue, HubError>> {
        Box::pin(async move {
            let Some((outer, inner)) = loops.split_first() else {
                let value = self.value(tx, slot_in(run, instance, last)?.id).await?;
                let bytes = value.as_ref().map_or(0, weight) + ROUND_BYTES;
                *left = left.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
                return Ok(value.map_or(RoundValue::Nothing, RoundValue::Value));
            };
            let slot = slot_in(run, instance, *outer)?;
            let Some(fan_out) = self.fan_out(tx, slot.id).await? else { return no_rounds(tx, slot.id).await };
            let block = fan_out.body(run)?;
            let mut rounds = Vec::new();
            for round in 0..fan_out.count {
                if inner.is_empty() && round % ROUNDS == 0 {
                    self.read_ahead(tx, &fan_out, round, node_of(run, last)?.offset).await?;
                }
                let instance = Instance { run: run.key, fanout: fan_out.id, block, first: fan_out.round(round) };
                rounds.push(self.round_value(tx, run, instance, inner, last, left).await?);
            }
            Ok(RoundValue::Rounds(rounds))
        })
    }
}

/// The values of these jobs, where they are completed.
async fn read_values(tx: &Transaction<'_>, ids: &[i64]) -> Result<HashMap<i64, ValueRef>, HubError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT id, value FROM done WHERE id = ANY($1) AND state = 7 AND value IS NOT NULL";
    let mut values = HashMap::new();
    for row in ask(tx, sql, &[&ids]).await? {
        // a damaged one must not keep the others from being read
        if let Ok(value) = from_blob(row.try_get(1)?) {
            values.insert(row.try_get(0)?, value);
        }
    }
    Ok(values)
}

/// The pieces of lists that hold these elements, by source and round, each piece once.
async fn read_pieces(tx: &Transaction<'_>, elements: &[(i64, i64)]) -> Result<BTreeMap<(i64, i64), Chunk>, HubError> {
    if elements.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (sources, rounds): (Vec<i64>, Vec<i64>) = elements.iter().copied().unzip();
    let sql = "SELECT chunk.source, chunk.first, chunk.count, chunk.value
         FROM (SELECT DISTINCT wanted.source, piece.first FROM unnest($1::int8[], $2::int8[]) AS wanted (source, round)
             CROSS JOIN LATERAL (SELECT first FROM chunk WHERE chunk.source = wanted.source AND first <= wanted.round
                 ORDER BY first DESC LIMIT 1) AS piece) AS place
         JOIN chunk ON chunk.source = place.source AND chunk.first = place.first";
    let mut pieces = BTreeMap::new();
    for row in ask(tx, sql, &[&sources, &rounds]).await? {
        let count = u32::try_from(row.try_get::<_, i64>(2)?).unwrap_or(u32::MAX);
        if let Ok(value) = from_blob(row.try_get(3)?) {
            pieces.insert((row.try_get(0)?, row.try_get(1)?), Chunk { count, value: Box::new(value) });
        }
    }
    Ok(pieces)
}

/// A loop without a fan-out ran over an empty list, or was never reached.
async fn no_rounds(tx: &Transaction<'_>, slot: i64) -> Result<RoundValue, HubError> {
    let rows = ask(tx, "SELECT 1 FROM done WHERE id = $1 AND state = 7", &[&slot]).await?;
    Ok(if rows.is_empty() { RoundValue::Nothing } else { RoundValue::Rounds(Vec::new()) })
}

impl Inner {
    pub(super) async fn results(&self, id: RunId, cursor: ResultCursor) -> Result<Option<ResultPage>, HubError> {
        patiently!(self.try_results(id, cursor))
    }

    async fn try_results(&self, id: RunId, cursor: ResultCursor) -> Result<Option<ResultPage>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let rows = ask(&tx, "SELECT key, state FROM run WHERE id = $1", &[&id.0]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (key, code): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let state = run_state_of_code(code).ok_or_else(|| HubError::damaged(format!("run {id} is in state {code}")))?;
        let run = self.run(&tx, key).await?;
        let (mut values, mut results, mut next) = (Values::default(), Vec::new(), None);
        let mut left = i64::try_from(PAGE_BYTES).unwrap_or(0);
        let statements = run.graph.calls.iter().filter(|call| !call.nested);
        let mut round = cursor.round;
        for (index, call) in (0..).zip(statements).skip(cursor.call as usize) {
            if left <= 0 {
                next = Some(ResultCursor { call: index, round: 0 });
                break;
            }
            let (value, rest) = values.call_value(&tx, &run, call.last, round, &mut left).await?;
            results.push(CallResult { line: call.line, name: call.name.clone(), value });
            if let Some(round) = rest {
                next = Some(ResultCursor { call: index, round });
                break;
            }
            round = 0;
        }
        let failed = if cursor == ResultCursor::default() { failed(&tx, &run).await? } else { Vec::new() };
        Ok(Some(ResultPage { state, results, failed, next }))
    }
}

async fn failed(tx: &Transaction<'_>, run: &Run) -> Result<Vec<FailedJob>, HubError> {
    let sql = "SELECT job.id, job.node, job.attempts, job.worker, job.failure, job.log FROM failed
         JOIN job ON job.id = failed.job WHERE failed.run = $1 ORDER BY failed.job LIMIT $2";
    let (mut failed, mut bytes) = (Vec::new(), 0);
    for row in ask(tx, sql, &[&run.key, &MAX_FAILED]).await? {
        let node = NodeId(u32::try_from(row.try_get::<_, i64>(1)?).unwrap_or(u32::MAX));
        let step = run.graph.job(node).and_then(|job| run.graph.step_of(job));
        let failure: Option<Failure> = row.try_get::<_, Option<&[u8]>>(4)?.map(from_blob).transpose()?;
        let failure = failure.unwrap_or_else(|| Failure::new(FailureKind::Internal, "no reason was stored"));
        let log: Option<ValueRef> = row.try_get::<_, Option<&[u8]>>(5)?.map(from_blob).transpose()?;
        bytes += failure.message.len() + failure.trace.as_ref().map_or(0, String::len) + log.as_ref().map_or(0, weight);
        failed.push(FailedJob {
            job: job_id(row.try_get(0)?),
            step: step.map(|step| step.name.clone()).unwrap_or_default(),
            attempts: u32::try_from(row.try_get::<_, i64>(2)?).unwrap_or(u32::MAX),
            worker: row.try_get(3)?,
            failure,
            log,
        });
        if bytes > PAGE_BYTES {
            break;
        }
    }
    Ok(failed)
}
