//! Published pipelines and the runs they start.

use std::collections::HashSet;

use bue_model::pipeline::{
    Invoked, PipelineRun, PipelineSummary, PipelineVersion, PipelineView, Publication, Published,
};
use bue_model::{RunId, Timestamp};
use deadpool_postgres::Transaction;
use uuid::Uuid;

use super::connection::retry::retry_transient;
use super::query::{execute, query, run_state};
use super::schema::insert_params;
use super::state::PostgresState;
use super::submit::{InsertedRuns, NewRun};
use crate::error::HubError;
use crate::jobs::columns::small;
use crate::jobs::param_index::param_rows;
use crate::pipelines::{
    BatchSize, Invocation, MAX_PIPELINES, MAX_RUNS, MAX_VERSIONS, PARAMS_READ, RunnableVersion, StoredPublication,
    checked, shortened_params, view_of,
};

impl PostgresState {
    /// Adds a version, unless there is one with the same content, and makes it the one that new runs get.
    pub(super) async fn publish(&self, now: i64, name: &str, publication: &Publication) -> Result<Published, HubError> {
        let stored = checked(publication)?;
        retry_transient!(self.try_publish(now, name, publication, &stored))
    }

    async fn try_publish(
        &self,
        now: i64,
        name: &str,
        publication: &Publication,
        stored: &StoredPublication,
    ) -> Result<Published, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        lock_pipeline(&tx, name).await?;
        let hash = &stored.hash.as_bytes()[..];
        let sql = "SELECT version FROM pipeline_version WHERE pipeline = $1 AND hash = $2";
        let existing: Option<i64> = match query(&tx, sql, &[&name, &hash]).await?.first() {
            Some(row) => Some(row.try_get(0)?),
            None => None,
        };
        let version = match existing {
            Some(version) => version,
            None => insert_version(&tx, now, name, publication, stored).await?,
        };
        let sql = "INSERT INTO pipeline (name, current) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET current = $2";
        execute(&tx, sql, &[&name, &version]).await?;
        // Somebody else may have published the same before, without storing its code: every upload keeps the code.
        let sql = "INSERT INTO pipeline_upload (pipeline, version, upload) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        execute(&tx, sql, &[&name, &version, &publication.upload.0]).await?;
        self.commit(tx).await?;
        Ok(Published { version: small(version), created: existing.is_none() })
    }

    /// Removes a pipeline. Versions that runs still have are kept until these runs are deleted.
    pub(super) async fn unpublish(&self, name: &str) -> Result<(), HubError> {
        retry_transient!(self.try_unpublish(name))
    }

    async fn try_unpublish(&self, name: &str) -> Result<(), HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        lock_pipeline(&tx, name).await?;
        if execute(&tx, "DELETE FROM pipeline WHERE name = $1", &[&name]).await? == 0 {
            return Err(HubError::PipelineNotFound(name.to_owned()));
        }
        delete_unused_versions(&tx, name).await?;
        self.commit(tx).await
    }

    /// Returns all pipelines by name.
    pub(super) async fn pipelines(&self) -> Result<Vec<PipelineSummary>, HubError> {
        retry_transient!(self.try_pipelines())
    }

    async fn try_pipelines(&self) -> Result<Vec<PipelineSummary>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let sql = "SELECT name, version, script, published_at FROM pipeline
             JOIN pipeline_version ON pipeline = name AND version = current ORDER BY name COLLATE \"C\" LIMIT $1";
        let rows = query(&tx, sql, &[&MAX_PIPELINES]).await?;
        let pipelines = rows.iter().map(|row| {
            Ok(PipelineSummary {
                name: row.try_get(0)?,
                version: small(row.try_get(1)?),
                script: row.try_get(2)?,
                published_at: Timestamp(row.try_get(3)?),
            })
        });
        pipelines.collect()
    }

    /// Returns a pipeline with its versions and latest runs.
    pub(super) async fn pipeline(&self, name: &str) -> Result<Option<PipelineView>, HubError> {
        retry_transient!(self.try_pipeline(name))
    }

    async fn try_pipeline(&self, name: &str) -> Result<Option<PipelineView>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let Some(current) = runnable(&tx, name).await? else { return Ok(None) };
        Ok(Some(view_of(name, &current, versions(&tx, name).await?, runs_of(&tx, name).await?)))
    }

    /// Returns the name of the pipeline of which this is a run.
    pub(super) async fn pipeline_of(&self, run: RunId) -> Result<Option<String>, HubError> {
        retry_transient!(self.try_pipeline_of(run))
    }

    async fn try_pipeline_of(&self, run: RunId) -> Result<Option<String>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let sql = "SELECT pipeline FROM run JOIN invocation ON invocation.run = key WHERE id = $1";
        let rows = query(&tx, sql, &[&run.0]).await?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
    }

    /// Starts runs of pipelines, all of them or none. A run that exists is left as it is.
    pub(super) async fn invoke(&self, now: i64, invocations: &[Invocation]) -> Result<Vec<Invoked>, HubError> {
        retry_transient!(self.try_invoke(now, invocations))
    }

    async fn try_invoke(&self, now: i64, invocations: &[Invocation]) -> Result<Vec<Invoked>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let mut known = existing_runs(&tx, invocations).await?;
        let (mut new, mut repeated, mut size) = (Vec::new(), Vec::new(), BatchSize::default());
        // a batch is for one pipeline
        let mut current: Option<(&str, RunnableVersion)> = None;
        for (position, invocation) in invocations.iter().enumerate() {
            if !known.insert(invocation.run) {
                repeated.push(invocation);
                continue;
            }
            let version = match current.take() {
                Some((name, version)) if name == invocation.pipeline => version,
                _ => keep_runnable(&tx, &invocation.pipeline).await?,
            };
            let submission = version.submission(invocation, position)?;
            size.add(&version, &submission)?;
            new.push(NewInvocation {
                invocation,
                version: version.version,
                run: NewRun::new(&submission, None, None)?,
            });
            current = Some((&invocation.pipeline, version));
        }
        let started: Vec<&Invocation> = new.iter().map(|new| new.invocation).collect();
        let InsertedRuns { keys, pending_notifications } = self.start_new(&tx, now, new).await?;
        // another hub was faster
        repeated.extend(started.into_iter().filter(|invocation| !keys.contains_key(&invocation.run)));
        expect_same(&tx, &repeated).await?;
        let invoked = invoked(&tx, invocations).await?;
        self.commit(tx).await?;
        self.announce(pending_notifications);
        Ok(invoked)
    }

    /// Starts runs. Those that exist are left as they are.
    pub(super) async fn start_new(
        &self,
        tx: &Transaction<'_>,
        now: i64,
        new: Vec<NewInvocation<'_>>,
    ) -> Result<InsertedRuns, HubError> {
        let (mut invocations, mut runs) = (Vec::with_capacity(new.len()), Vec::with_capacity(new.len()));
        for NewInvocation { invocation, version, run } in new {
            invocations.push((invocation, i64::from(version)));
            runs.push(run);
        }
        let inserted = self.insert_runs(tx, now, runs).await?;
        let started = invocations.into_iter().filter_map(|(invocation, version)| {
            inserted.keys.get(&invocation.run).map(|key| (*key, invocation, version))
        });
        insert_invocations(tx, now, &started.collect::<Vec<_>>()).await?;
        Ok(inserted)
    }
}

