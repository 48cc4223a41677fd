//! Pages of the jobs of a run.

use std::collections::HashMap;

use bue_model::wire::{JobPage, JobQuery, JobView};
use bue_model::{JobState, NodeId, RunId};
use deadpool_postgres::Transaction;

use crate::error::HubError;
use crate::jobs::columns::{job_id, signed};
use crate::jobs::instance::{FanOut, IdRange, Run};
use crate::jobs::state::state_code;
use crate::jobs::views::job_list::{
    BATCH, FAN_OUT_BATCH, JobScan, select_failed, select_running, select_window, select_window_in_state,
};
use crate::jobs::views::job_views::digest_of;
use crate::jobs::views::round_filter::{MAX_LOOPS, RoundFilter};
use crate::postgres::connection::retry::retry_transient;
use crate::postgres::query::{fan_out_row, node, query, select_fan_outs};
use crate::postgres::state::PostgresState;

impl PostgresState {
    /// Returns a page of a run's jobs; `None` if there is no such run.
    pub(in crate::postgres) async fn jobs(&self, run: RunId, request: JobQuery) -> Result<Option<JobPage>, HubError> {
        retry_transient!(self.try_jobs(run, &request))
    }

    async fn try_jobs(&self, id: RunId, request: &JobQuery) -> Result<Option<JobPage>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let rows = query(&tx, "SELECT key FROM run WHERE id = $1", &[&id.0]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let key: i64 = row.try_get(0)?;
        let run = self.run(&tx, key).await?;
        let mut scan = JobScan::new(&run, request)?;
        if !request.rounds.is_empty() {
            scan.restrict(round_ids(&tx, &run, &request.rounds).await?);
        }
        match request.state {
            Some(JobState::Running) => scan_index(&tx, key, &mut scan, select_running!("$", "")).await?,
            Some(JobState::Failed) => scan_index(&tx, key, &mut scan, select_failed!("$")).await?,
            state => {
                let sql = select_window_in_state!(state, "$");
                scan_ranges(&tx, key, run.top_level_ids(), &mut scan, sql).await?;
            }
        }
        let (ids, next) = scan.finish();
        let mut jobs = self.listed_jobs(&tx, &ids).await?;
        if request.digests {
            add_digests(&tx, &mut jobs, &ids).await?;
        }
        Ok(Some(JobPage { jobs, next }))
    }
}

/// Adds the hashes of the results of jobs with these ids.
async fn add_digests(tx: &Transaction<'_>, jobs: &mut [JobView], ids: &[i64]) -> Result<(), HubError> {
    let rows = query(tx, "SELECT id, value FROM done WHERE id = ANY($1) AND value IS NOT NULL", &[&ids]).await?;
    let mut digests = HashMap::with_capacity(rows.len());
    for row in &rows {
        digests.insert(job_id(row.try_get(0)?), digest_of(row.try_get(1)?));
    }
    for job in jobs {
        job.digest = digests.remove(&job.id);
    }
    Ok(())
}

/// Looks at the rows of a query that continues behind an id.
async fn scan_index(tx: &Transaction<'_>, run: i64, scan: &mut JobScan, sql: &str) -> Result<(), HubError> {
    let mut has_more = true;
    while has_more {
        let rows = id_rows(tx, sql, run, scan.cursor()).await?;
        has_more = scan.add_batch(&rows);
    }
    Ok(())
}

/// Returns the ids of the jobs in a round.
async fn round_ids(tx: &Transaction<'_>, run: &Run, rounds: &[u64]) -> Result<Vec<IdRange>, HubError> {
    let sql = select_fan_outs!(
        "id IN (SELECT found.id FROM unnest($1::int8[], $2::int8[]) AS wanted (first, rest)
             CROSS JOIN LATERAL (SELECT inner_loop.id FROM fanout AS inner_loop
                 WHERE inner_loop.id >= wanted.first AND inner_loop.id < wanted.rest) AS found LIMIT $3)"
    );
    // one more than the filter takes
    let limit = signed(MAX_LOOPS as u64 + 1);
    let mut filter = RoundFilter::new(run, rounds);
    loop {
        let needs = filter.needs();
        if needs.is_empty() {
            return Ok(filter.finish());
        }
        let (firsts, ends): (Vec<i64>, Vec<i64>) = needs.into_iter().unzip();
        let fan_outs: Vec<FanOut> =
            query(tx, sql, &[&firsts, &ends, &limit]).await?.iter().map(fan_out_row).collect::<Result<_, _>>()?;
        filter.add(&fan_outs)?;
    }
}

/// Looks at the top level and at the fan-outs, in the order of their ids.
async fn scan_ranges(
    tx: &Transaction<'_>,
    run: i64,
    top_level: IdRange,
    scan: &mut JobScan,
    sql: &str,
) -> Result<(), HubError> {
    if let Some(ranges) = scan.ranges() {
        for range in ranges {
            scan_range(tx, range, scan, sql).await?;
        }
        return Ok(());
    }
    scan_range(tx, top_level, scan, sql).await?;
    let mut fan_outs = fan_outs_from(tx, run, scan.cursor()).await?;
    while !fan_outs.is_empty() && !scan.is_full() {
        for fan_out in &fan_outs {
            scan_range(tx, fan_out.expanded_ids(), scan, sql).await?;
        }
        let last = fan_outs.last().map_or(0, |fan_out| fan_out.first);
        fan_outs = fan_outs_behind(tx, run, last).await?;
    }
    Ok(())
}

async fn scan_range(tx: &Transaction<'_>, range: IdRange, scan: &mut JobScan, sql: &str) -> Result<(), HubError> {
    while let Some(window) = scan.window(range) {
        let rows = id_rows(tx, sql, window.0, window.1).await?;
        scan.add_window(window, &rows);
    }
    Ok(())
}

async fn id_rows(tx: &Transaction<'_>, sql: &str, first: i64, second: i64) -> Result<Vec<(i64, NodeId)>, HubError> {
    let rows = query(tx, sql, &[&first, &second, &BATCH]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, node(row.try_get(1)?)))).collect()
}

/// Returns the first fan-outs of a run with rounds behind an id.
async fn fan_outs_from(tx: &Transaction<'_>, run: i64, id: i64) -> Result<Vec<FanOut>, HubError> {
    let sql = select_fan_outs!("run = $1 AND first <= $2 ORDER BY first DESC LIMIT 1");
    match query(tx, sql, &[&run, &id]).await?.first() {
        Some(around) => Ok(vec![fan_out_row(around)?]),
        None => fan_outs_behind(tx, run, 0).await,
    }
}

async fn fan_outs_behind(tx: &Transaction<'_>, run: i64, first: i64) -> Result<Vec<FanOut>, HubError> {
    let sql = select_fan_outs!("run = $1 AND first > $2 ORDER BY first LIMIT $3");
    query(tx, sql, &[&run, &first, &FAN_OUT_BATCH]).await?.iter().map(fan_out_row).collect()
}
