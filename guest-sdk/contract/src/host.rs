//! The one import: requests to the host.

use bue_model::guest::HostRequest;
use serde::de::DeserializeOwned;

use crate::encode;

/// Bytes offered for a reply whose length is not known yet: enough for the head of a response or an error.
const REPLY_CAPACITY: usize = 2048;

#[link(wasm_import_module = "bue")]
unsafe extern "C" {
    /// See [`bue_model::guest`]. Reads `len` bytes at `ptr` and writes at most `reply_cap` bytes at `reply_ptr`.
    fn host(ptr: *const u8, len: usize, reply_ptr: *mut u8, reply_cap: usize) -> i64;
}

/// Sends a request whose reply is empty. `payload_len` is how many bytes of it are values.
pub fn notify(request: &HostRequest, payload_len: usize) {
    let Ok(bytes) = encode(request, payload_len) else { return };
    call_host(&bytes, &mut []);
}

/// Sends a request and returns its reply, or `None` if the reply cannot be decoded.
pub fn request<T: DeserializeOwned>(request: &HostRequest) -> Option<T> {
    let mut reply = vec![0; REPLY_CAPACITY];
    let mut len = call_host(&encode(request, 0).ok()?, &mut reply);
    if len > reply.len() {
        reply = vec![0; len];
        len = call_host(&encode(&HostRequest::Take, 0).ok()?, &mut reply);
    }
    postcard::from_bytes(reply.get(..len)?).ok()
}

/// Sends a request whose reply is bytes, and writes these into a buffer. Returns how many there are; more than the length of the
/// buffer if they did not fit.
pub fn read(request: &HostRequest, buffer: &mut [u8]) -> usize {
    let Ok(bytes) = encode(request, 0) else { return 0 };
    call_host(&bytes, buffer)
}

/// Returns the length of the reply, which is in `reply` if it fits.
fn call_host(request: &[u8], reply: &mut [u8]) -> usize {
    // SAFETY: both pointers come with the lengths of the live slices they belong to; the host reads the one and writes no
    // more than its length into the other.
    let len = unsafe { host(request.as_ptr(), request.len(), reply.as_mut_ptr(), reply.len()) };
    usize::try_from(len).unwrap_or(0)
}
