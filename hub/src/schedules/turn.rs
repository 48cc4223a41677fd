//! [`take_turn`]: which runs a schedule starts now, and when it has its next turn.

use super::ids::jitter_ms;
use super::policy::{CatchUp, MAX_CAUGHT_UP, Overlap};
use super::progress::Progress;
use super::spec::ScheduleSpec;

/// Milliseconds after which a due time counts as missed. Within it, hubs restart, and a thousand schedules start.
pub(crate) const MISSED_AFTER_MS: i64 = 60_000;
/// Due times that one turn enumerates. After a longer interruption, it looks at the last ones only.
const MAX_ENUMERATED: usize = 10_000;
/// The first guess of how long ago the last due times are that can be caught up: an hour. It is doubled until they are enough.
const FIRST_LOOK_BACK_MS: i64 = 3_600_000;
/// Due times that wait at most. A schedule whose runs take longer than the time between them would queue without end.
pub(crate) const MAX_WAITING: usize = 100;
/// Runs that one turn starts, so that other schedules have their turns in between.
const MAX_STARTS: usize = 10;
/// How often a schedule looks whether its previous run has ended: after a tenth of the time it has waited, between these.
const MIN_RECHECK_MS: i64 = 1_000;
const MAX_RECHECK_MS: i64 = 30_000;

/// What a schedule does now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// The due times whose runs start now, the earliest first.
    pub(crate) starts: Vec<i64>,
    /// Whether the previous run is cancelled before.
    pub(crate) cancels_previous: bool,
    /// The progress afterwards, apart from the starts.
    pub(crate) progress: Progress,
    /// When the next turn is. `None` if there is nothing to wait for.
    pub(crate) next_turn: Option<i64>,
}

/// The due times that a turn has to do with.
#[derive(Debug, Default)]
struct Reached {
    /// The last of those that were missed.
    late: Vec<i64>,
    late_count: usize,
    /// Those that were not.
    on_time: Vec<i64>,
    /// The first one after them.
    next_due: Option<i64>,
}

/// Decides what the schedule called `name` does at `now`, while its previous run has not ended (`is_running`) or has.
pub(crate) fn take_turn(name: &str, spec: &ScheduleSpec, progress: Progress, now: i64, is_running: bool) -> Turn {
    if progress.is_paused {
        return Turn { starts: Vec::new(), cancels_previous: false, progress, next_turn: None };
    }
    let mut progress = progress;
    let reached = reached(name, spec, progress.next_due, now);
    progress.next_due = reached.next_due;
    let due = caught_up(spec.catch_up, reached, &mut progress.missed);
    let mut waiting = std::mem::take(&mut progress.waiting);
    waiting.extend(due);
    let starts = starts(spec.overlap, &mut waiting, is_running);
    progress.skipped = progress.skipped.saturating_add(starts.skipped as u64);
    progress.waiting = waiting;
    let next_turn = next_turn(name, spec, &progress, now);
    Turn { starts: starts.now, cancels_previous: starts.cancels_previous, progress, next_turn }
}

/// Returns when a schedule has its next turn.
pub(crate) fn next_turn(name: &str, spec: &ScheduleSpec, progress: &Progress, now: i64) -> Option<i64> {
    if progress.is_paused {
        return None;
    }
    let recheck = progress.waiting.first().map(|first| match spec.overlap {
        Overlap::Queue => {
            let waited = now.saturating_sub(*first) / 10;
            now.saturating_add(waited.clamp(MIN_RECHECK_MS, MAX_RECHECK_MS))
        }
        _ => now,
    });
    let due = progress.next_due.map(|due| turn_of(name, spec, due));
    recheck.into_iter().chain(due).min()
}

/// When a due time has its turn: after its random delay.
fn turn_of(name: &str, spec: &ScheduleSpec, due: i64) -> i64 {
    due.saturating_add(i64::try_from(jitter_ms(name, due, spec.jitter_ms)).unwrap_or(0))
}

/// Enumerates the due times whose turn has come, in their order: one that is delayed delays those behind it.
fn reached(name: &str, spec: &ScheduleSpec, next_due: Option<i64>, now: i64) -> Reached {
    let mut reached = Reached { next_due, ..Reached::default() };
    let mut enumerated = 0;
    while let Some(due) = reached.next_due.filter(|due| turn_of(name, spec, *due) <= now) {
        enumerated += 1;
        if enumerated > MAX_ENUMERATED {
            (reached.next_due, enumerated) = (Some(recent_due(spec, due, now)), 0);
            continue;
        }
        match turn_of(name, spec, due).saturating_add(MISSED_AFTER_MS) < now {
            true => reached.add_late(due),
            false => reached.on_time.push(due),
        }
        reached.next_due = spec.recurrence.next_after(due);
    }
    reached
}

