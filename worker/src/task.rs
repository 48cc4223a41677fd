//! [`StepTask`]: a leased job as a task of the runtime, which knows no jobs.

use std::sync::Arc;
use std::time::Duration;

use bue_model::language::Engine;
use bue_model::plan::Capability;
use bue_model::wire::{Lease, LeasedStep};
use bue_model::{Bundle, Failure, FailureKind};
use bue_runtime::{Code, CompiledStep, Limits, Permissions, Placeholders, Query, Site, Task};
use bytes::Bytes;

use crate::environment::Environment;

/// A task of the runtime.
#[derive(Debug)]
pub(crate) enum StepTask {
    /// Runs in a sandbox.
    Sandbox(Box<Task>),
    /// Runs on a PostgreSQL server.
    Query(Box<Query>),
}

/// Batches of elements that make a small window full: a step is suspended only when it is a few batches ahead.
const BATCHES_IN_WINDOW: u32 = 4;

/// What was fetched for a job.
pub(crate) struct FetchedStep {
    /// Empty for a compiled step.
    pub(crate) bundle: Arc<Bundle>,
    pub(crate) packages: Option<Arc<Site>>,
    /// The machine code of a compiled step.
    pub(crate) compiled: Option<CompiledStep>,
    pub(crate) inputs: Vec<Bytes>,
}

impl StepTask {
    /// Creates the task of a job. A Python step gets the variables that it requests of this environment.
    ///
    /// # Errors
    /// The failure of the step, if it cannot run.
    pub(crate) fn new(
        lease: &Lease,
        step: &LeasedStep,
        fetched: FetchedStep,
        limits: &Limits,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let limits = Limits {
            time: Duration::from_millis(step.timeout_ms),
            soft_time: step.soft_timeout_ms.map(Duration::from_millis),
            batch_items: step.window.map_or(limits.batch_items, |window| (window / BATCHES_IN_WINDOW).max(1)),
            ..limits.clone()
        };
        let FetchedStep { bundle, packages, compiled, inputs } = fetched;
        if step.language.engine() == Engine::Postgres {
            return Ok(Self::Query(Box::new(query(step, bundle, inputs, limits)?)));
        }
        let mut permissions = Permissions::from_capabilities(&step.allow, &step.scope);
        permissions.trace = lease.trace;
        if step.language.engine() == Engine::Python {
            permissions.environment = environment.requested(&step.allow, &step.scope)?;
        }
        let task = Task {
            code: code(step, bundle, packages, compiled)?,
            inputs,
            env: lease.env.clone(),
            loop_text: step.loop_text.clone(),
            limits,
            permissions,
        };
        Ok(Self::Sandbox(Box::new(task)))
    }
}

fn query(step: &LeasedStep, bundle: Arc<Bundle>, inputs: Vec<Bytes>, limits: Limits) -> Result<Query, Failure> {
    Ok(Query {
        bundle,
        table: step.function.clone(),
        placeholders: placeholders(step),
        connection: connection(step)?,
        inputs,
        streamed: step.loop_text.is_some(),
        limits,
    })
}

/// Returns the name of the connection that a postgres step requests, if any.
fn connection(step: &LeasedStep) -> Result<Option<String>, Failure> {
    let mut names: Vec<&String> = Vec::new();
    for capability in &step.allow {
        if let Capability::Postgres(name) = capability
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    match names.as_slice() {
        [] => Ok(None),
        [name] => Ok(Some((*name).clone())),
        [first, second, ..] => Err(Failure::new(
            FailureKind::BadCode,
            format!(
                "`{}` works on one PostgreSQL connection, and is allowed `{first}` and `{second}`; write \
                 `!allow postgres NAME` inside the step it is meant for",
                step.name
            ),
        )),
    }
}

fn placeholders(step: &LeasedStep) -> Placeholders {
    Placeholders {
        scope: step.scope.clone(),
        priority: step.priority,
        timeout_s: step.timeout_ms / 1000,
        retries: step.retries,
    }
}

fn code(
    step: &LeasedStep,
    bundle: Arc<Bundle>,
    packages: Option<Arc<Site>>,
    compiled: Option<CompiledStep>,
) -> Result<Code, Failure> {
    let (key, function) = (step.code.hash, step.function.clone());
    match (step.language.engine(), compiled) {
        (Engine::Python, _) => Ok(Code::Python { bundle, key, function, keywords: step.keywords.clone(), packages }),
        (Engine::Sqlite, _) => Ok(Code::Sqlite { bundle, key, table: function, placeholders: placeholders(step) }),
        (Engine::WebAssembly, Some(step)) => Ok(Code::Wasm { step, function }),
        (Engine::WebAssembly | Engine::Postgres | Engine::Lists, _) => {
            let message = format!("`{}` is a {} step and was not compiled.", step.name, step.language.name());
            Err(Failure::new(FailureKind::Internal, message))
        }
    }
}