/// A run of a pipeline to insert.
pub(super) struct NewInvocation<'a> {
    pub(super) invocation: &'a Invocation,
    /// The number of the pipeline's version.
    pub(super) version: u32,
    pub(super) run: NewRun,
}

/// Returns those of the runs that exist.
async fn existing_runs(tx: &Transaction<'_>, invocations: &[Invocation]) -> Result<HashSet<RunId>, HubError> {
    let ids: Vec<Uuid> = invocations.iter().map(|invocation| invocation.run.0).collect();
    let rows = query(tx, "SELECT id FROM run WHERE id = ANY($1)", &[&ids]).await?;
    rows.iter().map(|row| Ok(RunId(row.try_get(0)?))).collect()
}

/// Stores what runs, by their keys, were started with, and the numbers of their versions.
async fn insert_invocations(
    tx: &Transaction<'_>,
    now: i64,
    started: &[(i64, &Invocation, i64)],
) -> Result<(), HubError> {
    if started.is_empty() {
        return Ok(());
    }
    let keys: Vec<i64> = started.iter().map(|(key, ..)| *key).collect();
    let versions: Vec<i64> = started.iter().map(|(.., version)| *version).collect();
    let InvocationColumns { pipelines, params, priorities } =
        InvocationColumns::new(started.iter().map(|(_, invocation, _)| *invocation));
    let sql = "INSERT INTO invocation (run, pipeline, version, params, priority, created_at)
         SELECT *, $6::int8 FROM unnest($1::int8[], $2::text[], $3::int8[], $4::text[], $5::int8[])";
    execute(tx, sql, &[&keys, &pipelines, &versions, &params, &priorities, &now]).await?;
    let params: Vec<_> = started.iter().map(|(key, invocation, _)| (*key, param_rows(&invocation.params))).collect();
    insert_params(tx, now, &params).await
}

