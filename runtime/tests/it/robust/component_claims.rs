//! What must hold for any bytes that should be a compiled step.

use bue_runtime::check_wasm;

/// Bytes are a step, or a problem that can be told to its author. Returns whether they are a step.
pub(crate) fn check_component(bytes: &[u8]) -> bool {
    match check_wasm(bytes) {
        Ok(_) => true,
        Err(problem) => {
            assert!(!problem.message.is_empty() && !problem.hint.is_empty());
            assert!(problem.message.len() < 2_000, "{problem:?}");
            assert!(!problem.message.contains(char::is_control), "{problem:?}");
            false
        }
    }
}
