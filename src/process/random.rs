//! Tokens, ids and names, from the system's random numbers.

use anyhow::anyhow;
use bue_model::RunId;
use uuid::Builder;

use crate::process::command_error::CommandError;

/// Generates a token: 256 random bits in hexadecimal digits, which fit into an HTTP header, with a prefix that secret scanners
/// can search for.
pub(crate) fn new_token() -> Result<String, CommandError> {
    random_hex::<32>().map(|digits| format!("bue_{digits}"))
}

/// Generates `BYTES` random bytes, as hexadecimal digits.
pub(crate) fn random_hex<const BYTES: usize>() -> Result<String, CommandError> {
    let bytes = random_bytes::<BYTES>()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Generates the id of a run. It is random from its first digit on, so that a few digits name a run.
pub(crate) fn new_run_id() -> Result<RunId, CommandError> {
    random_bytes().map(|bytes| RunId(Builder::from_random_bytes(bytes).into_uuid()))
}

/// Generates the name of this process as a worker. It distinguishes workers in logs, including those of one machine and those
/// that have the same process id one after the other. It begins with `base`, or else with the machine and the process id.
pub(crate) fn new_worker_name(base: Option<&str>) -> Result<String, CommandError> {
    let base = base.map_or_else(machine_and_process, str::to_owned);
    Ok(format!("{base}-{}", random_hex::<2>()?))
}

fn machine_and_process() -> String {
    let machine = std::env::var("HOSTNAME").unwrap_or_else(|_| "worker".to_owned());
    format!("{machine}-{}", std::process::id())
}

fn random_bytes<const BYTES: usize>() -> Result<[u8; BYTES], CommandError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("the system provides no random bytes: {error}"))?;
    Ok(bytes)
}
