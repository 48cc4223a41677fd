//! A leased job as a task of the runtime, which knows no jobs.

use std::sync::Arc;
use std::time::Duration;

use bue_model::plan::Language;
use bue_model::wire::{Lease, LeasedStep};
use bue_model::{Bundle, Failure, FailureKind};
use bue_runtime::{Code, Limits, Permissions, Placeholders, Task};
use bytes::Bytes;

/// What the sandbox is to do.
///
/// # Errors
/// A failure that belongs to the step: its language does not run here.
pub(crate) fn task(
    lease: &Lease,
    step: &LeasedStep,
    bundle: Arc<Bundle>,
    inputs: Vec<Bytes>,
    limits: &Limits,
) -> Result<Task, Failure> {
    Ok(Task {
        code: code(step, bundle)?,
        inputs,
        env: lease.env.clone(),
        loop_text: step.loop_text.clone(),
        limits: Limits { time: Duration::from_millis(step.timeout_ms), ..limits.clone() },
        permissions: Permissions::asked(&step.allow),
    })
}

fn code(step: &LeasedStep, bundle: Arc<Bundle>) -> Result<Code, Failure> {
    let key = step.code.hash;
    match step.language {
        Language::Python => Ok(Code::Python { bundle, key, function: step.function.clone() }),
        Language::Sqlite3 => {
            let placeholders = Placeholders {
                scope: step.scope.clone(),
                priority: step.priority,
                timeout_s: step.timeout_ms / 1000,
                retries: step.retries,
            };
            Ok(Code::Sqlite { bundle, key, table: step.function.clone(), placeholders })
        }
        other => Err(Failure::new(
            FailureKind::BadCode,
            format!("`{}` is a {} step; this worker runs python and sqlite3 steps.", step.name, other.name()),
        )),
    }
}
