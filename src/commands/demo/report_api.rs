//! The report API of `bue demo`, which behaves like such services do: pages are slow, reports take time and are sometimes lost,
//! requests are limited, and now and then the server fails. What happens to an account depends only on its number.
//!
//! ```text
//! GET  /accounts?page=1       50 accounts, and whether there are more
//! POST /accounts/ID/reports   202 and the report's number, or 429 with Retry-After
//! GET  /reports/NUMBER        running or ready; 410 if the report was lost
//! GET  /reports/NUMBER/rows   the rows; for some reports 500 on the first request
//! ```

use core::convert::Infallible;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// The number of accounts.
pub(super) const ACCOUNTS: u64 = 300;
const ACCOUNTS_PER_PAGE: u64 = 50;
/// Time until a page of accounts is answered.
const PAGE_DELAY: Duration = Duration::from_millis(200);
/// The value of Retry-After, in seconds.
const RETRY_AFTER_S: u64 = 1;

type Reply = Response<Full<Bytes>>;

#[derive(Debug, Default)]
struct Api {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The number of report requests of each account.
    requests: HashMap<u64, u64>,
    reports: HashMap<u64, Report>,
    /// The number of requests for the rows of each report.
    downloads: HashMap<u64, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Report {
    account: u64,
    ready_at: Instant,
}

/// Serves the API until the task is dropped.
pub(super) async fn serve(listener: TcpListener) {
    let api = Arc::new(Api::default());
    while let Ok((stream, _)) = listener.accept().await {
        let api = Arc::clone(&api);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&api), request));
            // a client that disconnects is not an error
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Returns the time until the reports of all accounts are ready for an ideal client: no client can be faster.
pub(super) fn minimum_time() -> Duration {
    (0..ACCOUNTS).map(|account| listed_at(account) + processing_time(account)).max().unwrap_or_default()
}

/// Returns the time until the page of an account is answered, if pages are requested one after the other.
fn listed_at(account: u64) -> Duration {
    PAGE_DELAY * u32::try_from(account / ACCOUNTS_PER_PAGE + 1).unwrap_or(u32::MAX)
}

fn processing_time(account: u64) -> Duration {
    let reports = if is_lost(account) { 2 } else { 1 };
    report_time(account) * reports + Duration::from_secs(if is_limited(account) { RETRY_AFTER_S } else { 0 })
}

const fn report_time(account: u64) -> Duration {
    Duration::from_millis(1000 + account * 37 % 1000)
}

const fn is_limited(account: u64) -> bool {
    account % 10 == 3
}

const fn is_lost(account: u64) -> bool {
    account % 8 == 5
}

const fn has_error(account: u64) -> bool {
    account % 13 == 7
}

async fn answer(api: Arc<Api>, request: Request<hyper::body::Incoming>) -> Result<Reply, Infallible> {
    let path = request.uri().path().trim_matches('/').to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    Ok(match (request.method(), &parts[..]) {
        (&Method::GET, ["accounts"]) => accounts(request.uri().query().unwrap_or_default()).await,
        (&Method::POST, ["accounts", id, "reports"]) => api.request(number(id)),
        (&Method::GET, ["reports", report]) => api.report_state(number(report)),
        (&Method::GET, ["reports", report, "rows"]) => api.rows(number(report)),
        _ => reply(404, &json!({"error": "not found"})),
    })
}

async fn accounts(query: &str) -> Reply {
    tokio::time::sleep(PAGE_DELAY).await;
    let page = query.strip_prefix("page=").and_then(|page| page.parse::<u64>().ok()).unwrap_or(1).clamp(1, ACCOUNTS);
    let first = (page - 1) * ACCOUNTS_PER_PAGE;
    let last = (first + ACCOUNTS_PER_PAGE).min(ACCOUNTS);
    let list: Vec<Value> = (first..last).map(|id| json!({"id": id, "name": format!("Account {}", id + 1)})).collect();
    reply(200, &json!({"accounts": list, "more": last < ACCOUNTS}))
}

impl Api {
    fn with_state<R>(&self, action: impl FnOnce(&mut State) -> R) -> R {
        action(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn request(&self, account: u64) -> Reply {
        if account >= ACCOUNTS {
            return reply(404, &json!({"error": "no such account"}));
        }
        self.with_state(|state| {
            let requests = state.requests.entry(account).or_default();
            *requests += 1;
            if *requests == 1 && is_limited(account) {
                return too_many();
            }
            let is_first = *requests == 1 + u64::from(is_limited(account));
            // a report that will be lost has a number above those of accounts
            let report = account + if is_first && is_lost(account) { ACCOUNTS } else { 0 };
            state.reports.insert(report, Report { account, ready_at: Instant::now() + report_time(account) });
            reply(202, &json!({"report": report}))
        })
    }

    fn report_state(&self, number: u64) -> Reply {
        self.with_state(|state| match state.reports.get(&number) {
            None => reply(404, &json!({"error": "no such report"})),
            Some(report) if Instant::now() < report.ready_at => reply(200, &json!({"state": "running"})),
            Some(_) if number >= ACCOUNTS => reply(410, &json!({"error": "the report was lost; request it again"})),
            Some(_) => reply(200, &json!({"state": "ready"})),
        })
    }

    fn rows(&self, number: u64) -> Reply {
        self.with_state(|state| match state.reports.get(&number) {
            Some(Report { account, ready_at }) if Instant::now() >= *ready_at && number < ACCOUNTS => {
                let downloads = state.downloads.entry(number).or_default();
                *downloads += 1;
                match *downloads == 1 && has_error(*account) {
                    true => reply(500, &json!({"error": "something went wrong"})),
                    false => reply(200, &json!({"rows": rows(*account)})),
                }
            }
            _ => reply(404, &json!({"error": "no such report, or it is not ready"})),
        })
    }
}

fn rows(account: u64) -> Vec<Value> {
    let row = |day: u64| {
        let seed = account * 7919 + day * 104_729;
        let (sales, spend, clicks) = (seed % 500, 1 + seed / 7 % 100, 5 + seed / 11 % 900);
        json!({"account": format!("Account {}", account + 1), "day": day, "sales": sales, "spend": spend, "clicks": clicks})
    };
    (1..=25 + account % 60).map(row).collect()
}

fn too_many() -> Reply {
    let mut reply = reply(429, &json!({"error": "too many requests"}));
    reply.headers_mut().insert("retry-after", RETRY_AFTER_S.into());
    reply
}

fn reply(status: u16, content: &Value) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(content.to_string())));
    *reply.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    reply.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    reply
}
