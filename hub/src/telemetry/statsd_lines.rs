//! Lines for StatsD: `name:value|type|#tag:value,…`. Pure.
//!
//! The tags are those of DogStatsD, which most servers read, the original one among them. Tags have names of steps in them, which may
//! contain anything, and a line, a tag or a server must not end where a name says so.

use std::collections::HashMap;
use std::fmt::Write;

use super::samples::{MetricFamily, MetricKind, Sample};
use crate::jobs::ended::AttemptEnd;

/// Characters of the value of a tag.
const MAX_TAG: usize = 100;

/// The values of counters at the last export, by name and tags. StatsD adds up differences.
#[derive(Debug, Default)]
pub(crate) struct CounterValues(HashMap<String, f64>);

impl CounterValues {
    /// Returns the lines of all metrics but histograms, for which StatsD has no type: counters as far as they have grown, gauges
    /// always.
    pub(crate) fn lines(&mut self, families: &[MetricFamily], hub: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for family in families {
            for sample in &family.samples {
                lines.extend(match family.kind {
                    MetricKind::Counter => self.counter_line(sample, hub),
                    MetricKind::Gauge => Some(gauge_line(sample, hub)),
                    MetricKind::Histogram => None,
                });
            }
        }
        lines
    }

    fn counter_line(&mut self, sample: &Sample, hub: &str) -> Option<String> {
        let tags = sample_tags(sample, hub);
        let last = self.0.entry(format!("{}{tags}", sample.name)).or_default();
        let grown = sample.value - std::mem::replace(last, sample.value);
        (grown > 0.0).then(|| format!("{}:{grown}|c|#{tags}", sample.name))
    }
}

/// A gauge is never negative: a sign would make the value a difference.
fn gauge_line(sample: &Sample, hub: &str) -> String {
    format!("{}:{}|g|#{}", sample.name, sample.value.max(0.0), sample_tags(sample, hub))
}

/// Returns the lines of an attempt: how long it took and, if that is known, how long it computed.
pub(crate) fn attempt_lines(end: &AttemptEnd) -> Vec<String> {
    let attempt = &end.attempt;
    let elapsed = u64::try_from(attempt.ended_at.saturating_sub(attempt.started_at)).unwrap_or(0);
    let mut tags = String::new();
    for (name, value) in [("step", &*end.step), ("scope", &end.scope), ("outcome", attempt.verdict.name())] {
        add_tag(&mut tags, name, value);
    }
    let run_ms = attempt.usage.map_or(elapsed, |usage| usage.run_ms);
    let cpu_ms = attempt.usage.and_then(|usage| usage.cpu_ms);
    let line = |name, ms: u64| format!("{name}:{ms}|ms|#{tags}");
    std::iter::once(line("bue_attempt_ms", run_ms)).chain(cpu_ms.map(|ms| line("bue_attempt_cpu_ms", ms))).collect()
}

/// Gauges of several hubs must not replace each other, so each says which hub it is of.
fn sample_tags(sample: &Sample, hub: &str) -> String {
    let mut tags = String::new();
    add_tag(&mut tags, "hub", hub);
    sample.labels.iter().for_each(|(name, value)| add_tag(&mut tags, name, value));
    tags
}

/// Adds a tag. Everything but letters, digits, `.`, `-`, `_` and `/` becomes `_`; an empty value is left out.
fn add_tag(tags: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    let separator = if tags.is_empty() { "" } else { "," };
    let value: String =
        value.chars().take(MAX_TAG).map(|character| if is_plain(character) { character } else { '_' }).collect();
    // writing to a string never fails
    let _ = write!(tags, "{separator}{name}:{value}");
}

fn is_plain(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '.' | '-' | '_' | '/')
}

#[cfg(test)]
mod tests {
    use bue_model::attempt::{AttemptUsage, AttemptVerdict};
    use bue_model::{JobId, RunId};
    use uuid::Uuid;

    use super::*;
    use crate::jobs::attempts::EndedAttempt;
    use crate::jobs::traces::TracedRun;
    use crate::telemetry::samples::read_metrics;

    fn attempt(step: &str, usage: Option<AttemptUsage>) -> AttemptEnd {
        let attempt =
            EndedAttempt { started_at: 100, ended_at: 350, worker: None, verdict: AttemptVerdict::Failed, usage };
        let run = TracedRun { id: RunId(Uuid::from_u128(1)), parent: None };
        AttemptEnd {
            run,
            job: JobId(1),
            token: 1,
            step: step.to_owned(),
            scope: "default".into(),
            number: 1,
            attempt,
            message: None,
        }
    }

    #[test]
    fn an_attempt_has_its_times() {
        let usage = AttemptUsage { run_ms: 240, cpu_ms: Some(12), peak_memory: None };
        let tags = "step:fetch,scope:default,outcome:failed";
        let expected = [format!("bue_attempt_ms:240|ms|#{tags}"), format!("bue_attempt_cpu_ms:12|ms|#{tags}")];
        assert_eq!(attempt_lines(&attempt("fetch", Some(usage))), expected);
        assert_eq!(attempt_lines(&attempt("fetch", None)), [format!("bue_attempt_ms:250|ms|#{tags}")]);
    }

    #[test]
    fn a_hostile_name_stays_in_its_tag() {
        let lines = attempt_lines(&attempt("a:1|c\nbue_leases:9|c|#x,y\r;z=\u{202e}größe", None));
        assert_eq!(
            lines,
            ["bue_attempt_ms:250|ms|#step:a_1_c_bue_leases_9_c__x_y__z__größe,scope:default,outcome:failed"]
        );
        let lines = attempt_lines(&attempt(&"x".repeat(10_000), None));
        assert!(lines[0].len() < 200, "{}", lines[0]);
    }

    #[test]
    fn counters_are_sent_as_differences() {
        let families = |leases: u32, jobs: u32| {
            let text = format!(
                "# TYPE leases counter\nleases_total {leases}\n# TYPE jobs gauge\njobs{{scope=\"a|b\",none=\"\"}} {jobs}\n\
                 # TYPE t histogram\nt_sum 1\nt_count 1\n"
            );
            read_metrics(&text).expect("metrics")
        };
        let mut values = CounterValues::default();
        let hub = "h:1";
        let lines = values.lines(&families(3, 2), hub);
        assert_eq!(lines, ["leases_total:3|c|#hub:h_1", "jobs:2|g|#hub:h_1,scope:a_b"]);
        assert_eq!(values.lines(&families(10, 0), hub), ["leases_total:7|c|#hub:h_1", "jobs:0|g|#hub:h_1,scope:a_b"]);
        assert_eq!(values.lines(&families(10, 1), hub), ["jobs:1|g|#hub:h_1,scope:a_b"]);
    }
}
