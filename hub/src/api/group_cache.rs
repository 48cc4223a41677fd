//! [`GroupCache`]: the latest groups of failures, for pages that refresh. Counting ten thousand failures takes milliseconds, and a page
//! asks once per second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bue_model::failed_jobs::FailureGroupPage;
use tokio::time::Instant;

/// Groups are reused for this time for each job in them. Counting a job takes about a thousandth of it.
const REUSE_PER_JOB: Duration = Duration::from_millis(1);
/// The longest time for which they are reused. Pages update what is no run as seldom.
const MAX_REUSE: Duration = Duration::from_secs(10);
/// Queries whose groups are kept.
const MAX_QUERIES: usize = 32;

/// Groups by the query that asks for them. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct GroupCache(Arc<Mutex<HashMap<String, Counted>>>);

#[derive(Debug)]
struct Counted {
    began_at: Instant,
    /// When they are too old.
    until: Instant,
    page: FailureGroupPage,
}

impl GroupCache {
    /// Returns the groups of a query, if they were counted lately.
    pub(super) fn get(&self, query: &str) -> Option<FailureGroupPage> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(query).filter(|counted| Instant::now() < counted.until).map(|counted| counted.page.clone())
    }

    /// Keeps groups whose count began then, unless there are newer ones.
    pub(super) fn insert(&self, query: &str, began_at: Instant, page: FailureGroupPage) {
        let now = Instant::now();
        let jobs = u32::try_from(page.jobs).unwrap_or(u32::MAX);
        let until = began_at + REUSE_PER_JOB.saturating_mul(jobs).min(MAX_REUSE);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_QUERIES {
            all.retain(|_, counted| now < counted.until);
        }
        let is_newer = all.get(query).is_none_or(|counted| counted.began_at <= began_at);
        if is_newer && all.len() < MAX_QUERIES {
            all.insert(query.to_owned(), Counted { began_at, until, page });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn groups(jobs: u64) -> FailureGroupPage {
        FailureGroupPage { jobs, ..FailureGroupPage::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn groups_are_reused_for_longer_if_they_have_many_jobs() {
        let (cache, ms) = (GroupCache::default(), Duration::from_millis);
        cache.insert("a", Instant::now(), groups(0));
        assert_eq!(cache.get("a"), None, "few are counted again");
        cache.insert("a", Instant::now(), groups(2_000));
        advance(ms(1_999)).await;
        assert_eq!((cache.get("a"), cache.get("b")), (Some(groups(2_000)), None));
        advance(ms(1)).await;
        assert_eq!(cache.get("a"), None);
        let began_at = Instant::now();
        advance(ms(1)).await;
        cache.insert("a", Instant::now(), groups(u64::MAX));
        cache.insert("a", began_at, groups(3_000));
        assert_eq!(cache.get("a"), Some(groups(u64::MAX)), "a count that began before and came later is older");
        advance(MAX_REUSE).await;
        assert_eq!(cache.get("a"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn queries_are_bounded() {
        let cache = GroupCache::default();
        for number in 0..3 * MAX_QUERIES {
            cache.insert(&number.to_string(), Instant::now(), groups(1_000));
        }
        assert_eq!(cache.0.lock().expect("no panic").len(), MAX_QUERIES);
        advance(MAX_REUSE).await;
        cache.insert("new", Instant::now(), groups(1_000));
        assert!(cache.get("new").is_some(), "old ones make room");
    }
}
