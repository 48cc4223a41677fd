//! Inserting runs: one statement for each table, whatever the number of runs.

use std::collections::HashMap;
use std::sync::Arc;

use bue_model::text::truncate_bytes;
use bue_model::wire::Submission;
use bue_model::{RunId, RunState, StepIndex, TraceContext};
use deadpool_postgres::Transaction;
use uuid::Uuid;

use super::change::Start;
use super::connection::retry::retry_transient;
use super::query::{execute, query};
use super::read::allocate_ids;
use super::state::PostgresState;
use crate::error::HubError;
use crate::jobs::changes::change_set::ChangeSet;
use crate::jobs::changes::pending_notifications::PendingNotifications;
use crate::jobs::changes::snapshot::{RequiredReads, Snapshot};
use crate::jobs::columns::small;
use crate::jobs::graph::{Block, Graph, MAX_NAME};
use crate::jobs::instance::Run;
use crate::jobs::leasing::pick::StartLimits;
use crate::jobs::original::Original;
use crate::jobs::plan_body::encode_plan;
use crate::jobs::state::run_state_code;
use crate::pipelines::with_values;

/// A run to insert, checked.
pub(super) struct NewRun {
    id: RunId,
    name: String,
    /// Plan and code, as they are stored.
    body: Vec<u8>,
    graph: Graph,
    original: Option<Original>,
    /// The client's own span.
    parent: Option<TraceContext>,
}

/// Runs that were inserted.
#[derive(Default)]
pub(super) struct InsertedRuns {
    /// Their keys. A run that existed has none.
    pub(super) keys: HashMap<RunId, i64>,
    pub(super) pending_notifications: PendingNotifications,
}

impl NewRun {
    /// Checks a submission; with `original`, a rerun of that run, and with `parent`, as a part of that span.
    pub(super) fn new(
        submission: &Submission,
        original: Option<Original>,
        parent: Option<TraceContext>,
    ) -> Result<Self, HubError> {
        // a text column takes no NUL
        let mut name = submission.name.replace('\0', "");
        truncate_bytes(&mut name, MAX_NAME);
        let body = encode_plan(&submission.plan, &submission.code, parent)?;
        let graph = Graph::new(with_values(submission.plan.clone())?, submission.code.clone())?;
        Ok(Self { id: submission.run, name, body, graph, original, parent })
    }

    /// Returns the number of ids of its top level.
    fn stride(&self) -> i64 {
        self.graph.blocks.first().map_or(0, Block::stride)
    }
}

impl PostgresState {
    /// Inserts a run and its top level. A run that exists is left as it is, so submitting is idempotent: `run.id` is unique,
    /// and the second transaction waits for the commit of the first.
    pub(super) async fn submit(
        &self,
        now: i64,
        submission: &Submission,
        parent: Option<TraceContext>,
    ) -> Result<RunId, HubError> {
        if retry_transient!(self.run_key(submission.run))?.is_some() {
            return Ok(submission.run);
        }
        retry_transient!(self.try_submit(now, submission, parent))
    }

    async fn try_submit(
        &self,
        now: i64,
        submission: &Submission,
        parent: Option<TraceContext>,
    ) -> Result<RunId, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let inserted = self.insert_runs(&tx, now, vec![NewRun::new(submission, None, parent)?]).await?;
        if !inserted.keys.is_empty() {
            self.commit(tx).await?;
            self.announce(inserted.pending_notifications);
        }
        Ok(submission.run)
    }

    /// Inserts runs and their top levels in a transaction that does more. Runs that exist are left as they are.
    pub(super) async fn insert_runs(
        &self,
        tx: &Transaction<'_>,
        now: i64,
        new: Vec<NewRun>,
    ) -> Result<InsertedRuns, HubError> {
        if new.is_empty() {
            return Ok(InsertedRuns::default());
        }
        let mut next = allocate_ids(tx, new.iter().map(NewRun::stride).sum()).await?;
        let mut firsts = Vec::with_capacity(new.len());
        for run in &new {
            firsts.push(next);
            next += run.stride();
        }
        let keys = insert_run_rows(tx, now, &new, &firsts).await?;
        let mut runs = Vec::with_capacity(keys.len());
        let mut bodies = Vec::with_capacity(keys.len());
        for (NewRun { id, body, graph, original, parent, .. }, first) in new.into_iter().zip(firsts) {
            if let Some(&key) = keys.get(&id) {
                runs.push(Arc::new(Run { key, id, first, graph, original, parent }));
                bodies.push(body);
            }
        }
        insert_plans(tx, &runs, &bodies).await?;
        drop(bodies);
        let pending_notifications = self.start_runs(tx, now, &runs).await?;
        Ok(InsertedRuns { keys, pending_notifications })
    }

    /// Inserts steps and jobs of new runs.
    async fn start_runs(
        &self,
        tx: &Transaction<'_>,
        now: i64,
        runs: &[Arc<Run>],
    ) -> Result<PendingNotifications, HubError> {
        let mut snapshot = Snapshot::default();
        insert_step_counts(tx, runs).await?;
        insert_rates(tx, runs, &mut snapshot).await?;
        for run in runs {
            snapshot.runs.insert(run.key, run.clone());
            snapshot.run_states.insert(run.key, RunState::Running);
            snapshot.fresh_since.insert(run.key, now);
            snapshot.new_runs.insert(run.key);
        }
        let start = |changes: &mut ChangeSet<'_>| runs.iter().try_for_each(|run| changes.start_run(run));
        let start_point = Start { snapshot, required: RequiredReads::default() };
        let ((), pending_notifications) = self.apply(tx, now, start_point, &start).await?;
        Ok(pending_notifications)
    }
}

