//! Which ready jobs are next: by scope, priority and age, or the other way round, with a share of leases for those that would
//! be served last. The stores run two queries, `ready` and `last`; what becomes of their rows is decided here.

use std::cmp::Reverse;
use std::collections::HashSet;

use bue_model::plan::Settings;
use bue_model::wire::LeaseRequest;

use crate::jobs::columns::signed;
use crate::jobs::instance::{Location, Run};
use crate::jobs::outcome_rules::streams;

/// Columns of `job` that make a [`ReadyJob`], in the order of its fields, of rows that are ready.
macro_rules! select_ready {
    ($($condition:expr),+) => {
        concat!(
            "SELECT priority, id, node, fanout, run, token, attempts, env, rate, expires_at FROM job WHERE state = ",
            $crate::jobs::state::state_code!(Ready),
            " AND ",
            $($condition),+
        )
    };
}
pub(crate) use select_ready;

/// Selects the ready jobs of a scope that are under no rate, in an [`Order`]. Its parameters, which a store begins with
/// `$mark`, are the scope, the maximum number of rows, and the time of [`in_company!`].
macro_rules! select_ready_in_order {
    ($order:expr, $mark:literal) => {
        match $order {
            Order::BestFirst => {
                select_ready!(
                    "rate = 0 AND scope = ",
                    $mark,
                    "1 AND ",
                    in_company!($mark, "3"),
                    " ORDER BY priority DESC, id LIMIT ",
                    $mark,
                    "2"
                )
            }
            Order::LastFirst => {
                select_ready!(
                    "rate = 0 AND scope = ",
                    $mark,
                    "1 AND ",
                    in_company!($mark, "3"),
                    " ORDER BY priority, id DESC LIMIT ",
                    $mark,
                    "2"
                )
            }
        }
    };
}
pub(crate) use select_ready_in_order;

/// Selects from `waiting`, the rates that ready jobs wait for, each found by one step in an index.
macro_rules! with_waiting_rates {
    ($select:expr) => {
        concat!(
            "WITH RECURSIVE waiting (rate) AS (
                 SELECT * FROM (SELECT rate FROM job WHERE state = ",
            $crate::jobs::state::state_code!(Ready),
            " AND rate > 0 ORDER BY rate LIMIT 1) AS first_rate
                 UNION ALL
                 SELECT (SELECT rate FROM job WHERE state = ",
            $crate::jobs::state::state_code!(Ready),
            " AND rate > 0 AND rate > waiting.rate ORDER BY rate LIMIT 1)
                 FROM waiting WHERE waiting.rate IS NOT NULL) ",
            $select
        )
    };
}
pub(crate) use with_waiting_rates;

/// Whether a ready job in a scope waits for the row of `rate` that a query is at. Jobs of a step may be in several scopes.
macro_rules! is_wanted_in_scope {
    ($scope:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM job WHERE job.rate = rate.id AND job.rate > 0 AND job.state = ",
            $crate::jobs::state::state_code!(Ready),
            " AND job.scope = ",
            $scope,
            ")"
        )
    };
}
pub(crate) use is_wanted_in_scope;

/// Counts the running jobs under the row of `rate` that a query is at. Never more than its `at_most`, so the count is short.
macro_rules! running_under_rate {
    () => {
        concat!(
            "(SELECT count(*) FROM job WHERE job.rate = rate.id AND job.rate > 0 AND job.state = ",
            $crate::jobs::state::state_code!(Running),
            ")"
        )
    };
}
pub(crate) use running_under_rate;

/// What a row of `rate` limits, as it is inserted for a step. 0 stands for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StartLimits {
    /// Starts in a period.
    pub(crate) count: i64,
    pub(crate) per_ms: i64,
    /// Jobs that run.
    pub(crate) at_most: i64,
}

impl StartLimits {
    /// Returns the limits of a step; `None` if it has none.
    pub(crate) fn of(settings: &Settings) -> Option<Self> {
        let (count, per_ms) =
            settings.rate.as_ref().map_or((0, 0), |rate| (i64::from(rate.count), signed(rate.per_ms)));
        let at_most = settings.at_most.as_ref().map_or(0, |at_most| i64::from(at_most.count));
        settings.limits_starts().then_some(Self { count, per_ms, at_most })
    }

    /// Returns until when a row that is used now must not be given to another key: the jobs that will count there are not
    /// stored yet.
    pub(crate) fn used_until(&self, now: i64) -> i64 {
        now.saturating_add(self.per_ms.max(1))
    }
}

