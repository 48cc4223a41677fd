//! Where the hub sends traces and metrics, from the settings and the flag `--statsd`.

use std::fs;

use bue_hub::{OtlpConfig, TelemetryConfig};

use crate::config::address::expect_host_and_port;
use crate::config::setting::{OTEL, STATSD};
use crate::config::settings::Settings;
use crate::process::command_error::CommandError;
use crate::process::output::eprint_line;

/// Where Linux tells the machine's name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";
/// Variables of OpenTelemetry with these prefixes change what is sent where, and must not be ignored silently.
const PREFIXES: [&str; 2] = ["OTEL_EXPORTER_OTLP_", "OTEL_TRACES_SAMPLER"];

/// Reads where to send traces and metrics. `statsd` is the flag.
///
/// # Errors
/// A setting has a value that is not supported.
pub(crate) fn telemetry(statsd: Option<String>, settings: &Settings) -> Result<TelemetryConfig, CommandError> {
    let statsd = statsd.or_else(|| settings.text(STATSD));
    if let Some(address) = &statsd {
        expect_host_and_port(address, "--statsd")?;
    }
    Ok(TelemetryConfig { otlp: collector(settings)?, statsd, instance: String::new() })
}

/// Reads where the OpenTelemetry collector is; `None` if there is none.
fn collector(settings: &Settings) -> Result<Option<OtlpConfig>, CommandError> {
    let variable = |name| OTEL.iter().find(|setting| setting.names.contains(&name)).and_then(|one| settings.text(*one));
    let collector = OtlpConfig::read(variable).map_err(|error| CommandError::Usage(error.to_string()))?;
    if collector.is_some() {
        warn_of_ignored(settings);
    }
    Ok(collector)
}

fn warn_of_ignored(settings: &Settings) {
    let is_read = |name: &str| OTEL.iter().any(|setting| setting.names.contains(&name));
    let set = PREFIXES.into_iter().flat_map(|prefix| {
        let variables = settings.variables_with_prefix(prefix).into_iter();
        variables.map(move |(rest, _)| format!("{prefix}{rest}"))
    });
    let mut ignored: Vec<String> = set.filter(|name| !is_read(name)).collect();
    ignored.sort();
    ignored.dedup();
    if !ignored.is_empty() {
        eprint_line(&format!(
            "bue: warning: {} have no effect; docs/observability.md lists the variables of OpenTelemetry that bue reads",
            ignored.join(", ")
        ));
    }
}

/// Names the hub in its metrics, and prints where they go.
pub(crate) fn started(telemetry: TelemetryConfig, port: u16) -> TelemetryConfig {
    let otlp = telemetry.otlp.as_ref();
    let traces = otlp.and_then(|otlp| otlp.traces.as_ref()).map(|uri| format!("traces go to {}", without_query(uri)));
    let metrics =
        otlp.and_then(|otlp| otlp.metrics.as_ref()).map(|uri| format!("metrics go to {}", without_query(uri)));
    let statsd = telemetry.statsd.as_ref().map(|address| format!("metrics go to the StatsD server {address}"));
    [traces, metrics, statsd].into_iter().flatten().for_each(|line| eprint_line(&format!("bue: {line}")));
    TelemetryConfig { instance: format!("{}:{port}", machine_name()), ..telemetry }
}

/// A query may have a key.
fn without_query(uri: &hyper::Uri) -> String {
    uri.to_string().split('?').next().unwrap_or_default().to_owned()
}

fn machine_name() -> String {
    let name = fs::read_to_string(HOST_NAME).ok().or_else(|| std::env::var("HOSTNAME").ok());
    let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| "hub".to_owned())
}
