//! A leased job as a task of the runtime, which knows no jobs.

use std::sync::Arc;
use std::time::Duration;

use bue_model::language::Engine;
use bue_model::plan::Capability;
use bue_model::wire::{Lease, LeasedStep};
use bue_model::{Bundle, Failure, FailureKind};
use bue_runtime::{Code, CompiledStep, Limits, Permissions, Placeholders, Query, Site, Task};
use bytes::Bytes;

/// What is to be done, and where.
#[derive(Debug)]
pub(crate) enum Work {
    /// In a sandbox.
    Sandboxed(Task),
    /// In a database outside.
    Queried(Query),
}

/// What a job comes to. `compiled` is the step's machine code, if it has any.
///
/// # Errors
/// A failure that belongs to the step: its language does not run here.
pub(crate) fn work(
    lease: &Lease,
    step: &LeasedStep,
    bundle: Arc<Bundle>,
    packages: Option<Arc<Site>>,
    compiled: Option<CompiledStep>,
    inputs: Vec<Bytes>,
    limits: &Limits,
) -> Result<Work, Failure> {
    let limits = Limits { time: Duration::from_millis(step.timeout_ms), ..limits.clone() };
    if step.language.engine() == Engine::Postgres {
        return Ok(Work::Queried(query(step, bundle, inputs, limits)?));
    }
    Ok(Work::Sandboxed(Task {
        code: code(step, bundle, packages, compiled)?,
        inputs,
        env: lease.env.clone(),
        loop_text: step.loop_text.clone(),
        limits,
        permissions: Permissions::from_capabilities(&step.allow),
    }))
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

/// The connection that a postgres step asks for, if it asks for one.
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
        (Engine::Python, _) => Ok(Code::Python { bundle, key, function, packages }),
        (Engine::Sqlite, _) => Ok(Code::Sqlite { bundle, key, table: function, placeholders: placeholders(step) }),
        (Engine::WebAssembly, Some(step)) => Ok(Code::Wasm { step, function }),
        (Engine::WebAssembly | Engine::Postgres, _) => {
            let message = format!("`{}` is a {} step and was not compiled.", step.name, step.language.name());
            Err(Failure::new(FailureKind::Internal, message))
        }
    }
}
