//! Suspects: jobs whose leases ended [`SUSPECT_RELEASES`] times in a row without an outcome. Pure.
//!
//! A job that kills its worker takes the leases of all others there with it, and so does one that only freezes it. Which of them
//! it was is known only of a job that was alone. So a suspect is leased to a worker that holds no other job, and until it ends
//! that worker gets no other one. Only such releases can fail a job ([`MAX_RELEASES`](crate::store::MAX_RELEASES)). A worker
//! that has just died and started again holds nothing, so the wait is short where it matters. A suspect that has waited for
//! [`ISOLATION_MS`] is leased like any other job. Jobs under a `!rate` or `!at_most` are never leased
//! alone; all their releases count.

use bue_model::Timestamp;

use crate::jobs::columns::signed;
use crate::store::ISOLATION_MS;

/// [`SUSPECT_RELEASES`](crate::store::SUSPECT_RELEASES) as a literal for `concat!`. The index `job_suspect` has it too.
macro_rules! suspect_releases {
    () => {
        "3"
    };
}
pub(crate) use suspect_releases;

/// Condition of jobs that may be leased together with others. The parameter is [`company_since`].
macro_rules! in_company {
    ($($parameter:literal),+) => {
        concat!("(releases < ", $crate::jobs::leasing::isolation::suspect_releases!(), " OR available_at <= ", $($parameter),+, ")")
    };
}
pub(crate) use in_company;

/// Condition of jobs that are to be leased alone. The parameter is [`company_since`]. `rate + 0` keeps the databases from using the index
/// of all ready jobs, which has the condition `rate = 0`, in place of that of suspects: without statistics, they cannot tell that it is
/// far longer.
macro_rules! in_isolation {
    ($($parameter:literal),+) => {
        concat!(
            "rate + 0 = 0 AND releases >= ",
            $crate::jobs::leasing::isolation::suspect_releases!(),
            " AND available_at > ",
            $($parameter),+
        )
    };
}
pub(crate) use in_isolation;

/// Returns the time such that a suspect which is ready since then or longer is not leased alone any more.
pub(crate) fn company_since(now: i64) -> i64 {
    now.saturating_sub(signed(ISOLATION_MS))
}

/// Returns when a suspect that is ready since `ready_at` may be leased together with others.
pub(crate) fn company_at(ready_at: i64) -> Timestamp {
    Timestamp(ready_at.saturating_add(signed(ISOLATION_MS)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SUSPECT_RELEASES;

    #[test]
    fn statements_have_the_number_of_the_constant() {
        assert_eq!(suspect_releases!().parse(), Ok(SUSPECT_RELEASES));
        assert_eq!(company_at(company_since(100_000)), Timestamp(100_000));
    }
}
