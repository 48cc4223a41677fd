//! Published pipelines and the runs they start.

use bue_model::pipeline::{
    Invoked, PipelineRun, PipelineSummary, PipelineVersion, PipelineView, Publication, Published,
};
use bue_model::wire::Submission;
use bue_model::{RunId, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::read_tx::ReadTx;
use super::schema::insert_params;
use super::state::run_state;
use super::write_tx::WriteTx;
use crate::error::HubError;
use crate::jobs::columns::{run_id, small};
use crate::jobs::param_index::param_rows;
use crate::pipelines::{
    BatchSize, Invocation, MAX_PIPELINES, MAX_RUNS, MAX_VERSIONS, PARAMS_READ, RunnableVersion, StoredPublication,
    checked, shortened_params, view_of,
};

impl ReadTx<'_> {
    /// Returns all pipelines by name.
    pub(super) fn pipelines(&self) -> Result<Vec<PipelineSummary>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT name, version, script, published_at FROM pipeline
             JOIN pipeline_version ON pipeline = name AND version = current ORDER BY name LIMIT ?1",
        )?;
        let pipelines = select.query_map([MAX_PIPELINES], |row| {
            Ok(PipelineSummary {
                name: row.get(0)?,
                version: small(row.get(1)?),
                script: row.get(2)?,
                published_at: Timestamp(row.get(3)?),
            })
        })?;
        Ok(pipelines.collect::<Result<_, _>>()?)
    }

    /// Returns a pipeline with its versions and latest runs.
    pub(super) fn pipeline(&self, name: &str) -> Result<Option<PipelineView>, HubError> {
        let Some(current) = self.runnable(name)? else { return Ok(None) };
        Ok(Some(view_of(name, &current, self.versions(name)?, self.runs_of(name)?)))
    }

    /// Returns the name of the pipeline of which this is a run.
    pub(super) fn pipeline_of(&self, run: RunId) -> Result<Option<String>, HubError> {
        let mut select =
            self.db.prepare_cached("SELECT pipeline FROM run JOIN invocation ON invocation.run = key WHERE id = ?1")?;
        Ok(select.query_row([run.0.as_bytes()], |row| row.get(0)).optional()?)
    }

    fn versions(&self, name: &str) -> Result<Vec<PipelineVersion>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT version, script, published_at FROM pipeline_version WHERE pipeline = ?1
             ORDER BY version DESC LIMIT ?2",
        )?;
        let versions = select.query_map(params![name, MAX_VERSIONS], |row| {
            Ok(PipelineVersion {
                version: small(row.get(0)?),
                script: row.get(1)?,
                published_at: Timestamp(row.get(2)?),
            })
        })?;
        Ok(versions.collect::<Result<_, _>>()?)
    }

    fn runs_of(&self, name: &str) -> Result<Vec<PipelineRun>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT id, invocation.version, run.state, run.created_at, finished_at, substr(params, 1, ?3) FROM invocation
             JOIN run ON key = run WHERE pipeline = ?1 ORDER BY invocation.created_at DESC, run DESC LIMIT ?2",
        )?;
        let runs = select.query_map(params![name, MAX_RUNS, PARAMS_READ], |row| {
            Ok(PipelineRun {
                run: run_id(row.get(0)?),
                version: small(row.get(1)?),
                state: run_state(row.get(2)?)?,
                created_at: Timestamp(row.get(3)?),
                finished_at: row.get::<_, Option<i64>>(4)?.map(Timestamp),
                params: shortened_params(&row.get::<_, String>(5)?),
            })
        })?;
        Ok(runs.collect::<Result<_, _>>()?)
    }

    /// Returns the version of a pipeline that new runs get.
    pub(super) fn runnable(&self, name: &str) -> Result<Option<RunnableVersion>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT version, script, body FROM pipeline
             JOIN pipeline_version ON pipeline = name AND version = current WHERE name = ?1",
        )?;
        let row = select.query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?)));
        let Some((version, script, body)) = row.optional()? else { return Ok(None) };
        RunnableVersion::from_stored(version, script, &body).map(Some)
    }
}

