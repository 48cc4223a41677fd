//! `--simulated-time`, `--time-limit` and `--http-from`: runs for tests.

use std::net::SocketAddr;
use std::time::Duration;

use bue_model::Timestamp;
use clap::Args;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::config::duration::parse_duration;
use crate::process::command_error::CommandError;

/// The simulated time after which a run is ended by default. A step that answers `pending` for ever is called every 30 seconds.
const DEFAULT_LIMIT: Duration = Duration::from_secs(30 * 86_400);

/// The earliest time that can be simulated: clocks of guests show no earlier ones.
const EARLIEST: Timestamp = Timestamp(86_400_000);

/// The latest one: the end of the year 9998, so that a run ends before Python's times do.
const LATEST: Timestamp = Timestamp(253_370_764_799_999);

/// How a run for a test differs from others.
#[derive(Debug, Default, Args)]
pub(crate) struct SimulationFlags {
    /// For tests: begin at this time, such as 2026-01-01T06:00 (UTC), and let no time pass while steps compute. While everything waits,
    /// the clock jumps to the next time at which something happens
    #[arg(long, value_name = "TIME")]
    simulated_time: Option<String>,
    /// With --simulated-time: cancel a run that has not ended after so much simulated time [default: 30d]
    #[arg(long, value_name = "DURATION", requires = "simulated_time")]
    time_limit: Option<String>,
    /// For tests: send all HTTP requests of steps to this server, as plain HTTP, with their address in the header `bue-url`
    #[arg(long, value_name = "HOST:PORT")]
    http_from: Option<SocketAddr>,
}

impl SimulationFlags {
    /// Returns the server that answers all HTTP requests of steps.
    pub(crate) const fn answering_server(&self) -> Option<SocketAddr> {
        self.http_from
    }

    /// Returns whether time is simulated.
    pub(crate) const fn is_simulated(&self) -> bool {
        self.simulated_time.is_some()
    }

    /// Returns when simulated time begins, and how long it lasts at most; `None` if time is real.
    pub(crate) fn period(&self) -> Result<Option<(Timestamp, Duration)>, CommandError> {
        let Some(text) = &self.simulated_time else { return Ok(None) };
        let start = start(text).ok_or_else(|| {
            CommandError::Usage(format!(
                "`{text}` is not a time between 1970-01-02 and 9998-12-31; set --simulated-time to one such as 2026-01-01T06:00"
            ))
        })?;
        let limit = match &self.time_limit {
            Some(text) => parse_duration(text, "--time-limit")?,
            None => DEFAULT_LIMIT,
        };
        Ok(Some((start, limit)))
    }
}

/// Reads a time; without an offset, it is UTC. A zone in brackets is refused, because the parser would ignore it.
fn start(text: &str) -> Option<Timestamp> {
    let local = || Offset::UTC.to_timestamp(text.parse::<DateTime>().ok().filter(|_| !text.contains('['))?).ok();
    let time = text.parse::<jiff::Timestamp>().ok().or_else(local)?;
    Some(Timestamp(time.as_millisecond())).filter(|time| (EARLIEST..=LATEST).contains(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_an_offset_is_utc() {
        for text in ["2026-11-01T06:00", "2026-11-01 06:00:00", "2026-11-01T06:00Z", "2026-11-01T08:00+02:00"] {
            assert_eq!(start(text), Some(Timestamp(1_793_512_800_000)), "{text}");
        }
        assert_eq!(start("2026-11-01"), Some(Timestamp(1_793_491_200_000)));
        for text in ["", "soon", "2026-13-01", "1970-01-01", "9999-01-01", "2026-11-01T06:00[Europe/Berlin]"] {
            assert_eq!(start(text), None, "{text}");
        }
    }
}
