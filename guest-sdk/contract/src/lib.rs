//! The guests' side of the contract in [`bue_model::guest`]: requests come in through an inbox, replies go out through an
//! outbox, and [`host`] calls the host. The exports themselves are in each guest.

pub mod host;

use core::cell::RefCell;

use bue_model::{Failure, FailureKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

thread_local! {
    /// The request of the export that the host calls next.
    static INBOX: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// The reply of the last export, valid until the next one is called.
    static OUTBOX: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Returns room for the `len` bytes of the next export's request. The export `bue_alloc`.
pub fn allocate_request(len: usize) -> *mut u8 {
    INBOX.with_borrow_mut(|inbox| {
        *inbox = vec![0; len];
        inbox.as_mut_ptr()
    })
}

/// Returns the request in the inbox. The inbox is the buffer that [`allocate_request`] returned last, so the pointer the host
/// passes to an export adds nothing and is ignored.
///
/// # Errors
/// A request that cannot be decoded.
pub fn take_request<T: DeserializeOwned>() -> Result<T, Failure> {
    let bytes = INBOX.take();
    postcard::from_bytes(&bytes)
        .map_err(|error| Failure::new(FailureKind::Internal, format!("the guest cannot read its request: {error}")))
}

/// Puts the reply into the outbox and returns where it is, as `ptr << 32 | len`. `payload_len` is how many bytes of the
/// reply are the step's result.
pub fn set_reply<T: Serialize>(reply: &T, payload_len: usize) -> i64 {
    let bytes = encode(reply, payload_len).unwrap_or_default();
    OUTBOX.with_borrow_mut(|outbox| {
        *outbox = bytes;
        let (address, len) = (outbox.as_ptr().addr() as u64, outbox.len() as u64);
        (address << 32 | len).cast_signed()
    })
}

/// Encodes a message. A large one is written into a buffer of its size: a growing vector would briefly need twice as much
/// memory.
fn encode<T: Serialize>(message: &T, payload_len: usize) -> postcard::Result<Vec<u8>> {
    const LARGE_PAYLOAD: usize = 1024 * 1024;
    if payload_len < LARGE_PAYLOAD {
        return postcard::to_allocvec(message);
    }
    let mut bytes = vec![0; payload_len + LARGE_PAYLOAD];
    let len = postcard::to_slice(message, &mut bytes)?.len();
    bytes.truncate(len);
    Ok(bytes)
}