impl Reached {
    fn add_late(&mut self, due: i64) {
        if self.late.len() >= 2 * MAX_CAUGHT_UP {
            self.late.drain(..MAX_CAUGHT_UP);
        }
        self.late.push(due);
        self.late_count += 1;
    }
}

/// Returns a due time from which on there are enough due times until now, not before `due`.
fn recent_due(spec: &ScheduleSpec, due: i64, now: i64) -> i64 {
    let mut look_back = FIRST_LOOK_BACK_MS;
    loop {
        let start = now.saturating_sub(look_back);
        if start <= due {
            return due;
        }
        let due_times =
            std::iter::successors(spec.recurrence.next_after(start), |due| spec.recurrence.next_after(*due));
        let recent: Vec<i64> = due_times.take_while(|due| *due <= now).take(MAX_CAUGHT_UP + 1).collect();
        match recent.first() {
            Some(first) if recent.len() > MAX_CAUGHT_UP => return *first,
            _ => look_back = look_back.saturating_mul(2),
        }
    }
}

/// Leaves out the missed due times that the policy does not catch up, and counts them.
fn caught_up(catch_up: CatchUp, reached: Reached, missed: &mut u64) -> Vec<i64> {
    let Reached { mut late, late_count, on_time, .. } = reached;
    let kept = match catch_up {
        CatchUp::None => 0,
        CatchUp::Last => usize::from(on_time.is_empty()),
        CatchUp::All(count) => count,
    };
    let kept = kept.min(late.len());
    *missed = missed.saturating_add((late_count - kept) as u64);
    late.drain(..late.len() - kept);
    late.extend(on_time);
    late
}

/// What `overlap` makes of the due times that wait.
#[derive(Debug, Default)]
struct Starts {
    now: Vec<i64>,
    skipped: usize,
    cancels_previous: bool,
}

/// Takes the due times out of `waiting` that start now or never.
fn starts(overlap: Overlap, waiting: &mut Vec<i64>, is_running: bool) -> Starts {
    match overlap {
        Overlap::Skip => {
            let mut due = std::mem::take(waiting);
            let skipped = due.split_off(usize::from(!is_running).min(due.len())).len();
            Starts { now: due, skipped, cancels_previous: false }
        }
        Overlap::Cancel => {
            let mut due = std::mem::take(waiting);
            let now: Vec<i64> = due.pop().into_iter().collect();
            Starts { cancels_previous: is_running && !now.is_empty(), now, skipped: due.len() }
        }
        Overlap::Queue => {
            let now = waiting.drain(..usize::from(!is_running).min(waiting.len())).collect();
            Starts { now, skipped: cut(waiting), cancels_previous: false }
        }
        Overlap::Allow => {
            let now = waiting.drain(..MAX_STARTS.min(waiting.len())).collect();
            Starts { now, skipped: cut(waiting), cancels_previous: false }
        }
    }
}

