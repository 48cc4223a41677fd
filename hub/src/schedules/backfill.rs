//! [`Backfill`]: runs of due times that have passed. It has no state of its own: which due times have a run, and whether that has
//! ended, says how far it is.

use std::collections::HashMap;

use bue_model::schedule::{BackfillProgress, MAX_AT_MOST, RunCounts};
use bue_model::{RunId, RunState, Timestamp};

use super::fields::problem;
use super::ids::run_of;
use super::spec::ScheduleSpec;
use super::time_text::read_time;
use crate::error::HubError;

/// Due times that one request looks at. A client continues with the rest when these are done.
const MAX_DUE: usize = 1_000;

/// A request to run the due times of a schedule in a range that has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backfill {
    /// The beginning of the range, included: a time as in a schedule.
    pub from: String,
    /// The end of the range, not included.
    pub to: String,
    /// Runs at a time.
    pub at_most: u32,
}

/// The due times of a range, and the ids of their runs.
#[derive(Debug)]
pub(crate) struct DueRange {
    /// The due times, at most [`MAX_DUE`].
    pub(crate) due: Vec<(i64, RunId)>,
    rest_from: Option<i64>,
}

impl Backfill {
    /// Returns the due times in the range. The bounds of the schedule itself do not count.
    ///
    /// # Errors
    /// [`HubError::UnfitSchedule`] if a bound is no time, the range is empty, or it has not passed.
    pub(crate) fn due_times(&self, schedule: &str, spec: &ScheduleSpec, now: i64) -> Result<DueRange, HubError> {
        let zone = &spec.recurrence.zone;
        let (from, to) = (read_time(&self.from, zone), read_time(&self.to, zone));
        let unfit = |field: &str, message: &str| HubError::UnfitSchedule {
            schedule: schedule.to_owned(),
            fields: vec![problem(field, message)],
        };
        let from = from.map_err(|message| unfit("from", &message))?;
        let to = to.map_err(|message| unfit("to", &message))?;
        if from >= to {
            return Err(unfit("to", "it is not later than `from`; correct one of them"));
        }
        if from > now {
            return Err(unfit("from", "it has not passed; the schedule itself runs what is due later"));
        }
        let end = to.min(now.saturating_add(1));
        let next = |after: i64| spec.recurrence.next_unbounded(after).filter(|due| *due < end);
        let all = std::iter::successors(next(from.saturating_sub(1)), |due| next(*due));
        let mut due: Vec<(i64, RunId)> = all.take(MAX_DUE + 1).map(|due| (due, run_of(schedule, due))).collect();
        let rest_from = if due.len() > MAX_DUE { due.pop().map(|(due, _)| due) } else { None };
        Ok(DueRange { due, rest_from })
    }

    /// Returns which due times start now, given the states of the runs that exist.
    pub(crate) fn starts(&self, range: &DueRange, states: &HashMap<RunId, RunState>) -> Vec<i64> {
        let is_running = |(_, run): &&(i64, RunId)| states.get(run) == Some(&RunState::Running);
        let running = range.due.iter().filter(is_running).count();
        let at_most = usize::try_from(self.at_most.clamp(1, MAX_AT_MOST)).unwrap_or(1);
        let waiting = range.due.iter().filter(|(_, run)| !states.contains_key(run)).map(|(due, _)| *due);
        waiting.take(at_most.saturating_sub(running)).collect()
    }
}

impl DueRange {
    /// Returns how far the backfill is, given the states of the runs that exist.
    pub(crate) fn progress(&self, states: &HashMap<RunId, RunState>) -> BackfillProgress {
        let mut runs = RunCounts::default();
        let mut waiting = 0;
        for (_, run) in &self.due {
            match states.get(run) {
                Some(state) => runs.add(*state, 1),
                None => waiting += 1,
            }
        }
        let time = |due: Option<&(i64, RunId)>| due.map(|(due, _)| Timestamp(*due));
        BackfillProgress {
            due: self.due.len() as u64,
            first: time(self.due.first()),
            last: time(self.due.last()),
            waiting,
            runs,
            rest_from: self.rest_from.map(Timestamp),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backfill(from: &str, to: &str, at_most: u32) -> Backfill {
        Backfill { from: from.into(), to: to.into(), at_most }
    }

    fn daily() -> ScheduleSpec {
        let text = r#"{"pipeline": "p", "cron": "0 6 * * *", "timezone": "Europe/Berlin", "from": "2026-11-01"}"#;
        ScheduleSpec::from_json(text).expect("a schedule")
    }

    const NOW: i64 = 1_793_000_000_000; // 2026-10-26

    #[test]
    fn a_range_has_its_beginning_and_not_its_end_nor_the_future() {
        let count = |from, to| backfill(from, to, 1).due_times("s", &daily(), NOW).expect("a range").due.len();
        assert_eq!(count("2026-10-20", "2026-10-23"), 3);
        assert_eq!(count("2026-10-20T06:00", "2026-10-21T06:00"), 1);
        assert_eq!(count("2026-10-20T06:01", "2026-10-21T06:00"), 0);
        assert_eq!(count("2026-10-24", "2027-01-01"), 3, "until now");
        let range = backfill("2016-10-20", "2026-10-20", 1).due_times("s", &daily(), NOW).expect("a range");
        assert_eq!((range.due.len(), range.rest_from.is_some()), (1_000, true));
        for (from, to, field) in [
            ("x", "2026-10-20", "from"),
            ("2026-10-20", "", "to"),
            ("2026-10-20", "2026-10-20", "to"),
            ("2026-12-01", "2026-12-05", "from"),
        ] {
            let error = backfill(from, to, 1).due_times("s", &daily(), NOW).expect_err("no range");
            let HubError::UnfitSchedule { fields, .. } = &error else { panic!("{error}") };
            assert_eq!(fields[0].field, field, "{from} {to}");
        }
    }

    #[test]
    fn so_many_runs_are_open_at_a_time() {
        let backfill = backfill("2026-10-01", "2026-10-11", 3);
        let range = backfill.due_times("s", &daily(), NOW).expect("a range");
        let mut states = HashMap::new();
        for expected in [3, 0] {
            let starts = backfill.starts(&range, &states);
            assert_eq!(starts.len(), expected);
            states.extend(starts.iter().map(|due| (run_of("s", *due), RunState::Running)));
        }
        states.insert(range.due[0].1, RunState::Completed);
        states.insert(range.due[1].1, RunState::Failed);
        assert_eq!(backfill.starts(&range, &states), [range.due[3].0, range.due[4].0]);
        let progress = range.progress(&states);
        assert_eq!((progress.due, progress.waiting), (10, 7));
        assert_eq!(progress.runs, RunCounts { running: 1, completed: 1, failed: 1, cancelled: 0 });
    }
}
