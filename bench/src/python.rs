//! A Python step in a sandbox on this thread: no hub, no worker, no other process.

use std::sync::Arc;

use anyhow::{Context, Result};
use bue_model::{BlobHash, Bundle, SourceFile, Value, cbor};
use bue_runtime::sandbox::Sandbox;
use bue_runtime::{Code, Finished, Limits, Permissions, Prepared, Task};
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

/// The function `step` of a module; each call runs in a fresh sandbox.
pub struct PythonStep {
    runtime: Runtime,
    sandbox: Sandbox,
    task: Task,
}

impl PythonStep {
    /// Opens the sandbox. The first call imports the module.
    ///
    /// # Errors
    /// The sandbox cannot be prepared or opened.
    pub fn new(source: &'static str) -> Result<Self> {
        let cache = dirs::cache_dir().context("no cache directory")?.join("bue");
        let keys = dirs::state_dir().context("no state directory")?.join("bue");
        let prepared = Prepared::open(&cache, &keys, &|_| ())?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let sandbox = runtime.block_on(async { Sandbox::open(&prepared) })?;
        Ok(Self { runtime, sandbox, task: python_task(source, &Value::Null) })
    }

    /// Calls the function once, with one argument.
    #[must_use]
    pub fn run(&mut self, input: &Value) -> Finished {
        self.task.inputs = vec![cbor::encode(input).into()];
        let (items, _none) = mpsc::channel(1);
        self.runtime.block_on(self.sandbox.run(&self.task, items))
    }
}

/// Returns a task that calls the function `step` of a module with one argument.
#[must_use]
pub fn python_task(source: &'static str, input: &Value) -> Task {
    let file = SourceFile { path: "step.py".to_owned(), content: Bytes::from_static(source.as_bytes()) };
    let bundle = Bundle { entry: file.path.clone(), first_line: 1, files: vec![file], ..Bundle::default() };
    Task {
        code: Code::Python {
            bundle: Arc::new(bundle),
            key: BlobHash([1; 32]),
            function: "step".to_owned(),
            keywords: None,
            packages: None,
        },
        inputs: vec![cbor::encode(input).into()],
        env: None,
        loop_text: None,
        limits: Limits::default(),
        permissions: Permissions::default(),
    }
}