impl WriteTx<'_> {
    /// Adds a version, unless there is one with the same content, and makes it the one that new runs get.
    pub(super) fn publish(&mut self, name: &str, publication: &Publication) -> Result<Published, HubError> {
        let StoredPublication { body, hash } = checked(publication)?;
        let mut select =
            self.db.prepare_cached("SELECT version FROM pipeline_version WHERE pipeline = ?1 AND hash = ?2")?;
        let existing: Option<i64> = select.query_row(params![name, hash.as_bytes()], |row| row.get(0)).optional()?;
        let version = match existing {
            Some(version) => version,
            None => self.insert_version(name, publication, &body, hash.as_bytes())?,
        };
        let mut update = self.db.prepare_cached(
            "INSERT INTO pipeline (name, current) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET current = ?2",
        )?;
        update.execute(params![name, version])?;
        // Somebody else may have published the same before, without storing its code: every upload keeps the code.
        let mut upload = self.db.prepare_cached(
            "INSERT INTO pipeline_upload (pipeline, version, upload) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?;
        upload.execute(params![name, version, publication.upload.0.as_bytes()])?;
        Ok(Published { version: small(version), created: existing.is_none() })
    }

    fn insert_version(
        &self,
        name: &str,
        publication: &Publication,
        body: &[u8],
        hash: &[u8; 32],
    ) -> Result<i64, HubError> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO pipeline_version (pipeline, version, hash, script, body, published_at)
             SELECT ?1, coalesce(max(version), 0) + 1, ?2, ?3, ?4, ?5 FROM pipeline_version WHERE pipeline = ?1
             RETURNING version",
        )?;
        Ok(insert.query_row(params![name, hash, publication.script, body, self.now], |row| row.get(0))?)
    }

    /// Removes a pipeline. Versions that runs still have are kept until these runs are deleted.
    pub(super) fn unpublish(&mut self, name: &str) -> Result<(), HubError> {
        if self.db.prepare_cached("DELETE FROM pipeline WHERE name = ?1")?.execute([name])? == 0 {
            return Err(HubError::PipelineNotFound(name.to_owned()));
        }
        self.delete_unused_versions(name)
    }

    /// Deletes the versions of a pipeline that is not published any more and that no run has.
    pub(super) fn delete_unused_versions(&self, name: &str) -> Result<(), HubError> {
        let mut delete = self.db.prepare_cached(
            "DELETE FROM pipeline_version WHERE pipeline = ?1
             AND NOT EXISTS (SELECT 1 FROM pipeline WHERE name = ?1)
             AND NOT EXISTS (SELECT 1 FROM invocation
                 WHERE invocation.pipeline = ?1 AND invocation.version = pipeline_version.version)",
        )?;
        if delete.execute([name])? > 0 {
            let mut delete = self.db.prepare_cached(
                "DELETE FROM pipeline_upload WHERE pipeline = ?1 AND NOT EXISTS (SELECT 1 FROM pipeline_version
                     WHERE pipeline_version.pipeline = ?1 AND pipeline_version.version = pipeline_upload.version)",
            )?;
            delete.execute([name])?;
        }
        Ok(())
    }

    /// Forgets that a run was started by a pipeline, because it is deleted.
    pub(super) fn delete_invocation(&self, key: i64) -> Result<(), HubError> {
        let mut delete = self.db.prepare_cached("DELETE FROM invocation WHERE run = ?1 RETURNING pipeline")?;
        let pipeline: Option<String> = delete.query_row([key], |row| row.get(0)).optional()?;
        pipeline.map_or(Ok(()), |pipeline| self.delete_unused_versions(&pipeline))
    }

    /// Starts runs of pipelines, all of them or none. A run that exists is left as it is.
    pub(super) fn invoke(&mut self, invocations: &[Invocation]) -> Result<Vec<Invoked>, HubError> {
        // a batch is for one pipeline
        let mut current: Option<(&str, RunnableVersion)> = None;
        let (mut invoked, mut size) = (Vec::with_capacity(invocations.len()), BatchSize::default());
        for (position, invocation) in invocations.iter().enumerate() {
            let key = match self.run_key(invocation.run)? {
                Some(key) => self.expect_same(key, invocation)?,
                None => {
                    let version = match current.take() {
                        Some((name, version)) if name == invocation.pipeline => version,
                        _ => self
                            .runnable(&invocation.pipeline)?
                            .ok_or_else(|| HubError::PipelineNotFound(invocation.pipeline.clone()))?,
                    };
                    let submission = version.submission(invocation, position)?;
                    size.add(&version, &submission)?;
                    let key = self.start(invocation, version.version, submission)?;
                    current = Some((&invocation.pipeline, version));
                    key
                }
            };
            invoked.push(Invoked { run: invocation.run, state: self.run_state(key)? });
        }
        Ok(invoked)
    }

    /// Starts a run that does not exist. Returns its key.
    pub(super) fn start(
        &mut self,
        invocation: &Invocation,
        version: u32,
        submission: Submission,
    ) -> Result<i64, HubError> {
        self.submit(submission, None)?;
        let key = self.expect_run(invocation.run)?;
        let mut insert = self.db.prepare_cached(
            "INSERT INTO invocation (run, pipeline, version, params, priority, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let Invocation { pipeline, priority, .. } = invocation;
        insert.execute(params![key, pipeline, version, invocation.params_json(), priority, self.now])?;
        insert_params(self.db, key, self.now, &param_rows(&invocation.params))?;
        Ok(key)
    }

    /// A run that exists already was started by a request with the same key, which has to have asked for the same.
    fn expect_same(&self, key: i64, invocation: &Invocation) -> Result<i64, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT 1 FROM invocation WHERE run = ?1 AND pipeline = ?2 AND params = ?3 AND priority = ?4",
        )?;
        let Invocation { run, pipeline, priority, .. } = invocation;
        match select.exists(params![key, pipeline, invocation.params_json(), priority])? {
            true => Ok(key),
            false => Err(HubError::OtherInvocation(*run)),
        }
    }

    /// Returns on whose behalf the code of pipelines was uploaded: roots of the bucket's garbage collection.
    pub(super) fn uploads(&self) -> Result<Vec<RunId>, HubError> {
        let mut select = self.db.prepare_cached("SELECT upload FROM pipeline_upload")?;
        Ok(select.query_map([], |row| row.get(0).map(run_id))?.collect::<Result<_, _>>()?)
    }
}
