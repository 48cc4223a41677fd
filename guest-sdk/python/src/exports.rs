//! The exports: requests come in through the inbox, replies go out through the outbox.

use core::cell::RefCell;

use bue_model::guest::LoadReply;
use bue_model::{Answer, Failure, FailureKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{call, interpreter, load};

thread_local! {
    /// The request of the export that the host calls next.
    static INBOX: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// The reply of the last export, valid until the next one is called.
    static OUTBOX: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Start the interpreter. Called once, for the base image.
#[unsafe(no_mangle)]
pub extern "C" fn bue_init() {
    interpreter::start();
}

/// Returns room for the `len` bytes of the next export's request.
#[unsafe(no_mangle)]
pub extern "C" fn bue_alloc(len: usize) -> *mut u8 {
    INBOX.with_borrow_mut(|inbox| {
        *inbox = vec![0; len];
        inbox.as_mut_ptr()
    })
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

/// Returns the request in the inbox. The inbox is the buffer that [`bue_alloc`] returned last, so the pointer the host
/// passes adds nothing and is ignored.
fn take_request<T: DeserializeOwned>() -> Result<T, Failure> {
    let bytes = INBOX.take();
    postcard::from_bytes(&bytes)
        .map_err(|error| Failure::new(FailureKind::Internal, format!("the guest cannot read its request: {error}")))
}

/// Put the reply into the outbox and return where it is, as `ptr << 32 | len`. `payload_len` is how many bytes of the
/// reply are the step's result.
fn set_reply<T: Serialize>(reply: &T, payload_len: usize) -> i64 {
    let bytes = encode_reply(reply, payload_len).unwrap_or_default();
    OUTBOX.with_borrow_mut(|outbox| {
        *outbox = bytes;
        let (address, len) = (outbox.as_ptr().addr() as u64, outbox.len() as u64);
        (address << 32 | len).cast_signed()
    })
}

/// A large reply is written into a buffer of its size: a growing vector would briefly need twice as much memory.
fn encode_reply<T: Serialize>(reply: &T, payload_len: usize) -> postcard::Result<Vec<u8>> {
    const LARGE_PAYLOAD: usize = 1024 * 1024;
    if payload_len < LARGE_PAYLOAD {
        return postcard::to_allocvec(reply);
    }
    let mut bytes = vec![0; payload_len + LARGE_PAYLOAD];
    let len = postcard::to_slice(reply, &mut bytes)?.len();
    bytes.truncate(len);
    Ok(bytes)
}
