//! The last attempts of a job, a line each.

use bue_model::Timestamp;
use bue_model::attempt::{AttemptVerdict, AttemptView};
use bue_model::wire::JobView;

use crate::process::output::bytes_text;
use crate::runs::times::{ago_text, duration_text};

/// Returns a line for each of the last attempts of a job, oldest first.
pub(crate) fn attempt_lines(job: &JobView, now: Timestamp) -> Vec<String> {
    job.last_attempts.iter().map(|attempt| attempt_line(attempt, now)).collect()
}

/// `attempt started 5 m ago on worker w: failed, took 3 s, computed for 20 ms, used up to 12.0 MiB`
fn attempt_line(attempt: &AttemptView, now: Timestamp) -> String {
    let worker = attempt.worker.as_ref().map_or_else(String::new, |worker| format!(" on worker {worker}"));
    let verdict = attempt.verdict.map_or("running", AttemptVerdict::name);
    let mut line = format!("attempt started {}{worker}: {verdict}", ago_text(attempt.started_at, now));
    if let Some(took) = attempt.run_ms {
        line.push_str(&format!(", took {}", duration_text(took)));
    }
    if let Some(computed) = attempt.cpu_ms {
        line.push_str(&format!(", computed for {}", duration_text(computed)));
    }
    if let Some(memory) = attempt.peak_memory {
        line.push_str(&format!(", used up to {}", bytes_text(memory)));
    }
    line
}
