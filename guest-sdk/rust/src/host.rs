//! What the host does for a running step. Outside bue, in tests of one's own, lines go to standard error and the rest is
//! refused.

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

/// What a step before this one left for it (`Outcome::Completed { env, .. }`), as a type of one's own or as
/// [`Value`](crate::Value); `None` where there is nothing.
///
/// # Errors
/// It does not fit the type.
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

/// Says in the log how far the step is. Calls that follow one another quickly are one line.
pub fn progress(done: u64, total: Option<u64>, note: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::bue::step::host::progress(done, total, note);
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("progress: {done} of {total:?} {note}");
}

/// The value of a secret. To use one in a header, write `secret:NAME` there instead: then it never comes here.
///
/// # Errors
/// The script or the worker does not allow it.
pub fn secret(name: &str) -> Result<String> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::bue::step::host::secret(name).map_err(Error::msg);
    #[cfg(not(target_arch = "wasm32"))]
    Err(Error::msg(format!("there are no secrets outside bue: {name}")))
}