/// What invocations ask for, by column.
struct InvocationColumns<'a> {
    pipelines: Vec<&'a str>,
    params: Vec<String>,
    priorities: Vec<i64>,
}

impl<'a> InvocationColumns<'a> {
    fn new(invocations: impl Iterator<Item = &'a Invocation> + Clone) -> Self {
        Self {
            pipelines: invocations.clone().map(|invocation| &*invocation.pipeline).collect(),
            params: invocations.clone().map(Invocation::params_json).collect(),
            priorities: invocations.map(|invocation| invocation.priority).collect(),
        }
    }
}

/// Returns the version of a pipeline that new runs get. It is there until the transaction ends.
pub(super) async fn keep_runnable(tx: &Transaction<'_>, name: &str) -> Result<RunnableVersion, HubError> {
    // A lock of the row would not do: `unpublish` waits for it, and then deletes the row without looking for new runs.
    let sql = "SELECT pg_advisory_xact_lock_shared(hashtextextended('bue pipeline ' || $1, 0))";
    execute(tx, sql, &[&name]).await?;
    runnable(tx, name).await?.ok_or_else(|| HubError::PipelineNotFound(name.to_owned()))
}

/// Makes publishing and unpublishing of a name take turns, also while it has no row.
async fn lock_pipeline(tx: &Transaction<'_>, name: &str) -> Result<(), HubError> {
    execute(tx, "SELECT pg_advisory_xact_lock(hashtextextended('bue pipeline ' || $1, 0))", &[&name]).await?;
    Ok(())
}

async fn insert_version(
    tx: &Transaction<'_>,
    now: i64,
    name: &str,
    publication: &Publication,
    stored: &StoredPublication,
) -> Result<i64, HubError> {
    let sql = "INSERT INTO pipeline_version (pipeline, version, hash, script, body, published_at)
         SELECT $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5 FROM pipeline_version WHERE pipeline = $1
         RETURNING version";
    let hash = &stored.hash.as_bytes()[..];
    let rows = query(tx, sql, &[&name, &hash, &publication.script, &stored.body, &now]).await?;
    let row = rows.first().ok_or_else(|| HubError::damaged("a version was not inserted"))?;
    Ok(row.try_get(0)?)
}

/// Deletes the versions of a pipeline that is not published any more and that no run has.
async fn delete_unused_versions(tx: &Transaction<'_>, name: &str) -> Result<(), HubError> {
    let sql = "DELETE FROM pipeline_version WHERE pipeline = $1
         AND NOT EXISTS (SELECT 1 FROM pipeline WHERE name = $1)
         AND NOT EXISTS (SELECT 1 FROM invocation
             WHERE invocation.pipeline = $1 AND invocation.version = pipeline_version.version)";
    if execute(tx, sql, &[&name]).await? > 0 {
        let sql = "DELETE FROM pipeline_upload WHERE pipeline = $1 AND NOT EXISTS (SELECT 1 FROM pipeline_version
             WHERE pipeline_version.pipeline = $1 AND pipeline_version.version = pipeline_upload.version)";
        execute(tx, sql, &[&name]).await?;
    }
    Ok(())
}

