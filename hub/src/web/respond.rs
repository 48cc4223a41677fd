//! [`Dashboard`]: answers browsers. Finds the route of a request, calls its page or action, and shows errors as pages.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use hyper::body::Incoming;

use crate::api::hub::Hub;
use crate::api::sessions::session_of;
use crate::auth::browser::is_followed_link;
use crate::http::reply::{Body, ErrorReply};
use crate::http::request::accepts;
use crate::http::request_metrics::RequestContext;
use crate::http::routes::{RouteMatch, has_path, match_route};
use crate::web::actions::{Action, act};
use crate::web::assets::asset;
use crate::web::compression::compressed;
use crate::web::layout::Page;
use crate::web::links::{see_other, with_query};
use crate::web::login::{log_in, log_out, login_form};
use crate::web::login_limiter::LoginLimiter;
use crate::web::pages;
use crate::web::refreshes::{RefreshKey, Refreshes};
use crate::web::routes::{PAGES, PageOperation};
use crate::web::theme::set_theme;
use crate::web::visit::Visit;

/// What a page may load and do: nothing but our own style sheet, module, images and addresses.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Paths that are never pages, whatever a browser accepts.
const API_PATHS: [&str; 5] = ["/v1", "/metrics", "/openapi.json", "/healthz", "/readyz"];

/// The dashboard of a hub. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Dashboard {
    hub: Hub,
    limiter: Arc<LoginLimiter>,
    refreshes: Arc<Refreshes>,
}

impl Dashboard {
    pub(crate) fn new(hub: Hub) -> Self {
        Self { hub, limiter: Arc::default(), refreshes: Arc::default() }
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Whether a request is for a page. An address that nobody knows is one if a browser asks for it.
    pub(crate) fn answers(&self, head: &Parts) -> bool {
        let path = head.uri.path();
        let is_api = API_PATHS
            .iter()
            .any(|api| path.strip_prefix(api).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':'])));
        self.hub.has_dashboard && !is_api && (has_path(PAGES, path) || accepts(&head.headers, "text/html"))
    }

    /// Answers a request.
    pub(crate) async fn respond(&self, head: &Parts, body: Incoming) -> Response<Body> {
        let mut context = RequestContext::new(head);
        let result = self.dispatch(head, body, &mut context).await;
        let visit = Visit::new(&self.hub, head, context.principal.clone());
        let show = |error: ErrorReply| show_error(&visit, &error);
        with_headers(self.hub.request_metrics.finish_with(&context, result, show))
    }

    async fn dispatch(
        &self,
        head: &Parts,
        body: Incoming,
        context: &mut RequestContext<'_>,
    ) -> Result<Response<Body>, ErrorReply> {
        // the page that follows loads itself once more, as a page of this site
        if head.method == Method::GET && head.uri.path() != "/login" && is_followed_link(&head.headers) {
            return Ok(Page::bounce().into_response(&Visit::new(&self.hub, head, None)));
        }
        context.session = session_of(&self.hub, &head.headers).await?;
        let session = context.session.clone();
        let route = match_route(PAGES, &self.hub.access, head, context)?;
        // public pages, such as that of the login, know the visitor, too
        let principal = context.principal.clone().or(session);
        let mut visit = Visit::new(&self.hub, head, principal);
        let Some(key) = RefreshKey::of(&visit).filter(|_| route.operation.is_live()) else {
            return self.call(&route, &visit, body).await;
        };
        let render = async {
            // it may have waited for its turn
            visit.now = self.hub.now();
            self.call(&route, &visit, body).await
        };
        self.refreshes.answer(key, render).await
    }

    async fn call(
        &self,
        route: &RouteMatch<'_, PageOperation>,
        visit: &Visit,
        body: Incoming,
    ) -> Result<Response<Body>, ErrorReply> {
        use PageOperation as Op;
        let (id, other) = (route.parameter(), route.second_parameter());
        let page = match route.operation {
            Op::Overview => pages::overview::page(visit).await?,
            Op::Activity => pages::activity::page(visit).await?,
            Op::Runs => pages::runs::page(visit).await?,
            Op::NewRun => pages::new_run::page(visit).await?,
            Op::Run => pages::run::page(visit, id).await?,
            Op::RerunForm => pages::rerun::page(visit, id).await?,
            Op::Diff => pages::diff::page(visit, id, other).await?,
            Op::Job => pages::job::page(visit, id).await?,
            Op::Errors => pages::errors::page(visit).await?,
            Op::ConfirmErrorReset => pages::errors_reset::page(visit).await?,
            Op::Pipelines => pages::pipelines::page(visit).await?,
            Op::Pipeline => pages::pipeline::page(visit, id).await?,
            Op::Schedules => pages::schedules::page(visit).await?,
            Op::Schedule => pages::schedule::page(visit, id).await?,
            Op::Workers => pages::workers::page(visit).await?,
            Op::Settings => pages::settings::page(visit).await?,
            Op::LoginForm => return login_form(visit, &self.limiter).await,
            Op::Login => return log_in(visit, &self.limiter, body).await,
            Op::Logout => return log_out(visit).await,
            Op::SetTheme => return set_theme(&visit.head.headers, body).await,
            Op::Asset => return asset(id, &visit.head.headers),
            Op::RunResultsJson => return pages::downloads::results_json(visit, id).await,
            Op::RunResultsCsv => return pages::downloads::results_csv(visit, id).await,
            Op::JobResultJson => return pages::downloads::job_result(visit, id).await,
            Op::JobInputsJson => return pages::downloads::job_inputs(visit, id).await,
            Op::StartRun => return act(visit, Action::StartRun, "", body).await,
            Op::ChangeRuns => return act(visit, Action::ChangeRuns, "", body).await,
            Op::CancelRun => return act(visit, Action::CancelRun, id, body).await,
            Op::ResetRun => return act(visit, Action::ResetRun, id, body).await,
            Op::DeleteRun => return act(visit, Action::DeleteRun, id, body).await,
            Op::RerunRun => return act(visit, Action::RerunRun, id, body).await,
            Op::CancelJob => return act(visit, Action::CancelJob, id, body).await,
            Op::ResetJob => return act(visit, Action::ResetJob, id, body).await,
            Op::ResetErrors => return act(visit, Action::ResetErrors, "", body).await,
            Op::PauseSchedule => return act(visit, Action::PauseSchedule, id, body).await,
            Op::ResumeSchedule => return act(visit, Action::ResumeSchedule, id, body).await,
            Op::RemoveSchedule => return act(visit, Action::RemoveSchedule, id, body).await,
            Op::RunSchedule => return act(visit, Action::RunSchedule, id, body).await,
            Op::BackfillSchedule => return act(visit, Action::BackfillSchedule, id, body).await,
            Op::StopBackfill => return act(visit, Action::StopBackfill, id, body).await,
        };
        let response = page.into_response(visit);
        Ok(compressed(response, &visit.head.headers).await)
    }
}

/// Shows an error as a page. A visitor without a session is sent to the login.
fn show_error(visit: &Visit, error: &ErrorReply) -> Response<Body> {
    if error.status() == StatusCode::UNAUTHORIZED && visit.head.method == Method::GET {
        return see_other(&with_query("/login", [("next", visit.address().as_str())]), StatusCode::SEE_OTHER);
    }
    let mut response = pages::error::page(visit, error).into_response(visit);
    if let Some(methods) = error.allow_header() {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}

/// Adds the headers that every reply to a browser has.
fn with_headers(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &str); 6] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
