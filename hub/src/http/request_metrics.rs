//! [`RequestMetrics`]: counts and times every request, and logs those that were refused.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Method, Response, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use crate::auth::access::Principal;
use crate::error::HubError;
use crate::http::log_rate_limiter::LogRateLimiter;
use crate::http::reply::{Body, ErrorReply, typed};
use crate::http::server::Peer;

/// Histogram buckets for the time until a reply begins, in seconds. A read from memory takes a millisecond, a busy disk a
/// second, a long poll a minute.
const SECONDS: [f64; 11] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];
/// Characters of a path in the log.
const MAX_PATH: usize = 200;
/// The label of unknown routes and methods: clients could invent any number of them.
const OTHER: &str = "other";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    method: &'static str,
    route: &'static str,
    status: u16,
}

/// A server's metrics. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct RequestMetrics {
    registry: Arc<Registry>,
    requests: Family<StatusLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    log_limiter: Arc<LogRateLimiter>,
}

/// What is known about a request in progress.
#[derive(Debug)]
pub(crate) struct RequestContext<'a> {
    head: &'a Parts,
    started_at: Instant,
    /// The pattern of its route; `None` until the route is known.
    pub(crate) route: Option<&'static str>,
    /// Who sends it; `None` until it is authenticated, and where no token is needed.
    pub(crate) principal: Option<Principal>,
    /// Whose session the request's cookie is of; taken by the route's check.
    pub(crate) session: Option<Principal>,
}

impl<'a> RequestContext<'a> {
    pub(crate) fn new(head: &'a Parts) -> Self {
        Self { head, started_at: Instant::now(), route: None, principal: None, session: None }
    }

    fn token_name(&self) -> Option<&str> {
        self.principal.as_ref().map(|principal| principal.token_name.as_str())
    }

    fn labels(&self) -> RouteLabels {
        RouteLabels { method: method_label(&self.head.method), route: self.route.unwrap_or(OTHER) }
    }

    /// The client's address, for the log.
    fn peer(&self) -> String {
        let peer = self.head.extensions.get::<Peer>().and_then(|peer| peer.0);
        peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string())
    }

    /// The path for the log: without the query, and truncated.
    fn path(&self) -> &str {
        let path = self.head.uri.path();
        path.char_indices().nth(MAX_PATH).and_then(|(end, _)| path.get(..end)).unwrap_or(path)
    }
}

impl RequestMetrics {
    /// Adds a server's request metrics to those that `registry` already has.
    pub(crate) fn new(server: &'static str, mut registry: Registry) -> Self {
        let (requests, seconds) = (Family::default(), Family::new_with_constructor(histogram as fn() -> Histogram));
        registry.register("bue_requests", "Requests answered", requests.clone());
        registry.register("bue_request_seconds", "Time until the reply began, including long polls", seconds.clone());
        let build = Family::<[(&'static str, &'static str); 2], Gauge>::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION")), ("server", server)]).set(1);
        registry.register("bue_build_info", "The release that runs here", build);
        Self { registry: Arc::new(registry), requests, seconds, log_limiter: Arc::default() }
    }

    /// Turns a request's result into its response; counts and logs it.
    pub(crate) fn finish(
        &self,
        context: &RequestContext<'_>,
        result: Result<Response<Body>, ErrorReply>,
    ) -> Response<Body> {
        self.finish_with(context, result, ErrorReply::into_response)
    }

    /// The same, with another way to show an error.
    pub(crate) fn finish_with(
        &self,
        context: &RequestContext<'_>,
        result: Result<Response<Body>, ErrorReply>,
        show_error: impl FnOnce(ErrorReply) -> Response<Body>,
    ) -> Response<Body> {
        let elapsed = context.started_at.elapsed();
        match &result {
            Err(error) => self.log_error(context, error, elapsed),
            Ok(response) => tracing::debug!(
                peer = %context.peer(), principal = context.token_name(), method = %context.head.method,
                path = context.path(), status = response.status().as_u16(), took_ms = ms(elapsed), "answered"
            ),
        }
        let response = result.unwrap_or_else(show_error);
        let RouteLabels { method, route } = context.labels();
        self.requests.get_or_create(&StatusLabels { method, route, status: response.status().as_u16() }).inc();
        self.seconds.get_or_create(&context.labels()).observe(elapsed.as_secs_f64());
        response
    }

    /// Not found and conflict are part of normal operation. Failures of the server and attempts without permission are not.
    fn log_error(&self, context: &RequestContext<'_>, error: &ErrorReply, elapsed: Duration) {
        let (peer, path, method) = (context.peer(), context.path(), &context.head.method);
        let (principal, took_ms, status) = (context.token_name(), ms(elapsed), error.status().as_u16());
        let (code, message) = (error.code(), error.message());
        if matches!(error.status(), StatusCode::NOT_FOUND | StatusCode::CONFLICT) {
            return tracing::debug!(%peer, principal, %method, path, status, code, took_ms, "refused: {message}");
        }
        let Some(suppressed) = self.log_limiter.try_acquire() else { return };
        match error.status().is_server_error() {
            true => {
                tracing::error!(%peer, principal, %method, path, status, code, took_ms, suppressed, "failed: {message}");
            }
            false => {
                tracing::warn!(%peer, principal, %method, path, status, code, took_ms, suppressed, "refused: {message}");
            }
        }
    }

    /// All metrics in the OpenMetrics text format.
    pub(crate) fn text(&self) -> Result<String, HubError> {
        let mut text = String::new();
        let encoded = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        encoded.map_err(|_| HubError::damaged("the metrics cannot be encoded"))?;
        Ok(text)
    }

    /// The same as the answer to a request.
    pub(crate) fn reply(&self) -> Result<Response<Body>, ErrorReply> {
        Ok(typed("application/openmetrics-text; version=1.0.0; charset=utf-8", self.text()?))
    }
}

/// Milliseconds as a number that every format of the log can hold.
fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => OTHER,
    }
}
