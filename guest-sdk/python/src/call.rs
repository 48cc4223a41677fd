//! `bue_call`: one step.

use bue_model::guest::CallRequest;
use bue_model::{Answer, Failure, FailureKind};
use rustpython_vm::function::FuncArgs;
use rustpython_vm::{PyObjectRef, VirtualMachine};

use crate::answer::answer;
use crate::decode::decode;
use crate::failure::raised;
use crate::interpreter::{Guest, enter};

pub(crate) fn call(request: &CallRequest) -> Answer {
    let answered = enter(|guest, vm| run(guest, request, vm).unwrap_or_else(Answer::Failed));
    answered.unwrap_or_else(|| Answer::Failed(Failure::new(FailureKind::Internal, "the guest is not started")))
}

fn run(guest: &Guest, request: &CallRequest, vm: &VirtualMachine) -> Result<Answer, Failure> {
    let Some(module) = guest.module.get() else {
        return Err(Failure::new(FailureKind::Internal, "no module is loaded"));
    };
    let bad = |kind| move |error| raised(kind, &error, vm);
    let function = module.get_attr(&vm.ctx.new_str(request.function.as_str()), vm).map_err(bad(FailureKind::BadCode))?;
    let inputs: Result<Vec<PyObjectRef>, Failure> = request
        .inputs
        .iter()
        .map(|input| decode(input, vm))
        .collect();
    let result = function.call_with_args(FuncArgs::from(inputs?), vm).map_err(bad(FailureKind::Raised))?;
    answer(&result, request, vm)
}
