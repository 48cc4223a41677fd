//! Functions of the host. Outside bue, in your own tests, log lines go to standard error and the other functions fail.

use std::cell::RefCell;

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

thread_local! {
    static ENV: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

#[cfg(target_arch = "wasm32")]
pub(crate) fn set_env(env: Option<Vec<u8>>) {
    ENV.set(env);
}

/// Returns the map that an earlier step passed on (`Outcome::Completed { env, .. }`), as a type of yours or as
/// [`Value`](crate::Value). `None` if there is no map.
///
/// # Errors
/// The map does not fit the type.
pub fn env<T: DeserializeOwned>() -> Result<Option<T>> {
    let env = ENV.with_borrow(|env| env.as_deref().map(bue_model::cbor::decode).transpose())?;
    Ok(env.map(bue_model::from_value).transpose()?)
}

/// Adds a line to the step's log.
pub fn log(line: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::bue::step::host::log(line);
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{line}");
}

/// Reports the step's progress in its log. Calls in quick succession become one line.
pub fn progress(done: u64, total: Option<u64>, note: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::bue::step::host::progress(done, total, note);
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("progress: {done} of {total:?} {note}");
}

/// Returns the value of a secret. To use one in a header, write `secret:NAME` there instead: the value then never enters the
/// sandbox.
///
/// # Errors
/// The script or the worker does not allow the secret, or the step runs outside bue.
pub fn secret(name: &str) -> Result<String> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::bue::step::host::secret(name).map_err(Error::msg);
    #[cfg(not(target_arch = "wasm32"))]
    Err(Error::msg(format!("there are no secrets outside bue: {name}")))
}
