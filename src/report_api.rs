//! The report API that `bue demo` speaks to, as such services are: its pages are slow, reports take their time and get
//! lost, and now and then it has had too many requests or an error of its own. What it does with an account depends on
//! the account alone.
//!
//! ```text
//! GET  /accounts?page=1       50 accounts, and whether there are more
//! POST /accounts/ID/reports   202 and the report's number, or 429 with Retry-After
//! GET  /reports/NUMBER        running or ready; 410 if it was lost
//! GET  /reports/NUMBER/rows   the rows, or 500 for the first who asks
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

/// Accounts there are.
pub(crate) const ACCOUNTS: u64 = 300;
const ACCOUNTS_A_PAGE: u64 = 50;
/// Time for a page of accounts.
const PAGE: Duration = Duration::from_millis(200);
/// What Retry-After says, in seconds.
const RETRY_AFTER: u64 = 1;

type Reply = Response<Full<Bytes>>;

/// What it remembers.
#[derive(Debug, Default)]
struct Api {
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// How often each account asked for a report.
    asked: HashMap<u64, u64>,
    /// Accounts of reports, and when they are ready.
    reports: HashMap<u64, (u64, Instant)>,
    /// How often the rows of each report were asked for.
    read: HashMap<u64, u64>,
}

/// Answers until the listener is dropped with the task.
pub(crate) async fn serve(listener: TcpListener) {
    let api = Arc::new(Api::default());
    while let Ok((stream, _)) = listener.accept().await {
        let api = Arc::clone(&api);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&api), request));
            // a client that goes away is nobody's loss
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The time until the slowest account is done if nobody loses any: what no client can be faster than.
pub(crate) fn own_time() -> Duration {
    (0..ACCOUNTS).map(|account| listed_at(account) + time_of(account)).max().unwrap_or_default()
}

/// When the page of an account is there.
fn listed_at(account: u64) -> Duration {
    PAGE * u32::try_from(account / ACCOUNTS_A_PAGE + 1).unwrap_or(u32::MAX)
}

fn time_of(account: u64) -> Duration {
    let reports = if is_lost(account) { 2 } else { 1 };
    report_time(account) * reports + Duration::from_secs(if is_limited(account) { RETRY_AFTER } else { 0 })
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
        (&Method::GET, ["reports", report]) => api.state(number(report)),
        (&Method::GET, ["reports", report, "rows"]) => api.rows(number(report)),
        _ => reply(404, &json!({"error": "no such thing"})),
    })
}

async fn accounts(query: &str) -> Reply {
    tokio::time::sleep(PAGE).await;
    let page = query.strip_prefix("page=").and_then(|page| page.parse::<u64>().ok()).unwrap_or(1).clamp(1, ACCOUNTS);
    let first = (page - 1) * ACCOUNTS_A_PAGE;
    let last = (first + ACCOUNTS_A_PAGE).min(ACCOUNTS);
    let list: Vec<Value> = (first..last).map(|id| json!({"id": id, "name": format!("Account {}", id + 1)})).collect();
    reply(200, &json!({"accounts": list, "more": last < ACCOUNTS}))
}

impl Api {
    fn with<R>(&self, work: impl FnOnce(&mut Memory) -> R) -> R {
        work(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn request(&self, account: u64) -> Reply {
        if account >= ACCOUNTS {
            return reply(404, &json!({"error": "no such account"}));
        }
        self.with(|memory| {
            let asked = memory.asked.entry(account).or_default();
            *asked += 1;
            if *asked == 1 && is_limited(account) {
                return too_many();
            }
            let first = *asked == 1 + u64::from(is_limited(account));
            // of a report that gets lost the number says so
            let report = account + if first && is_lost(account) { ACCOUNTS } else { 0 };
            memory.reports.insert(report, (account, Instant::now() + report_time(account)));
            reply(202, &json!({"report": report}))
        })
    }

    fn state(&self, report: u64) -> Reply {
        self.with(|memory| match memory.reports.get(&report) {
            None => reply(404, &json!({"error": "no such report"})),
            Some((_, ready)) if Instant::now() < *ready => reply(200, &json!({"state": "running"})),
            Some(_) if report >= ACCOUNTS => reply(410, &json!({"error": "the report was lost; ask for it again"})),
            Some(_) => reply(200, &json!({"state": "ready"})),
        })
    }

    fn rows(&self, report: u64) -> Reply {
        self.with(|memory| match memory.reports.get(&report) {
            Some((account, ready)) if Instant::now() >= *ready && report < ACCOUNTS => {
                let read = memory.read.entry(report).or_default();
                *read += 1;
                match *read == 1 && has_error(*account) {
                    true => reply(500, &json!({"error": "something went wrong"})),
                    false => reply(200, &json!({"rows": rows(*account)})),
                }
            }
            _ => reply(404, &json!({"error": "no such report, or not yet"})),
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
    reply.headers_mut().insert("retry-after", RETRY_AFTER.into());
    reply
}

fn reply(status: u16, content: &Value) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(content.to_string())));
    *reply.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    reply.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    reply
}
