//! [`HostCallHook`]: what happens after each call of the host.

use async_trait::async_trait;
use wasmtime::{CallHook, CallHookHandler, StoreContextMut};

use crate::host::state::StepState;

/// Interrupts guests that make many host calls without a loop, see [`StepState::after_host_call`].
pub(crate) struct HostCallHook;

/// The state of a store that has the state of a step.
pub(crate) trait HasStepState: Send + 'static {
    fn step_state(&mut self) -> &mut StepState;
}

impl HasStepState for StepState {
    fn step_state(&mut self) -> &mut StepState {
        self
    }
}

#[async_trait]
impl<T: HasStepState> CallHookHandler<T> for HostCallHook {
    async fn handle_call_event(&self, mut store: StoreContextMut<'_, T>, event: CallHook) -> wasmtime::Result<()> {
        match event {
            CallHook::ReturningFromHost => store.data_mut().step_state().after_host_call().await,
            CallHook::CallingHost | CallHook::CallingWasm | CallHook::ReturningFromWasm => Ok(()),
        }
    }
}
