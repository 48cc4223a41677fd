//! The exports.

use bue_guest_contract::{allocate_request, set_reply, take_request};
use bue_model::Answer;
use bue_model::guest::LoadReply;

use crate::{call, interpreter, interrupt, load};

/// Start the interpreter. Called once, for the base image.
#[unsafe(no_mangle)]
pub extern "C" fn bue_init() {
    interpreter::start();
}

/// Returns room for the `len` bytes of the next export's request.
#[unsafe(no_mangle)]
pub extern "C" fn bue_alloc(len: usize) -> *mut u8 {
    allocate_request(len)
}

/// Returns the address of the flag with which the host interrupts a call. Called before a call that has a soft limit.
#[unsafe(no_mangle)]
pub extern "C" fn bue_interrupt_flag() -> *mut u8 {
    interrupt::flag()
}

/// Import the user's module. Called once per module, for its image.
#[unsafe(no_mangle)]
pub extern "C" fn bue_load(_ptr: *const u8, _len: usize) -> i64 {
    let reply = match take_request() {
        Ok(request) => load::load(&request),
        Err(failure) => LoadReply::Failed(failure),
    };
    set_reply(&reply, 0)
}

/// Call a function of the loaded module.
#[unsafe(no_mangle)]
pub extern "C" fn bue_call(_ptr: *const u8, _len: usize) -> i64 {
    let answer = match take_request() {
        Ok(request) => call::call(request),
        Err(failure) => Answer::Failed(failure),
    };
    let payload_len = match &answer {
        Answer::Completed { value, .. } => value.len(),
        _ => 0,
    };
    set_reply(&answer, payload_len)
}