/// Forgets that a run was started by a pipeline, because it is deleted.
pub(super) async fn delete_invocation(tx: &Transaction<'_>, key: i64) -> Result<(), HubError> {
    let rows = query(tx, "DELETE FROM invocation WHERE run = $1 RETURNING pipeline", &[&key]).await?;
    match rows.first() {
        Some(row) => delete_unused_versions(tx, row.try_get(0)?).await,
        None => Ok(()),
    }
}

/// Returns the runs with their states.
async fn invoked(tx: &Transaction<'_>, invocations: &[Invocation]) -> Result<Vec<Invoked>, HubError> {
    let ids: Vec<Uuid> = invocations.iter().map(|invocation| invocation.run.0).collect();
    let sql = "SELECT id, state FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (id, position) JOIN run USING (id) ORDER BY position";
    let rows = query(tx, sql, &[&ids]).await?;
    let invoked = rows.iter().map(|row| {
        let run = RunId(row.try_get(0)?);
        Ok(Invoked { run, state: run_state(run, row.try_get(1)?)? })
    });
    invoked.collect()
}

async fn versions(tx: &Transaction<'_>, name: &str) -> Result<Vec<PipelineVersion>, HubError> {
    let sql = "SELECT version, script, published_at FROM pipeline_version WHERE pipeline = $1
         ORDER BY version DESC LIMIT $2";
    let rows = query(tx, sql, &[&name, &MAX_VERSIONS]).await?;
    let versions = rows.iter().map(|row| {
        Ok(PipelineVersion {
            version: small(row.try_get(0)?),
            script: row.try_get(1)?,
            published_at: Timestamp(row.try_get(2)?),
        })
    });
    versions.collect()
}

async fn runs_of(tx: &Transaction<'_>, name: &str) -> Result<Vec<PipelineRun>, HubError> {
    let sql = "SELECT id, invocation.version, run.state, run.created_at, finished_at, substr(params, 1, $3::int8::int4), key
         FROM invocation JOIN run ON key = run WHERE pipeline = $1 ORDER BY invocation.created_at DESC, run DESC LIMIT $2";
    let rows = query(tx, sql, &[&name, &MAX_RUNS, &PARAMS_READ]).await?;
    let runs = rows.iter().map(|row| {
        let key: i64 = row.try_get(6)?;
        Ok(PipelineRun {
            run: RunId(row.try_get(0)?),
            version: small(row.try_get(1)?),
            state: run_state(key, row.try_get(2)?)?,
            created_at: Timestamp(row.try_get(3)?),
            finished_at: row.try_get::<_, Option<i64>>(4)?.map(Timestamp),
            params: shortened_params(row.try_get(5)?),
        })
    });
    runs.collect()
}

async fn runnable(tx: &Transaction<'_>, name: &str) -> Result<Option<RunnableVersion>, HubError> {
    let sql = "SELECT version, script, body FROM pipeline
         JOIN pipeline_version ON pipeline = name AND version = current WHERE name = $1";
    let rows = query(tx, sql, &[&name]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    RunnableVersion::from_stored(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?).map(Some)
}

/// Runs that exist already were started by requests with the same keys, which have to have asked for the same.
async fn expect_same(tx: &Transaction<'_>, invocations: &[&Invocation]) -> Result<(), HubError> {
    if invocations.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = invocations.iter().map(|invocation| invocation.run.0).collect();
    let InvocationColumns { pipelines, params, priorities } = InvocationColumns::new(invocations.iter().copied());
    let sql = "SELECT asked.id FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int8[])
             WITH ORDINALITY AS asked (id, pipeline, params, priority, position)
         LEFT JOIN run ON run.id = asked.id LEFT JOIN invocation ON invocation.run = run.key
         WHERE (asked.pipeline, asked.params, asked.priority)
             IS DISTINCT FROM (invocation.pipeline, invocation.params, invocation.priority)
         ORDER BY position LIMIT 1";
    match query(tx, sql, &[&ids, &pipelines, &params, &priorities]).await?.first() {
        Some(row) => Err(HubError::OtherInvocation(RunId(row.try_get(0)?))),
        None => Ok(()),
    }
}
