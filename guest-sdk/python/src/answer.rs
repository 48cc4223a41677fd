//! What a returned value means.

use bue_model::guest::CallRequest;
use bue_model::job::Hints;
use bue_model::{Answer, Failure};
use rustpython_vm::{PyObjectRef, VirtualMachine};

use crate::encode::encode;

pub(crate) fn answer(result: &PyObjectRef, request: &CallRequest, vm: &VirtualMachine) -> Result<Answer, Failure> {
    let value = encode(result, request.max_result, vm)?.into();
    Ok(Answer::Completed { value, streamed: false, hints: Hints::default() })
}
