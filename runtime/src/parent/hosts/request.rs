//! A task as a frame for a sandbox host, and what the parent keeps of it.

use std::sync::Arc;

use bue_model::Answer;

use super::bundle_cache::MAX_BUNDLE_BYTES;
use super::packages::HostPackages;
use crate::parent::bucket::Bucket;
use crate::parent::simulated_time::SimulatedTime;
use crate::protocol::{self, Frame, MAX_FRAME, Program, RunRequest, ToHost};
use crate::step::failure::{too_much_code, too_much_input};
use crate::step::limits::Limits;
use crate::step::permissions::Permissions;
use crate::step::task::{Code, Task};

/// A task that is about to be sent to a host.
pub(crate) struct Request {
    pub(crate) id: u64,
    /// The job that it is a part of, see [`SimulatedTime`](crate::SimulatedTime).
    pub(crate) job: u64,
    /// Names the bundle, which the host needs first.
    pub(crate) code: Code,
    /// The message that starts the task.
    pub(crate) frame: Frame,
    pub(crate) permissions: Permissions,
    pub(crate) limits: Limits,
    /// The bucket; `None` if it may not use one.
    pub(crate) bucket: Option<Arc<dyn Bucket>>,
}

impl Request {
    /// Encodes a task.
    ///
    /// # Errors
    /// The failure of a step whose inputs or code are over a limit, or whose packages the hosts cannot open.
    pub(crate) fn new(
        id: u64,
        (task, job): (Task, u64),
        bucket: Option<Arc<dyn Bucket>>,
        packages: &HostPackages,
        simulated_time: Option<&SimulatedTime>,
    ) -> Result<Box<Self>, Answer> {
        let input_bytes = check_inputs(&task)?;
        check_code(&task.code)?;
        let Task { code, inputs, env, loop_text, limits, permissions } = task;
        let request = RunRequest {
            key: code.key(),
            program: program(&code, packages)?,
            inputs,
            env,
            loop_text,
            limits: limits.clone(),
            permissions: permissions.clone(),
            simulated_ms: simulated_time.map(|time| u64::try_from(time.now().0).unwrap_or_default()),
        };
        match protocol::frame(&ToHost::Run { id, request: Box::new(request) }) {
            Ok(frame) => Ok(Box::new(Self { id, job, code, frame, permissions, limits, bucket })),
            Err(_) => Err(Answer::Failed(too_much_input(input_bytes, MAX_FRAME as u64))),
        }
    }
}

fn check_inputs(task: &Task) -> Result<u64, Answer> {
    let bytes: u64 = task.inputs.iter().map(|input| input.len() as u64).sum();
    match bytes > task.limits.input_bytes {
        true => Err(Answer::Failed(too_much_input(bytes, task.limits.input_bytes))),
        false => Ok(bytes),
    }
}

fn check_code(code: &Code) -> Result<(), Answer> {
    let files = code.bundle().map(|(bundle, _)| bundle.files.as_slice()).unwrap_or_default();
    let bytes: usize = files.iter().map(|file| file.path.len() + file.content.len()).sum();
    match bytes > MAX_BUNDLE_BYTES {
        true => Err(Answer::Failed(too_much_code(bytes as u64, MAX_BUNDLE_BYTES as u64))),
        false => Ok(()),
    }
}

/// The code as the host gets it: bundles and compiled code travel separately.
fn program(code: &Code, packages: &HostPackages) -> Result<Program, Answer> {
    Ok(match code {
        Code::Python { function, keywords, packages: site, .. } => {
            let name = site.as_ref().map(|site| packages.name_of(site)).transpose()?;
            Program::Python { function: function.clone(), keywords: keywords.clone(), packages: name }
        }
        Code::Sqlite { table, placeholders, .. } => {
            Program::Sqlite { table: table.clone(), placeholders: placeholders.clone() }
        }
        Code::Wasm { function, .. } => Program::Wasm { function: function.clone() },
    })
}