/// Returns how many jobs may start under a limit of the running ones, up to `limit`.
pub(crate) fn room_for_running(at_most: i64, running: i64, limit: usize) -> usize {
    match at_most {
        0 => limit,
        at_most => usize::try_from(at_most.saturating_sub(running)).unwrap_or(0).min(limit),
    }
}

/// A ready job: what orders it within its scope, and what a lease of it contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadyJob {
    pub(crate) priority: i64,
    pub(crate) location: Location,
    pub(crate) run: i64,
    pub(crate) token: i64,
    /// Failed attempts.
    pub(crate) attempts: u32,
    pub(crate) env: Option<Vec<u8>>,
    /// Its row of `rate`, which has the limits of its start; 0 where none.
    pub(crate) rate: i64,
    /// When it fails unless an attempt has started.
    pub(crate) expires_at: Option<i64>,
}

/// Returns whether earlier attempts of a job may have reported elements of its list.
pub(crate) fn has_recorded(run: &Run, ready: &ReadyJob) -> bool {
    ready.token > 0 && streams(run, ready.location.node)
}

/// Separates the jobs that may start from those that have expired. Returns the ids of the latter.
pub(crate) fn without_expired(jobs: Vec<ReadyJob>, now: i64) -> (Vec<ReadyJob>, Vec<i64>) {
    let (expired, jobs): (Vec<_>, Vec<_>) =
        jobs.into_iter().partition(|job| job.expires_at.is_some_and(|at| at <= now));
    (jobs, expired.iter().map(|job| job.location.id).collect())
}

/// The order in which jobs are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Scopes as the request lists them, the highest priority first, the oldest first.
    BestFirst,
    /// The reverse of all three.
    LastFirst,
}

impl Order {
    /// Returns the order that a worker asks for.
    pub(crate) fn from_request(request: &LeaseRequest) -> Self {
        if request.reverse { Self::LastFirst } else { Self::BestFirst }
    }

    /// Returns the opposite order.
    pub(crate) fn reversed(self) -> Self {
        match self {
            Self::BestFirst => Self::LastFirst,
            Self::LastFirst => Self::BestFirst,
        }
    }

    /// Returns the scopes of a request in this order. A scope that is named twice counts where it is named first.
    pub(crate) fn scopes(self, request: &LeaseRequest) -> Vec<&str> {
        let mut scopes: Vec<&str> = Vec::with_capacity(request.scopes.len());
        for scope in &request.scopes {
            if !scopes.contains(&scope.as_str()) {
                scopes.push(scope);
            }
        }
        if self == Self::LastFirst {
            scopes.reverse();
        }
        scopes
    }

    fn sort(self, jobs: &mut [ReadyJob]) {
        match self {
            Self::BestFirst => jobs.sort_by_key(|job| (Reverse(job.priority), job.location.id)),
            Self::LastFirst => jobs.sort_by_key(|job| (job.priority, Reverse(job.location.id))),
        }
    }
}

/// The jobs for one request, while its scopes are queried one after the other.
pub(crate) struct Picked {
    order: Order,
    count: usize,
    jobs: Vec<ReadyJob>,
}

impl Picked {
    /// No jobs yet.
    pub(crate) fn new(request: &LeaseRequest) -> Self {
        Self { order: Order::from_request(request), count: request.count as usize, jobs: Vec::new() }
    }

    /// Returns how many more jobs the request has room for.
    pub(crate) fn room(&self) -> usize {
        self.count - self.jobs.len()
    }

    /// Returns how many places are for the jobs that would be served last: a share of them if all places are taken, none
    /// otherwise, because then every ready job was picked.
    pub(crate) fn places_for_last(&self, share: usize) -> usize {
        if self.room() == 0 { share } else { 0 }
    }

    /// Adds the best jobs of the next scope, given its ready jobs with and without rates.
    pub(crate) fn add_scope(&mut self, mut jobs: Vec<ReadyJob>, rated: Vec<ReadyJob>) {
        jobs.extend(rated);
        self.order.sort(&mut jobs);
        let room = self.room();
        self.jobs.extend(jobs.into_iter().take(room));
    }

    /// Puts the jobs that would be served last in place of the last ones picked, as far as there are
    /// [places for them](Self::places_for_last). A job that is among the best anyway keeps its place there.
    pub(crate) fn with_anti_starvation_share(mut self, mut last: Vec<ReadyJob>) -> Vec<ReadyJob> {
        last.truncate(self.places_for_last(last.len()));
        if !last.is_empty() {
            let best: HashSet<i64> = self.jobs.iter().map(|job| job.location.id).collect();
            last.retain(|job| !best.contains(&job.location.id));
            self.jobs.truncate(self.count.saturating_sub(last.len()));
            self.jobs.extend(last);
        }
        self.jobs
    }
}

