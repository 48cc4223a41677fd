//! How much memory the steps of a worker may use.

use std::fs;

use parse_size::parse_size;

use crate::config::setting::MEMORY;
use crate::config::settings::Settings;
use crate::process::command_error::CommandError;

/// The memory limit of this process's control group (cgroup v2), in bytes. The file does not exist without a limit and on other
/// systems.
const CGROUP_LIMIT: &str = "/sys/fs/cgroup/memory.max";

/// Steps may use one part in so many of the machine's memory by default. The other half is for the hub, for the page cache, and
/// for steps that need more memory after they have started.
const DEFAULT_DIVISOR: u64 = 2;

/// The memory assumed of a machine that does not report its own, in bytes.
const FALLBACK_MEMORY: u64 = 4 << 30;

/// Returns the bytes from the flag or the setting, or else [`default_memory`].
pub(crate) fn memory_bytes(flag: Option<&str>, settings: &Settings) -> Result<u64, CommandError> {
    let Some(text) = flag.map(str::to_owned).or_else(|| settings.text(MEMORY)) else { return Ok(default_memory()) };
    let bytes = parse_size(&text).ok().filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| {
        let name = MEMORY.name();
        CommandError::Usage(format!("`{text}` is not an amount of memory; type one such as 8GiB, or set {name}"))
    })
}

/// Returns half of the memory, in bytes, of this machine or of this process's control group, whichever has less.
pub(crate) fn default_memory() -> u64 {
    let group = fs::read_to_string(CGROUP_LIMIT).ok().and_then(|text| text.trim().parse().ok());
    machine_memory().unwrap_or(FALLBACK_MEMORY).min(group.unwrap_or(u64::MAX)) / DEFAULT_DIVISOR
}

fn machine_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let kib: u64 = text.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory_have_units() {
        let settings = Settings::default();
        assert_eq!(memory_bytes(Some("8GiB"), &settings).ok(), Some(8 << 30));
        assert_eq!(memory_bytes(Some("512 MiB"), &settings).ok(), Some(512 << 20));
        assert!(memory_bytes(Some("much"), &settings).is_err());
        assert!(memory_bytes(Some("0"), &settings).is_err());
        assert!(memory_bytes(None, &settings).is_ok_and(|bytes| bytes > 64 << 20));
    }
}
