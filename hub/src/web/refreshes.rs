//! [`Refreshes`]: one answer for everyone who has the same page open.
//!
//! A page refreshes itself when a run changes. If hundreds of people look at a busy hub, each change makes all their pages ask at once.
//! They then wait for one rendering, which begins after all of them have asked, so that none gets an older state than it asked for.
//! A page that a person opens is always rendered at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::response::Parts;
use http_body_util::{BodyExt, Collected};
use tokio::time::{Instant, sleep_until};

use crate::auth::access::Principal;
use crate::auth::role::{Permission, Role};
use crate::http::reply::{Body, ErrorReply, full};
use crate::web::compression::accepts_gzip;
use crate::web::visit::Visit;

/// The least time between two renderings of a page. A page asks once per second at most, so that this delays few answers.
const INTERVAL: Duration = Duration::from_millis(500);
/// Pages whose answers are shared at a time.
const MAX_PAGES: usize = 64;

/// What the answer depends on. A refresh has no frame, so that it does not depend on the visitor's name and colours.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RefreshKey {
    address: String,
    role: Option<Role>,
    is_compressed: bool,
}

impl RefreshKey {
    /// `None` for a request that is no refresh, and for visitors who may see only some runs.
    pub(super) fn of(visit: &Visit) -> Option<Self> {
        let is_shared = visit.is_refresh && visit.may(Permission::Read);
        is_shared.then(|| Self {
            address: visit.address(),
            role: visit.principal.as_ref().map(Principal::role),
            is_compressed: accepts_gzip(&visit.head.headers),
        })
    }
}

/// The latest answer of each page that is refreshed.
#[derive(Debug, Default)]
pub(super) struct Refreshes(Mutex<HashMap<RefreshKey, Arc<Slot>>>);

/// Locked while the page is rendered, so that all others wait for that.
type Slot = tokio::sync::Mutex<Option<Answer>>;

#[derive(Debug)]
struct Answer {
    began_at: Instant,
    head: Parts,
    body: Bytes,
}

impl Answer {
    fn response(&self) -> Response<Body> {
        Response::from_parts(self.head.clone(), full(self.body.clone()))
    }
}

impl Refreshes {
    /// Returns an answer whose rendering begins after this call. An error is not shared.
    pub(super) async fn answer(
        &self,
        key: RefreshKey,
        render: impl Future<Output = Result<Response<Body>, ErrorReply>>,
    ) -> Result<Response<Body>, ErrorReply> {
        let asked_at = Instant::now();
        let Some(slot) = self.slot(key) else { return render.await };
        let mut latest = slot.lock().await;
        if let Some(answer) = &*latest {
            if answer.began_at > asked_at {
                return Ok(answer.response());
            }
            sleep_until(answer.began_at + INTERVAL).await;
        }
        let began_at = Instant::now();
        let (head, body) = render.await?.into_parts();
        let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
        Ok(latest.insert(Answer { began_at, head, body }).response())
    }

    /// The slot of a page. `None` if too many pages are being refreshed.
    fn slot(&self, key: RefreshKey) -> Option<Arc<Slot>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_PAGES && !slots.contains_key(&key) {
            // those that nobody waits for
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        let is_full = slots.len() >= MAX_PAGES && !slots.contains_key(&key);
        (!is_full).then(|| Arc::clone(slots.entry(key).or_default()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use http::StatusCode;

    use super::*;
    use crate::http::reply::typed;

    fn key(address: &str) -> RefreshKey {
        RefreshKey { address: address.to_owned(), role: None, is_compressed: false }
    }

    async fn text(response: Result<Response<Body>, ErrorReply>) -> String {
        let bytes = response.expect("an answer").into_body().collect().await.expect("a body").to_bytes();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_at_the_same_time_share_an_answer_that_is_not_older() {
        let (refreshes, rendered) = (Refreshes::default(), AtomicUsize::new(0));
        let ask = async || {
            let answer = refreshes.answer(key("/"), async {
                let number = rendered.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(10)).await;
                Ok(typed("text/html", number.to_string()))
            });
            text(answer.await).await
        };
        assert_eq!(ask().await, "0");
        let began_at = Instant::now();
        assert_eq!(join_all((0..100).map(|_| ask())).await, vec!["1"; 100]);
        assert!(began_at.elapsed() >= INTERVAL - Duration::from_millis(10), "it waits for its turn");
        // who asks during a rendering gets the next one
        let late = async {
            tokio::time::sleep(INTERVAL + Duration::from_millis(5)).await;
            ask().await
        };
        assert_eq!(tokio::join!(ask(), late), ("2".to_owned(), "3".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_not_shared_and_pages_are_bounded() {
        let refreshes = Refreshes::default();
        let refused = refreshes.answer(key("/"), async { Err(ErrorReply::bad_request("no", "")) }).await;
        assert_eq!(refused.expect_err("an error").status(), StatusCode::BAD_REQUEST);
        for number in 0..3 * MAX_PAGES {
            let path = format!("/runs?n={number}");
            let answer = refreshes.answer(key(&path), async { Ok(typed("text/html", path.clone())) }).await;
            assert_eq!(text(answer).await, path);
        }
        assert!(refreshes.0.lock().expect("no panic").len() <= MAX_PAGES);
        // all are in use: the page is rendered for each who asks
        let keys = (0..MAX_PAGES).map(|number| key(&number.to_string()));
        refreshes.0.lock().expect("no panic").clear();
        let held: Vec<_> = keys.filter_map(|key| refreshes.slot(key)).collect();
        assert_eq!((held.len(), refreshes.slot(key("/other")).is_none()), (MAX_PAGES, true));
        let answer = refreshes.answer(key("/other"), async { Ok(typed("text/html", "alone")) }).await;
        assert_eq!(text(answer).await, "alone");
    }
}
