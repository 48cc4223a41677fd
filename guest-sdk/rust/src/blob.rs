//! Blobs in the bucket, addressed by the hash of their bytes.

use crate::error::{Error, Result};

/// Stores a blob and returns its name, 64 hexadecimal digits, with which later steps can read it.
///
/// # Errors
/// The step would exceed the number of bytes it may store, or it runs outside bue.
pub fn put_blob(bytes: &[u8]) -> Result<String> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::bue::step::blob::put(bytes).map_err(Error::msg);
    #[cfg(not(target_arch = "wasm32"))]
    Err(Error::msg(format!("there is no bucket outside bue for {} bytes", bytes.len())))
}

/// Returns the blob with this name.
///
/// # Errors
/// No blob has this name, it is larger than a step may read, or the step runs outside bue.
pub fn get_blob(name: &str) -> Result<Vec<u8>> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::bue::step::blob::get(name).map_err(Error::msg);
    #[cfg(not(target_arch = "wasm32"))]
    Err(Error::msg(format!("there is no bucket outside bue with {name}")))
}
