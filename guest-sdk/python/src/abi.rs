//! The exports and the one import: memory handed in, memory handed out, and nothing else.

use core::cell::RefCell;

use bue_model::guest::HostRequest;
use bue_model::{Answer, Failure, FailureKind, guest::LoadReply};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{call, interpreter, load};

thread_local! {
    /// What the host wrote for the export it calls next.
    static INBOX: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// The reply of the last export, valid until the next one is called.
    static OUTBOX: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[link(wasm_import_module = "bue")]
unsafe extern "C" {
    /// See [`bue_model::guest`]. Reads `len` bytes at `ptr` and writes at most `reply_cap` bytes at `reply_ptr`.
    fn host(ptr: *const u8, len: usize, reply_ptr: *mut u8, reply_cap: usize) -> i64;
}

/// Start the interpreter. Once, for the base image.
#[unsafe(no_mangle)]
pub extern "C" fn bue_init() {
    interpreter::start();
}

/// Room for `len` bytes, which the export that is called with it takes over.
#[unsafe(no_mangle)]
pub extern "C" fn bue_alloc(len: usize) -> *mut u8 {
    INBOX.with_borrow_mut(|inbox| {
        *inbox = vec![0; len];
        inbox.as_mut_ptr()
    })
}

/// Import a module. Once a module, for its image.
#[unsafe(no_mangle)]
pub extern "C" fn bue_load(_ptr: *const u8, _len: usize) -> i64 {
    let reply = match take_request() {
        Ok(request) => load::load(&request),
        Err(failure) => LoadReply::Failed(failure),
    };
    give_reply(&reply, 0)
}

/// Call a function of the loaded module.
#[unsafe(no_mangle)]
pub extern "C" fn bue_call(_ptr: *const u8, _len: usize) -> i64 {
    let answer = match take_request() {
        Ok(request) => call::call(request),
        Err(failure) => Answer::Failed(failure),
    };
    let payload = match &answer {
        Answer::Completed { value, .. } => value.len(),
        _ => 0,
    };
    give_reply(&answer, payload)
}

/// Ask the host for something whose reply is empty.
pub(crate) fn tell_host(request: &HostRequest) {
    let Ok(bytes) = postcard::to_allocvec(request) else { return };
    send(&bytes, &mut []);
}

/// Ask the host, or `None` where the reply is not what belongs to the request.
pub(crate) fn ask_host<T: DeserializeOwned>(request: &HostRequest) -> Option<T> {
    let mut reply = vec![0; REPLY];
    let mut len = send(&postcard::to_allocvec(request).ok()?, &mut reply);
    if len > reply.len() {
        reply = vec![0; len];
        len = send(&postcard::to_allocvec(&HostRequest::Take).ok()?, &mut reply);
    }
    postcard::from_bytes(reply.get(..len)?).ok()
}

/// Room for a reply before it is known how long it is: the head of a response, an error.
const REPLY: usize = 2048;

/// The length of the reply, which stands in `reply` if it fits.
fn send(request: &[u8], reply: &mut [u8]) -> usize {
    // SAFETY: both pointers come with the lengths of the live slices they belong to; the host reads the one and writes no
    // more than its length into the other.
    let len = unsafe { host(request.as_ptr(), request.len(), reply.as_mut_ptr(), reply.len()) };
    usize::try_from(len).unwrap_or(0)
}

/// The request in the inbox. The inbox is what [`bue_alloc`] gave out last, so the host's pointer says nothing new and
/// is not used.
fn take_request<T: DeserializeOwned>() -> Result<T, Failure> {
    let bytes = INBOX.take();
    postcard::from_bytes(&bytes)
        .map_err(|error| Failure::new(FailureKind::Internal, format!("the guest cannot read its request: {error}")))
}

/// `payload` bytes of the reply are its result.
fn give_reply<T: Serialize>(reply: &T, payload: usize) -> i64 {
    let bytes = encoded(reply, payload).unwrap_or_default();
    OUTBOX.with_borrow_mut(|outbox| {
        *outbox = bytes;
        let (place, len) = (outbox.as_ptr().addr() as u64, outbox.len() as u64);
        (place << 32 | len).cast_signed()
    })
}

/// A large reply is written into room of its size: a vector that grows would for a moment need twice as much.
fn encoded<T: Serialize>(reply: &T, payload: usize) -> postcard::Result<Vec<u8>> {
    const LARGE: usize = 1024 * 1024;
    if payload < LARGE {
        return postcard::to_allocvec(reply);
    }
    let mut bytes = vec![0; payload + LARGE];
    let len = postcard::to_slice(reply, &mut bytes)?.len();
    bytes.truncate(len);
    Ok(bytes)
}