/// Inserts rows of `run`, except those of runs that exist. Returns their keys.
async fn insert_run_rows(
    tx: &Transaction<'_>,
    now: i64,
    new: &[NewRun],
    firsts: &[i64],
) -> Result<HashMap<RunId, i64>, HubError> {
    let ids: Vec<Uuid> = new.iter().map(|run| run.id.0).collect();
    let names: Vec<&str> = new.iter().map(|run| &*run.name).collect();
    let sql = concat!(
        "INSERT INTO run (id, name, first, state, created_at, version)
         SELECT id, name, first, ",
        run_state_code!(Running),
        ", $4, 0 FROM unnest($1::uuid[], $2::text[], $3::int8[]) WITH ORDINALITY AS new (id, name, first, position)
         ORDER BY position ON CONFLICT (id) DO NOTHING RETURNING id, key"
    );
    let rows = query(tx, sql, &[&ids, &names, &firsts, &now]).await?;
    rows.iter().map(|row| Ok((RunId(row.try_get(0)?), row.try_get(1)?))).collect()
}

async fn insert_plans(tx: &Transaction<'_>, runs: &[Arc<Run>], bodies: &[Vec<u8>]) -> Result<(), HubError> {
    let keys: Vec<i64> = runs.iter().map(|run| run.key).collect();
    let sql = "INSERT INTO plan (run, body) SELECT * FROM unnest($1::int8[], $2::bytea[])";
    execute(tx, sql, &[&keys, &bodies]).await?;
    Ok(())
}

/// Inserts the counts of the steps of runs.
async fn insert_step_counts(tx: &Transaction<'_>, runs: &[Arc<Run>]) -> Result<(), HubError> {
    let steps = runs.iter().flat_map(|run| (0_i64..).take(run.graph.steps.len()).map(|step| (run.key, step)));
    let (keys, steps): (Vec<i64>, Vec<i64>) = steps.unzip();
    let sql = "INSERT INTO step_count (run, step) SELECT * FROM unnest($1::int8[], $2::int8[])";
    execute(tx, sql, &[&keys, &steps]).await?;
    Ok(())
}

/// Inserts the rates without keys of runs that have none.
pub(super) async fn insert_rates(
    tx: &Transaction<'_>,
    runs: &[Arc<Run>],
    snapshot: &mut Snapshot,
) -> Result<(), HubError> {
    let (mut keys, mut steps, mut scopes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut counts, mut periods, mut at_most) = (Vec::new(), Vec::new(), Vec::new());
    for run in runs {
        for (index, step) in (0..).map(StepIndex).zip(&run.graph.steps) {
            let settings = &step.settings;
            let Some(limits) = StartLimits::of(settings).filter(|_| settings.counted_by().is_none()) else { continue };
            keys.push(run.key);
            steps.push(i64::from(index.0));
            scopes.push(&*settings.scope);
            counts.push(limits.count);
            periods.push(limits.per_ms);
            at_most.push(limits.at_most);
        }
    }
    if keys.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO rate (run, step, scope, count, per_ms, at_most, next, open_at)
         SELECT *, 0, 0 FROM unnest($1::int8[], $2::int8[], $3::text[], $4::int8[], $5::int8[], $6::int8[])
         RETURNING run, step, id";
    for row in query(tx, sql, &[&keys, &steps, &scopes, &counts, &periods, &at_most]).await? {
        snapshot.rates.insert((row.try_get(0)?, small(row.try_get(1)?)), row.try_get(2)?);
    }
    Ok(())
}
