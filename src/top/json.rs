//! `bue top --json`: a line per interval, for programs.

use std::time::Duration;

use anyhow::Context;
use bue_client::HubClient;
use bue_model::Timestamp;
use bue_model::wire::RunView;
use serde::Serialize;

use crate::process::clock::now;
use crate::process::command_error::CommandError;
use crate::process::output::print_json;
use crate::runs::outcome::expect_success;
use crate::top::rows::{StepRow, step_rows};
use crate::top::snapshot::{Selection, Snapshot, read_snapshot};

/// A line.
#[derive(Debug, Serialize)]
struct IntervalReport {
    /// When it was written, by this machine's clock, in milliseconds since 1970.
    at: Timestamp,
    /// Why the hub did not answer; then there are no runs and steps.
    error: Option<String>,
    /// The runs, newest first, without their steps.
    runs: Vec<RunView>,
    /// There are more open runs than these.
    has_more: bool,
    /// The steps of all these runs.
    steps: Vec<StepRow>,
}

impl IntervalReport {
    fn new(snapshot: &Snapshot, previous: Option<&Snapshot>, at: Timestamp) -> Self {
        let runs = snapshot.runs.iter().map(|run| RunView { steps: Vec::new(), ..run.clone() });
        let steps = step_rows(snapshot, previous);
        Self { at, error: None, runs: runs.collect(), has_more: snapshot.has_more, steps }
    }

    const fn of_error(error: String, at: Timestamp) -> Self {
        Self { at, error: Some(error), runs: Vec::new(), has_more: false, steps: Vec::new() }
    }
}

/// Prints a line at once and after each interval, until the selected run has ended.
///
/// # Errors
/// The run failed or was cancelled, the hub does not answer the first request, or the run is deleted.
pub(crate) async fn print_reports(hub: &HubClient, selection: Selection, every: Duration) -> Result<(), CommandError> {
    let mut previous: Option<Snapshot> = None;
    loop {
        match read_snapshot(hub, selection).await {
            Ok(snapshot) => {
                print_json(&IntervalReport::new(&snapshot, previous.as_ref(), now()))?;
                if let Some(state) = snapshot.end_state(selection) {
                    return expect_success(state);
                }
                previous = Some(snapshot);
            }
            Err(error) if error.is_transient() && previous.is_some() => {
                print_json(&IntervalReport::of_error(error.to_string(), now()))?;
            }
            Err(error) => return Ok(Err(error).context("failed to read the steps")?),
        }
        tokio::time::sleep(every).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::output::json_text;
    use crate::top::rows::tests::{run, snapshot, step};

    #[test]
    fn a_line_has_the_runs_and_a_flat_list_of_their_steps() {
        let before = snapshot(vec![run(1, 1_000, vec![step("read|parse", 1)])]);
        let after = snapshot(vec![run(1, 2_000, vec![step("read|parse", 4)]), run(2, 2_000, vec![step("x", 1)])]);
        let text = json_text(&IntervalReport::new(&after, Some(&before), Timestamp(7))).expect("JSON");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&json["at"], &json["error"]), (&7.into(), &serde_json::Value::Null));
        assert_eq!(json["runs"].as_array().map(Vec::len), Some(2));
        let (first, second) = (&json["steps"][0], &json["steps"][1]);
        assert_eq!((&first["name"], &first["rate"], &first["done"]), (&"read|parse".into(), &3.0.into(), &4.into()));
        assert_eq!((&first["run"], &first["script"]), (&json["runs"][0]["id"], &"script1.bue".into()));
        assert!(second["rate"].is_null() && second["usage"]["p95_ms"].is_null(), "{json}");
    }
}
