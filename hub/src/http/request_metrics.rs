//! [`Front`]: what both servers keep of every request: numbers for those who watch, and a line in the log for those that were
//! refused.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Method, Response, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use crate::auth::access::Visitor;
use crate::http::log_limit::Seldom;
use crate::http::reply::{Body, Refusal, typed};
use crate::http::server::Peer;

/// Seconds until an answer begins: a millisecond is a question to memory, a second a busy disk, a minute a long poll.
const SECONDS: [f64; 11] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];
/// Letters of a path in the log.
const MAX_PATH: usize = 200;
/// What stands for routes and methods that there are not: strangers make up as many as they like.
const OTHER: &str = "other";

/// What every request is counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    method: &'static str,
    route: &'static str,
    status: u16,
}

/// A server's numbers. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    registry: Arc<Registry>,
    answers: Family<AnswerLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    refusals: Arc<Seldom>,
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    head: &'a Parts,
    began: Instant,
    /// As the table has it, once it was found there.
    pub(crate) route: Option<&'static str>,
    /// Who sends it, once it is known; nobody where everybody may come in.
    pub(crate) visitor: Option<Visitor>,
}

impl<'a> Visit<'a> {
    pub(crate) fn new(head: &'a Parts) -> Self {
        Self { head, began: Instant::now(), route: None, visitor: None }
    }

    /// Name of the token.
    fn who(&self) -> Option<&str> {
        self.visitor.as_ref().map(|visitor| visitor.name.as_str())
    }

    fn labels(&self) -> RouteLabels {
        RouteLabels { method: method(&self.head.method), route: self.route.unwrap_or(OTHER) }
    }
}

impl Front {
    /// With the numbers of a server that are in `registry` already.
    pub(crate) fn new(server: &'static str, mut registry: Registry) -> Self {
        let (answers, seconds) = (Family::default(), Family::new_with_constructor(histogram as fn() -> Histogram));
        registry.register("bue_requests", "Requests answered", answers.clone());
        registry.register("bue_request_seconds", "Time until an answer began, waiting included", seconds.clone());
        let build = Family::<[(&'static str, &'static str); 2], prometheus_client::metrics::gauge::Gauge>::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION")), ("server", server)]).set(1);
        registry.register("bue_build_info", "The release that runs here", build);
        Self { registry: Arc::new(registry), answers, seconds, refusals: Arc::default() }
    }

    /// The answer to a request, counted, and said where it is a refusal.
    pub(crate) fn close(&self, visit: &Visit<'_>, answer: Result<Response<Body>, Refusal>) -> Response<Body> {
        let took = visit.began.elapsed();
        let refusal = answer.as_ref().err().map(Refusal::told);
        let response = answer.unwrap_or_else(Refusal::into_response);
        let RouteLabels { method, route } = visit.labels();
        self.answers.get_or_create(&AnswerLabels { method, route, status: response.status().as_u16() }).inc();
        self.seconds.get_or_create(&visit.labels()).observe(took.as_secs_f64());
        match refusal {
            Some((code, message)) => self.note(visit, response.status(), code, &message),
            None => tracing::debug!(
                peer = %peer_of(visit.head), who = visit.who(), method, path = path_of(visit.head),
                status = response.status().as_u16(), took_ms = ms(took), "answered"
            ),
        }
        response
    }

    /// What is asked for and not there is no event; what goes wrong here is one, and what somebody tries who may not.
    fn note(&self, visit: &Visit<'_>, status: StatusCode, code: &str, message: &str) {
        let (peer, path, method) = (peer_of(visit.head), path_of(visit.head), &visit.head.method);
        let (who, took_ms, status_code) = (visit.who(), ms(visit.began.elapsed()), status.as_u16());
        if matches!(status, StatusCode::NOT_FOUND | StatusCode::CONFLICT) {
            return tracing::debug!(%peer, who, %method, path, status = status_code, code, took_ms, "refused: {message}");
        }
        let Some(unsaid) = self.refusals.may_say() else { return };
        match status.is_server_error() {
            true => {
                tracing::error!(%peer, who, %method, path, status = status_code, code, took_ms, unsaid, "failed: {message}");
            }
            false => {
                tracing::warn!(%peer, who, %method, path, status = status_code, code, took_ms, unsaid, "refused: {message}");
            }
        }
    }

    /// All numbers, as Prometheus reads them.
    pub(crate) fn metrics(&self) -> Result<Response<Body>, Refusal> {
        let mut text = String::new();
        let unwritable =
            |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "cannot write the metrics", "");
        prometheus_client::encoding::text::encode(&mut text, &self.registry).map_err(unwritable)?;
        Ok(typed("application/openmetrics-text; version=1.0.0; charset=utf-8", text))
    }
}

/// A number in every format of the log.
fn ms(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

/// Without the query, and not as long as somebody likes.
fn path_of(head: &Parts) -> &str {
    let path = head.uri.path();
    path.char_indices().nth(MAX_PATH).and_then(|(end, _)| path.get(..end)).unwrap_or(path)
}

fn peer_of(head: &Parts) -> String {
    let peer = head.extensions.get::<Peer>().and_then(|peer| peer.0);
    peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string())
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => OTHER,
    }
}