/// Returns how many leases of a request go to the jobs that would be served last, when `granted` were given before.
pub(crate) fn anti_starvation_share(granted: u64, request: &LeaseRequest) -> usize {
    let interval = u64::from(request.anti_starvation_interval);
    let position = granted.checked_rem(interval).unwrap_or(0);
    (position + u64::from(request.count))
        .checked_div(interval)
        .and_then(|share| usize::try_from(share).ok())
        .unwrap_or(0)
}

/// Returns how many leases of a request count towards the next one for the jobs that would be served last.
pub(crate) fn counted_leases(request: &LeaseRequest, leased: usize) -> u64 {
    if request.anti_starvation_interval == 0 { 0 } else { leased as u64 }
}

#[cfg(test)]
mod tests {
    use bue_model::NodeId;

    use super::*;

    fn job(id: i64, priority: i64) -> ReadyJob {
        let location = Location { id, node: NodeId(0), fanout: 0 };
        ReadyJob { priority, location, run: 1, token: 0, attempts: 0, env: None, rate: 0, expires_at: None }
    }

    fn request(count: u32, reverse: bool) -> LeaseRequest {
        let scopes = ["a", "b", "a"].map(str::to_owned).to_vec();
        LeaseRequest { scopes, reverse, count, ..LeaseRequest::default() }
    }

    fn ids(jobs: &[ReadyJob]) -> Vec<i64> {
        jobs.iter().map(|job| job.location.id).collect()
    }

    #[test]
    fn a_scope_named_twice_counts_where_it_is_named_first() {
        assert_eq!(Order::BestFirst.scopes(&request(1, false)), ["a", "b"]);
        assert_eq!(Order::LastFirst.scopes(&request(1, false)), ["b", "a"]);
    }

    #[test]
    fn jobs_with_and_without_rates_are_in_one_order() {
        for (reverse, expected) in [(false, [3, 1, 2]), (true, [4, 2, 1])] {
            let mut picked = Picked::new(&request(3, reverse));
            picked.add_scope(vec![job(1, 0), job(2, 0)], vec![job(4, -1), job(3, 5)]);
            assert_eq!(ids(&picked.with_anti_starvation_share(Vec::new())), expected);
        }
    }

    #[test]
    fn the_last_ones_get_a_share_only_when_all_places_are_taken() {
        let picked = |count| {
            let mut picked = Picked::new(&request(count, false));
            picked.add_scope(vec![job(1, 2), job(2, 1)], Vec::new());
            picked
        };
        assert_eq!(ids(&picked(2).with_anti_starvation_share(vec![job(9, 0)])), [1, 9]);
        assert_eq!(ids(&picked(2).with_anti_starvation_share(vec![job(1, 2)])), [1, 2]);
        assert_eq!(ids(&picked(3).with_anti_starvation_share(vec![job(9, 0)])), [1, 2]);
    }

    #[test]
    fn a_limit_of_running_jobs_leaves_room_for_the_rest() {
        for (at_most, running, limit, room) in
            [(0, 9, 7, 7), (3, 0, 7, 3), (3, 2, 7, 1), (3, 3, 7, 0), (3, 9, 7, 0), (9, 0, 7, 7)]
        {
            assert_eq!(room_for_running(at_most, running, limit), room, "{at_most} {running} {limit}");
        }
    }

    #[test]
    fn one_lease_in_sixteen_is_shared() {
        let share = |granted, count| anti_starvation_share(granted, &request(count, false));
        assert_eq!((0..64).map(|granted| share(granted, 1)).sum::<usize>(), 4);
        assert_eq!((share(0, 64), share(15, 1), share(0, 15)), (4, 1, 0));
    }

    #[test]
    fn the_share_is_what_the_worker_asks_for() {
        let share = |anti_starvation_interval, granted, count| {
            anti_starvation_share(granted, &LeaseRequest { anti_starvation_interval, ..request(count, false) })
        };
        assert_eq!((0..64).map(|granted| share(4, granted, 1)).sum::<usize>(), 16);
        assert_eq!((share(0, 15, 1), share(0, 0, 1_000), share(1, 0, 3)), (0, 0, 3));
    }
}