/// Cuts off what is too much to wait. Returns its number.
fn cut(waiting: &mut Vec<i64>) -> usize {
    waiting.split_off(MAX_WAITING.min(waiting.len())).len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-01T00:00:00Z.
    const START: i64 = 1_793_491_200_000;
    const HOUR: i64 = 3_600_000;

    fn spec(more: &str) -> ScheduleSpec {
        ScheduleSpec::from_json(&format!(r#"{{"pipeline": "p", "every": "1h"{more}}}"#)).expect("a schedule")
    }

    /// Takes a turn so many milliseconds after the start. Returns the hours whose runs start, and the turn.
    fn turn(spec: &ScheduleSpec, progress: Progress, after: i64, is_running: bool) -> (Vec<i64>, Turn) {
        let turn = take_turn("s", spec, progress, START + after, is_running);
        (hours(&turn.starts), turn)
    }

    fn hours(due: &[i64]) -> Vec<i64> {
        due.iter().map(|due| (due - START) / HOUR).collect()
    }

    #[test]
    fn each_due_time_has_one_turn() {
        let spec = spec("");
        let progress = Progress::new(&spec, START);
        let (starts, first) = turn(&spec, progress, HOUR - 1, false);
        assert_eq!((starts, first.next_turn), (vec![], Some(START + HOUR)));
        let (starts, second) = turn(&spec, first.progress, HOUR, false);
        assert_eq!((starts, second.next_turn), (vec![1], Some(START + 2 * HOUR)));
        // the clock goes back: nothing is due again
        let (starts, third) = turn(&spec, second.progress, HOUR / 2, false);
        assert_eq!((starts, third.next_turn), (vec![], Some(START + 2 * HOUR)));
    }

    #[test]
    fn a_missed_due_time_is_caught_up_as_the_policy_says() {
        for (catch_up, after, expected, missed) in [
            // five due times have passed, the last one half an hour ago
            ("none", 5 * HOUR + HOUR / 2, vec![], 5),
            ("last", 5 * HOUR + HOUR / 2, vec![5], 4),
            ("all:2", 5 * HOUR + HOUR / 2, vec![4, 5], 3),
            ("all:9", 5 * HOUR + HOUR / 2, vec![1, 2, 3, 4, 5], 0),
            // the last one is due just now, so it was not missed
            ("none", 5 * HOUR + 1, vec![5], 4),
            ("last", 5 * HOUR + 1, vec![5], 4),
            ("all:2", 5 * HOUR + 1, vec![3, 4, 5], 2),
            // late by a minute, and by more than that
            ("none", HOUR + MISSED_AFTER_MS, vec![1], 0),
            ("none", HOUR + MISSED_AFTER_MS + 1, vec![], 1),
        ] {
            let spec = spec(&format!(r#", "overlap": "allow", "catch_up": "{catch_up}""#));
            let (starts, turn) = turn(&spec, Progress::new(&spec, START), after, false);
            assert_eq!((starts, turn.progress.missed), (expected, missed), "{catch_up} {after}");
        }
    }

    #[test]
    fn an_overlap_is_treated_as_the_policy_says() {
        for (overlap, is_running, expected, waiting, skipped, cancels) in [
            ("skip", true, vec![], 0, 3, false),
            ("skip", false, vec![1], 0, 2, false),
            ("queue", true, vec![], 3, 0, false),
            ("queue", false, vec![1], 2, 0, false),
            ("cancel", true, vec![3], 0, 2, true),
            ("cancel", false, vec![3], 0, 2, false),
            ("allow", true, vec![1, 2, 3], 0, 0, false),
        ] {
            let spec = spec(&format!(r#", "overlap": "{overlap}", "catch_up": "all:9""#));
            let (starts, turn) = turn(&spec, Progress::new(&spec, START), 3 * HOUR, is_running);
            let progress = &turn.progress;
            assert_eq!(starts, expected, "{overlap} {is_running}");
            assert_eq!((progress.waiting.len(), progress.skipped), (waiting, skipped), "{overlap} {is_running}");
            assert_eq!(turn.cancels_previous, cancels, "{overlap} {is_running}");
        }
    }

    #[test]
    fn a_queue_starts_one_run_after_the_other_and_has_an_end() {
        let spec = spec(r#", "overlap": "queue", "catch_up": "all:100""#);
        let (_, mut now) = turn(&spec, Progress::new(&spec, START), 2 * HOUR, true);
        assert_eq!(now.next_turn, Some(START + 2 * HOUR + MAX_RECHECK_MS));
        for expected in [1, 2] {
            let starts;
            (starts, now) = turn(&spec, now.progress, 2 * HOUR + 1, false);
            assert_eq!(starts, [expected]);
        }
        assert_eq!(now.next_turn, Some(START + 3 * HOUR), "nothing waits");
        let mut progress = now.progress;
        for hour in 3..300 {
            progress = turn(&spec, progress, hour * HOUR, true).1.progress;
        }
        assert_eq!((progress.waiting.len(), progress.skipped), (MAX_WAITING, 297 - 100));
    }

    #[test]
    fn a_queue_is_looked_at_less_often_the_longer_it_waits() {
        let spec = spec(r#", "overlap": "queue""#);
        for (waited, expected) in [(0, 1_000), (60_000, 6_000), (10 * 60_000, 30_000)] {
            let progress = Progress { waiting: vec![START], next_due: Some(START + 9 * HOUR), ..Progress::default() };
            let turn = take_turn("s", &spec, progress, START + waited, true);
            assert_eq!(turn.next_turn, Some(START + waited + expected));
        }
    }

    #[test]
    fn many_runs_are_started_in_several_turns() {
        let spec = spec(r#", "overlap": "allow", "catch_up": "all:25""#);
        let (mut starts, mut now) = turn(&spec, Progress::new(&spec, START), 30 * HOUR, true);
        for expected in [10, 10] {
            assert_eq!((starts.len(), now.next_turn), (expected, Some(START + 30 * HOUR)));
            (starts, now) = turn(&spec, now.progress, 30 * HOUR, true);
        }
        assert_eq!((starts, now.next_turn), (vec![25, 26, 27, 28, 29, 30], Some(START + 31 * HOUR)));
    }

    #[test]
    fn a_paused_schedule_does_nothing() {
        let spec = spec("");
        let paused = Progress::new(&spec, START).paused();
        let (starts, turn) = turn(&spec, paused, 5 * HOUR, false);
        assert_eq!((starts, turn.next_turn), (vec![], None));
        let resumed = turn.progress.resumed(&spec, START + 5 * HOUR);
        assert_eq!(resumed.next_due, Some(START + 6 * HOUR), "what was due while it was paused is not made up for");
    }

    #[test]
    fn a_random_delay_is_the_same_every_time_and_makes_nothing_late() {
        let spec = spec(r#", "jitter": "30m", "catch_up": "none""#);
        let mut progress = Progress::new(&spec, START);
        let mut delays = Vec::new();
        for hour in 1..50 {
            let at = next_turn("s", &spec, &progress, START).expect("a turn");
            let (starts, turn) = turn(&spec, progress, at - START, false);
            assert_eq!((starts, turn.progress.missed), (vec![hour], 0));
            delays.push(at - START - hour * HOUR);
            progress = turn.progress;
        }
        assert!(delays.iter().all(|delay| (0..=HOUR / 2).contains(delay)), "{delays:?}");
        assert!(delays.iter().min() < Some(&(5 * 60_000)) && delays.iter().max() > Some(&(25 * 60_000)), "{delays:?}");
    }

    #[test]
    fn a_long_interruption_takes_a_bounded_time() {
        for (times, last) in [(r#""cron": "* * * * *""#, 60_000), (r#""every": "1s""#, 1_000)] {
            let text = format!(r#"{{"pipeline": "p", {times}, "overlap": "queue", "catch_up": "all:100"}}"#);
            let spec = ScheduleSpec::from_json(&text).expect("a schedule");
            let now = 366 * 24 * HOUR + 30_000;
            let (starts, turn) = turn(&spec, Progress::new(&spec, START), now, false);
            assert_eq!(starts.len(), 1);
            let all: Vec<i64> = turn.starts.iter().chain(&turn.progress.waiting).copied().collect();
            assert!(all.windows(2).all(|pair| pair[1] - pair[0] == last), "{times}");
            assert!(turn.progress.missed >= 10_000, "{}", turn.progress.missed);
            assert_eq!(turn.progress.next_due, Some(START + now + last - now % last), "{times}");
        }
    }

    proptest! {
        /// However often and however late a schedule has its turns: with `allow` and `all:100`, every due time starts once.
        #[test]
        fn every_due_time_starts_once(steps in prop::collection::vec(1_i64..20 * HOUR, 1..40)) {
            let spec = spec(r#", "overlap": "allow", "catch_up": "all:100""#);
            let (mut progress, mut started, mut after) = (Progress::new(&spec, START), Vec::new(), 0);
            for step in steps {
                after += step;
                loop {
                    let (starts, turn) = turn(&spec, progress, after, true);
                    progress = turn.progress;
                    started.extend(starts);
                    if turn.next_turn.is_none_or(|next| next > START + after) {
                        break;
                    }
                }
            }
            prop_assert_eq!(started, (1..=after / HOUR).collect::<Vec<_>>());
            prop_assert_eq!((progress.missed, progress.skipped), (0, 0));
        }

        /// Whatever the policies: no due time starts twice, and each is started, waiting, skipped or missed.
        #[test]
        fn each_due_time_is_accounted_for(
            steps in prop::collection::vec((1_i64..8 * HOUR, any::<bool>()), 1..40),
            overlap in prop::sample::select(vec!["skip", "queue", "cancel", "allow"]),
            catch_up in prop::sample::select(vec!["none", "last", "all:3"]),
        ) {
            let spec = spec(&format!(r#", "overlap": "{overlap}", "catch_up": "{catch_up}", "jitter": "10m""#));
            let (mut progress, mut started, mut after) = (Progress::new(&spec, START), Vec::new(), 0);
            for (step, is_running) in steps {
                after += step;
                let turn = take_turn("s", &spec, progress, START + after, is_running);
                started.extend(turn.starts);
                progress = turn.progress;
            }
            let turns = (progress.next_due.expect("a due time") - START) / HOUR - 1;
            let accounted = started.len() as u64 + progress.waiting.len() as u64 + progress.skipped + progress.missed;
            prop_assert_eq!(i64::try_from(accounted), Ok(turns));
            prop_assert!(started.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
