//! What sandboxes need of this machine, checked before anything is prepared: otherwise, an old kernel or the profile of a container
//! would show in an error about something else, or in the end of a sandbox host by a signal.

use std::io;

use rustix::process::{Resource, getrlimit};
use rustix::rand::{GetRandomFlags, getrandom};

use super::sealed;
use crate::error::RuntimeError;
use crate::host::engine::MEMORY_RESERVATION;

/// Bytes of address space for one sandbox and the program. A worker with many sandboxes needs more, and its sandbox hosts report it.
const MIN_ADDRESS_SPACE: u64 = MEMORY_RESERVATION + (1 << 30);

/// Checks that this machine can run a sandbox.
///
/// # Errors
/// What it lacks.
pub(crate) fn check() -> Result<(), RuntimeError> {
    let lacks = |call| move |source| RuntimeError::Kernel { call, source };
    sealed::from_bytes(b"sealed").map_err(lacks("memfd_create with seals"))?;
    getrandom(&mut [0; 1], GetRandomFlags::empty()).map_err(io::Error::from).map_err(lacks("getrandom"))?;
    check_address_space(getrlimit(Resource::As).current)
}

/// `limit`: bytes that this process may map; `None` for any number.
fn check_address_space(limit: Option<u64>) -> Result<(), RuntimeError> {
    match limit {
        Some(limit) if limit < MIN_ADDRESS_SPACE => {
            Err(RuntimeError::AddressSpace { limit, needed: MIN_ADDRESS_SPACE })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_address_space_is_refused() {
        let refused = check_address_space(Some(2 << 30)).expect_err("too small").to_string();
        assert!(refused.contains("ulimit -v") && refused.contains("5 GiB"), "{refused}");
        assert!(check_address_space(Some(MIN_ADDRESS_SPACE)).is_ok() && check_address_space(None).is_ok());
        assert!(check().is_ok());
    }
}
