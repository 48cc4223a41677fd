//! What is read of the runs that reruns repeat, and of the rounds of reruns.
//!
//! Nothing locks an original run once its rerun is created. Each query that reads rows of it checks in the same statement that it
//! still has the version that it had then; a reset changes the version before it changes anything else.

use std::collections::BTreeSet;

use deadpool_postgres::Transaction;

use super::query::{hint, query};
use crate::error::HubError;
use crate::jobs::changes::rows::ChunkRow;
use crate::jobs::changes::snapshot::{OriginalId, RequiredReads, Snapshot};
use crate::jobs::instance::FanOut;
use crate::jobs::original::{NodeSet, Original};
use crate::jobs::state::state_code;

/// Returns the run that a rerun repeats.
pub(super) async fn original_of(tx: &Transaction<'_>, key: i64) -> Result<Option<Original>, HubError> {
    let rows = query(tx, "SELECT first, version, reusable FROM rerun WHERE run = $1", &[&key]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let reusable = NodeSet::from_bytes(row.try_get(2)?);
    Ok(Some(Original { first: row.try_get(0)?, version: row.try_get(1)?, reusable }))
}

/// Reads what a change set needs of original runs, and of the rounds of reruns.
pub(super) async fn read_originals(
    tx: &Transaction<'_>,
    snapshot: &mut Snapshot,
    required: &RequiredReads,
    read_ahead: i64,
) -> Result<(), HubError> {
    read_hints(tx, snapshot, required, read_ahead).await?;
    read_values(tx, snapshot, &required.original_values).await?;
    for source in &required.lists {
        let sql = "SELECT first, count, value FROM chunk WHERE source = $1 ORDER BY first";
        let rows = query(tx, sql, &[source]).await?;
        let list = rows.iter().map(|row| {
            Ok(ChunkRow { source: *source, first: row.try_get(0)?, count: row.try_get(1)?, value: row.try_get(2)? })
        });
        snapshot.lists.insert(*source, list.collect::<Result<_, HubError>>()?);
    }
    for (version, source) in &required.original_lists {
        let sql = "SELECT chunk.first, chunk.count, chunk.value FROM chunk JOIN done ON done.id = chunk.source
             JOIN run ON run.key = done.run WHERE chunk.source = $1 AND run.version = $2 ORDER BY chunk.first";
        let rows = query(tx, sql, &[source, version]).await?;
        let list = rows.iter().map(|row| {
            Ok(ChunkRow { source: *source, first: row.try_get(0)?, count: row.try_get(1)?, value: row.try_get(2)? })
        });
        snapshot.original_lists.insert((*version, *source), list.collect::<Result<_, HubError>>()?);
    }
    read_counterparts(tx, snapshot, &required.counterparts).await?;
    for (id, node) in &required.same_rounds {
        let (first, end) = snapshot.fan_outs.get(id).map_or((0, 0), FanOut::expanded_ids);
        let sql = "SELECT count(*) FROM done WHERE id >= $1 AND id < $2 AND node = $3 AND same";
        let rows = query(tx, sql, &[&first, &end, &i64::from(*node)]).await?;
        snapshot.same_rounds.insert((*id, *node), rows.first().map_or(Ok(0), |row| row.try_get(0))?);
    }
    Ok(())
}

async fn read_hints(
    tx: &Transaction<'_>,
    snapshot: &mut Snapshot,
    required: &RequiredReads,
    read_ahead: i64,
) -> Result<(), HubError> {
    let ranges = required.original_ranges(read_ahead);
    if ranges.is_empty() {
        return Ok(());
    }
    let versions: Vec<i64> = ranges.iter().map(|(version, _)| *version).collect();
    let (firsts, ends): (Vec<i64>, Vec<i64>) = ranges.iter().map(|(_, range)| *range).unzip();
    let sql = concat!(
        "SELECT wanted.version, done.id, done.hint, done.env, done.scope_hint
         FROM unnest($1::int8[], $2::int8[], $3::int8[]) AS wanted (version, first, stop)
         JOIN done ON done.id >= wanted.first AND done.id < wanted.stop
         JOIN run ON run.key = done.run AND run.version = wanted.version WHERE done.state = ",
        state_code!(Completed)
    );
    for row in query(tx, sql, &[&versions, &firsts, &ends]).await? {
        snapshot.add_original((row.try_get(0)?, row.try_get(1)?), hint(&row, 2)?);
    }
    ranges.into_iter().for_each(|(version, range)| snapshot.mark_originals_read(version, range));
    Ok(())
}

async fn read_values(
    tx: &Transaction<'_>,
    snapshot: &mut Snapshot,
    required: &BTreeSet<OriginalId>,
) -> Result<(), HubError> {
    if required.is_empty() {
        return Ok(());
    }
    let (versions, ids): (Vec<i64>, Vec<i64>) = required.iter().copied().unzip();
    let sql = concat!(
        "SELECT wanted.version, done.id, done.value FROM unnest($1::int8[], $2::int8[]) AS wanted (version, id)
         JOIN done ON done.id = wanted.id JOIN run ON run.key = done.run AND run.version = wanted.version
         WHERE done.state = ",
        state_code!(Completed)
    );
    snapshot.original_values.extend(required.iter().map(|id| (*id, None)));
    for row in query(tx, sql, &[&versions, &ids]).await? {
        snapshot.original_values.insert((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?);
    }
    Ok(())
}

async fn read_counterparts(
    tx: &Transaction<'_>,
    snapshot: &mut Snapshot,
    required: &BTreeSet<(i64, i64)>,
) -> Result<(), HubError> {
    if required.is_empty() {
        return Ok(());
    }
    let (fan_outs, rounds): (Vec<i64>, Vec<i64>) = required.iter().copied().unzip();
    let sql =
        "SELECT wanted.fanout, wanted.round, counterpart.original + (wanted.round - counterpart.first) * fanout.stride
         FROM unnest($1::int8[], $2::int8[]) AS wanted (fanout, round)
         JOIN fanout ON fanout.id = wanted.fanout
         JOIN counterpart ON counterpart.fanout = wanted.fanout AND wanted.round >= counterpart.first
             AND wanted.round < counterpart.first + counterpart.count";
    snapshot.counterparts.extend(required.iter().map(|round| (*round, None)));
    for row in query(tx, sql, &[&fan_outs, &rounds]).await? {
        snapshot.counterparts.insert((row.try_get(0)?, row.try_get(1)?), Some(row.try_get(2)?));
    }
    Ok(())
}
