//! The state of a call statement: what became of it, and in a loop of its rounds.

use serde::Serialize;

use crate::wire::{CallResult, NoValue, RoundValue};

/// What became of a call, from the parts of its result that were seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallState {
    /// Why it has no value at all.
    missing: Option<NoValue>,
    /// In a loop, the rounds so far.
    rounds: Option<RoundCounts>,
}

/// Counts of the rounds of the innermost loop around a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RoundCounts {
    /// Rounds that have a value.
    pub completed: u64,
    /// Rounds in which a job of the call failed.
    pub failed: u64,
    /// Rounds in which the call was cancelled.
    pub cancelled: u64,
    /// Rounds in which the call never starts, because something before it failed.
    pub skipped: u64,
    /// Rounds that have not ended.
    #[serde(skip_serializing_if = "is_zero")]
    running: u64,
}

const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl CallState {
    /// Adds a part of the call's result.
    pub fn add(&mut self, value: &RoundValue) {
        match value {
            RoundValue::Nothing(reason) => self.missing = Some(*reason),
            RoundValue::Value(_) => {}
            RoundValue::Rounds(_) => self.rounds.get_or_insert_default().add(value),
        }
    }

    /// Returns whether the call has a value, even if rounds of it have none.
    #[must_use]
    pub const fn has_value(&self) -> bool {
        self.missing.is_none()
    }

    /// Returns the counts of its rounds; `None` outside loops, and if the loop never ran.
    #[must_use]
    pub const fn rounds(&self) -> Option<RoundCounts> {
        self.rounds
    }

    /// Returns its name in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        let missing = self.missing.or_else(|| self.rounds.and_then(RoundCounts::first_missing));
        missing.map_or("completed", NoValue::name)
    }

    /// Returns the message that the call, or rounds of it, have no result; `None` if nothing is missing.
    #[must_use]
    pub fn message(&self, result: &CallResult) -> Option<String> {
        let reason = match (self.missing, self.rounds) {
            (Some(reason), _) => reason_text(reason).to_owned(),
            (None, Some(rounds)) => rounds.missing_text()?,
            (None, None) => return None,
        };
        let name = result.name.as_ref().map_or_else(String::new, |name| format!(" (`{name}`)"));
        Some(format!("no result: line {}{name}: {reason}", result.line))
    }
}

const fn reason_text(reason: NoValue) -> &'static str {
    match reason {
        NoValue::Failed => "it failed",
        NoValue::Cancelled => "it was cancelled",
        NoValue::Skipped => "skipped, because something before it failed",
        NoValue::Running => "it has not ended",
    }
}

impl RoundCounts {
    /// The recursion is as deep as the script's loops are nested, which the wire format bounds.
    fn add(&mut self, round: &RoundValue) {
        match round {
            RoundValue::Value(_) => self.completed += 1,
            RoundValue::Nothing(NoValue::Failed) => self.failed += 1,
            RoundValue::Nothing(NoValue::Cancelled) => self.cancelled += 1,
            RoundValue::Nothing(NoValue::Skipped) => self.skipped += 1,
            RoundValue::Nothing(NoValue::Running) => self.running += 1,
            RoundValue::Rounds(rounds) => rounds.iter().for_each(|round| self.add(round)),
        }
    }

    /// Returns the state of a call some of whose rounds have no value.
    fn first_missing(self) -> Option<NoValue> {
        let counts = [
            (self.running, NoValue::Running),
            (self.failed, NoValue::Failed),
            (self.skipped, NoValue::Skipped),
            (self.cancelled, NoValue::Cancelled),
        ];
        counts.into_iter().find(|(count, _)| *count > 0).map(|(_, reason)| reason)
    }

    /// `2 of 3 rounds: 1 failed, 1 cancelled`
    fn missing_text(self) -> Option<String> {
        let counts = [
            (self.failed, "failed"),
            (self.cancelled, "cancelled"),
            (self.skipped, "skipped"),
            (self.running, "not ended"),
        ];
        let missing: u64 = counts.iter().map(|(count, _)| count).sum();
        let reasons = counts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}"));
        let reasons = reasons.collect::<Vec<_>>().join(", ");
        (missing > 0).then(|| format!("{missing} of {} rounds: {reasons}", missing + self.completed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::ValueRef;

    const FAILED: RoundValue = RoundValue::Nothing(NoValue::Failed);
    const CANCELLED: RoundValue = RoundValue::Nothing(NoValue::Cancelled);
    const SKIPPED: RoundValue = RoundValue::Nothing(NoValue::Skipped);
    const RUNNING: RoundValue = RoundValue::Nothing(NoValue::Running);

    fn value() -> RoundValue {
        RoundValue::Value(ValueRef::List(Vec::new()))
    }

    fn state(parts: &[RoundValue]) -> (&'static str, String) {
        let mut state = CallState::default();
        parts.iter().for_each(|part| state.add(part));
        let result = CallResult { line: 3, name: Some("x".to_owned()), is_used: false, value: value() };
        let text = state.message(&result).unwrap_or_default();
        (state.name(), text.strip_prefix("no result: line 3 (`x`): ").unwrap_or(&text).to_owned())
    }

    #[test]
    fn a_call_has_the_state_of_its_last_job() {
        assert_eq!(state(&[value()]), ("completed", String::new()));
        assert_eq!(state(&[FAILED]), ("failed", "it failed".to_owned()));
        assert_eq!(state(&[CANCELLED]), ("cancelled", "it was cancelled".to_owned()));
        assert_eq!(state(&[SKIPPED]).0, "skipped");
        assert_eq!(state(&[RUNNING]).0, "running");
    }

    #[test]
    fn rounds_are_counted_over_all_pages_and_loops() {
        let rounds = |rounds: &[RoundValue]| RoundValue::Rounds(rounds.to_vec());
        assert_eq!(state(&[rounds(&[])]), ("completed", String::new()));
        assert_eq!(state(&[rounds(&[value(), value()])]), ("completed", String::new()));
        let nested = rounds(&[rounds(&[value(), FAILED]), SKIPPED]);
        let expected = "3 of 5 rounds: 1 failed, 1 cancelled, 1 skipped";
        assert_eq!(state(&[nested, rounds(&[value(), CANCELLED])]), ("failed", expected.to_owned()));
        assert_eq!(state(&[rounds(&[value(), CANCELLED])]), ("cancelled", "1 of 2 rounds: 1 cancelled".to_owned()));
    }
}
