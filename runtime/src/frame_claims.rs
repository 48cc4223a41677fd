//! What must hold for any bytes that should be a frame. The tests check it on mutated frames, `fuzz/fuzz_targets/frame.rs` on what a
//! fuzzer finds. Compiled for these two only.
#![expect(clippy::expect_used, reason = "a claim that does not hold panics")]

use core::fmt::Debug;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::protocol::{FromHost, ToHost, frame, read};

/// Bytes are the end, an error or a message that survives being sent and read again, in both directions. Returns whether they
/// are a message.
pub fn check_frame(bytes: &[u8]) -> bool {
    let (is_from_host, is_to_host) = (check::<FromHost>(bytes), check::<ToHost>(bytes));
    is_from_host || is_to_host
}

fn check<T: DeserializeOwned + Serialize + Debug>(bytes: &[u8]) -> bool {
    let Some(message) = read_now::<T>(bytes) else { return false };
    let sent = frame(&message).expect("no longer than it was").bytes;
    assert!(sent.len() <= bytes.len(), "no byte comes from elsewhere: {message:?}");
    let again: T = read_now(&sent).expect("what was sent");
    assert_eq!(frame(&again).expect("the same").bytes, sent, "{message:?}");
    true
}

/// Reads the first message. Reading from memory never waits.
fn read_now<T: DeserializeOwned>(mut bytes: &[u8]) -> Option<T> {
    let reading = pin!(read(&mut bytes));
    match reading.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(message) => message.ok().flatten(),
        Poll::Pending => None,
    }
}
