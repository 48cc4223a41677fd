//! `[limits]` in `bue.toml`: what a step on this machine may use, where that differs from the defaults.

use bue_runtime::Limits;

use crate::config::settings::Settings;
use crate::process::command_error::CommandError;

/// Returns the default limits, changed by `[limits]`. The time limit is set per step, in the script.
pub(crate) fn read_limits(settings: &Settings) -> Result<Limits, CommandError> {
    let mut limits = Limits::default();
    for (name, value) in settings.table("limits") {
        let number = value.as_integer().and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0);
        let number = number.ok_or_else(|| {
            CommandError::Usage(format!("`[limits] {name}` in bue.toml is not a number greater than 0"))
        })?;
        set(&mut limits, name, number)?;
    }
    Ok(limits)
}

fn set(limits: &mut Limits, name: &str, number: u64) -> Result<(), CommandError> {
    let count = u32::try_from(number).unwrap_or(u32::MAX);
    match name {
        "memory_bytes" => limits.memory_bytes = number,
        "input_bytes" => limits.input_bytes = number,
        "result_bytes" => limits.result_bytes = number,
        "stream_bytes" => limits.stream_bytes = number,
        "log_bytes" => limits.log_bytes = number,
        "output_bytes" => limits.output_bytes = number,
        "net_exchanges" => limits.net_exchanges = count,
        "net_headers" => limits.net_headers = count,
        "net_header_bytes" => limits.net_header_bytes = number,
        "net_up_bytes" => limits.net_up_bytes = number,
        "net_down_bytes" => limits.net_down_bytes = number,
        "net_buffered_bytes" => limits.net_buffered_bytes = number,
        "packages" => limits.packages = count,
        "packages_packed_bytes" => limits.packages_packed_bytes = number,
        "packages_bytes" => limits.packages_bytes = number,
        "packages_files" => limits.packages_files = count,
        _ => {
            return Err(CommandError::Usage(format!(
                "`[limits] {name}` in bue.toml is not a limit; docs/network.md and docs/packages.md list them"
            )));
        }
    }
    Ok(())
}
