//! A SQL step in a sandbox on this thread: no hub, no worker, no other process.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bue_model::{Answer, BlobHash, Bundle, SourceFile};
use bue_runtime::sandbox::Sandbox;
use bue_runtime::{Code, Finished, Limits, Permissions, Placeholders, Prepared, Task};
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

/// A `sqlite3` step; each run is in a fresh sandbox.
pub struct SqlStep {
    runtime: Runtime,
    sandbox: Sandbox,
    task: Task,
}

impl SqlStep {
    /// Opens the sandbox.
    ///
    /// # Errors
    /// The sandbox cannot be prepared or opened.
    pub fn new(sql: &'static str, input: Option<Bytes>) -> Result<Self> {
        let cache = dirs::cache_dir().context("no cache directory")?.join("bue");
        let keys = dirs::state_dir().context("no state directory")?.join("bue");
        let prepared = Prepared::open(&cache, &keys, &|_| ())?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let sandbox = runtime.block_on(async { Sandbox::open(&prepared) })?;
        Ok(Self { runtime, sandbox, task: sql_task(sql, input) })
    }

    /// Runs the step once.
    ///
    /// # Errors
    /// It failed.
    pub fn run(&self) -> Result<Finished> {
        let (items, _none) = mpsc::channel(1);
        let finished = self.runtime.block_on(self.sandbox.run(&self.task, items));
        ensure!(matches!(finished.answer, Answer::Completed { .. }), "the step answered {:?}", finished.answer);
        Ok(finished)
    }
}

/// Returns a task that executes statements on a table `rows`, if there is an input.
#[must_use]
pub fn sql_task(sql: &'static str, input: Option<Bytes>) -> Task {
    Task {
        code: Code::Sqlite {
            bundle: sql_bundle(sql),
            key: BlobHash([1; 32]),
            table: "rows".to_owned(),
            placeholders: Placeholders::default(),
        },
        inputs: input.into_iter().collect(),
        env: None,
        loop_text: None,
        limits: Limits::default(),
        permissions: Permissions::default(),
    }
}

/// Returns the bundle of a SQL step.
#[must_use]
pub fn sql_bundle(sql: &'static str) -> Arc<Bundle> {
    let file = SourceFile { path: "step.sql".to_owned(), content: Bytes::from_static(sql.as_bytes()) };
    Arc::new(Bundle { entry: file.path.clone(), first_line: 1, files: vec![file], ..Bundle::default() })
}
