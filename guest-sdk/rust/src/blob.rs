//! Bytes in the bucket, under the hash of what they are.

use crate::error::{Error, Result};

/// Stores bytes and gives their name, 64 hexadecimal digits, for a later step to read them by.
///
/// # Errors
/// They are more than a step may store.
pub fn put_blob(bytes: &[u8]) -> Result<String> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::bue::step::blob::put(bytes).map_err(Error::msg);
    #[cfg(not(target_arch = "wasm32"))]
    Err(Error::msg(format!("there is no bucket outside bue for {} bytes", bytes.len())))
}

/// The bytes of a name.
///
/// # Errors
/// There are none of that name, or more than a step may read.
pub fn get_blob(name: &str) -> Result<Vec<u8>> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::bue::step::blob::get(name).map_err(Error::msg);
    #[cfg(not(target_arch = "wasm32"))]
    Err(Error::msg(format!("there is no bucket outside bue with {name}")))
}
