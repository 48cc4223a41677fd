//! How much memory the steps of a worker may have.

use std::fs;

use parse_size::parse_size;

use crate::setting::MEMORY;
use crate::settings::Settings;
use crate::stop::Stop;

/// Where this process's control group says how much memory it may have. Without one, and on other systems, there is no such
/// file.
const GROUP_LIMIT: &str = "/sys/fs/cgroup/memory.max";

/// The share of a machine's memory that steps may have where nobody says otherwise: half. The other half is for its hub, for
/// files, and for steps that need more after they began.
const SHARE: u64 = 2;

/// What a machine is taken to have that does not say.
const UNKNOWN: u64 = 4 << 30;

/// What is set, or half of what this machine has.
pub(crate) fn memory(flag: Option<&str>, settings: &Settings) -> Result<u64, Stop> {
    let Some(text) = flag.map(str::to_owned).or_else(|| settings.text(MEMORY)) else { return Ok(usual_memory()) };
    let bytes = parse_size(&text).ok().filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| {
        Stop::Usage(format!("`{text}` is no amount of memory; type one like 8GiB, or set {}", MEMORY.name()))
    })
}

/// Half of what this machine has, or this process's control group if that is less.
pub(crate) fn usual_memory() -> u64 {
    let group = fs::read_to_string(GROUP_LIMIT).ok().and_then(|text| text.trim().parse().ok());
    machine_memory().unwrap_or(UNKNOWN).min(group.unwrap_or(u64::MAX)) / SHARE
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
    fn memory_is_said_as_people_say_it() {
        let settings = Settings::default();
        assert_eq!(memory(Some("8GiB"), &settings).ok(), Some(8 << 30));
        assert_eq!(memory(Some("512 MiB"), &settings).ok(), Some(512 << 20));
        assert!(memory(Some("much"), &settings).is_err());
        assert!(memory(Some("0"), &settings).is_err());
        assert!(memory(None, &settings).is_ok_and(|bytes| bytes > 64 << 20));
    }
}
