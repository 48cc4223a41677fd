//! Tokens, ids and names, from the system's random numbers.

use anyhow::anyhow;
use bue_model::RunId;
use uuid::Uuid;

use crate::process::command_error::CommandError;

/// Generates a token: 256 random bits in hexadecimal digits, which fit into an HTTP header, with a prefix that secret scanners
/// can search for.
pub(crate) fn new_token() -> Result<String, CommandError> {
    random_hex::<32>().map(|digits| format!("bue_{digits}"))
}

/// Generates `BYTES` random bytes, as hexadecimal digits.
pub(crate) fn random_hex<const BYTES: usize>() -> Result<String, CommandError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("the system provides no random bytes: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Generates the id of a run.
pub(crate) fn new_run_id() -> RunId {
    RunId(new_uuid())
}

/// Generates the name of this process as a worker. It distinguishes workers in logs, including those of one machine and those
/// that have the same process id one after the other.
pub(crate) fn new_worker_name() -> String {
    let machine = std::env::var("HOSTNAME").unwrap_or_else(|_| "worker".to_owned());
    let suffix = new_uuid().as_u128() & 0xffff;
    format!("{machine}-{}-{suffix:04x}", std::process::id())
}

#[expect(clippy::disallowed_methods, reason = "the edge of the process makes ids")]
fn new_uuid() -> Uuid {
    Uuid::now_v7()
}
