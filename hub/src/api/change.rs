//! Requests that change something: first the change, then its entry in the audit, then the answer.

use std::future::ready;

use bue_model::RunId;
use bue_model::pipeline::Invoked;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::api::hub::Hub;
use crate::api::long_poll::wait_for_end;
use crate::auth::access::Principal;
use crate::error::HubError;
use crate::http::reply::{self, Body, ErrorReply};
use crate::http::request::RequestBody;
use crate::records::audit::AuditEntry;

/// The actor of requests to a hub that has no tokens.
const ANONYMOUS: &str = "anonymous";

/// A request that is to change something. Owned, so that the change goes on without the connection.
pub(crate) struct ChangeRequest {
    pub(crate) hub: Hub,
    pub(crate) head: Parts,
    pub(crate) body: RequestBody,
    /// The value of the path's parameter; empty where the path has none.
    pub(crate) parameter: String,
    pub(crate) principal: Option<Principal>,
}

/// A change that was made, and how the request is answered.
pub(crate) struct Change {
    /// `None` if nothing was changed.
    record: Option<Record>,
    answer: BoxFuture<'static, Reply>,
}

/// The reply to a request; an error if a change ended half way.
type Reply = Result<Response<Body>, ErrorReply>;

/// What the audit says of a change, apart from who made it.
pub(crate) struct Record {
    action: &'static str,
    target: String,
    run: Option<RunId>,
    detail: Value,
}

impl Record {
    /// The record of a change of something that has this name.
    pub(super) fn new(action: &'static str, target: impl Into<String>) -> Self {
        Self { action, target: target.into(), run: None, detail: json!({}) }
    }

    /// Names the run.
    pub(super) fn of_run(self, run: RunId) -> Self {
        Self { run: Some(run), ..self }
    }

    /// Adds more about the change: an object.
    pub(super) fn with_detail(self, detail: Value) -> Self {
        Self { detail, ..self }
    }

    fn entry(self, principal: Option<&Principal>) -> AuditEntry {
        let Self { action, target, run, detail } = self;
        let actor = principal.map_or_else(|| ANONYMOUS.to_owned(), |principal| principal.token_name.clone());
        let role = principal.map(|principal| principal.role().name().to_owned());
        AuditEntry { actor, role, action: action.to_owned(), target, run, detail }
    }
}

impl Change {
    /// A change that is answered with JSON.
    pub(super) fn json<T: serde::Serialize>(record: Record, value: &T) -> Self {
        Self::ready(Some(record), reply::json(value))
    }

    /// A change, unless there is no record, that is answered with this reply.
    pub(super) fn ready(record: Option<Record>, reply: Reply) -> Self {
        Self { record, answer: Box::pin(ready(reply)) }
    }

    /// A change that is answered later.
    pub(super) fn later(record: Record, answer: impl Future<Output = Reply> + Send + 'static) -> Self {
        Self { record: Some(record), answer: Box::pin(answer) }
    }

    /// A run that was started. 201 with its address; with `wait_ms`, once it has ended or that time has passed.
    pub(super) fn started(hub: Hub, record: Record, run: RunId, wait_ms: u64) -> Self {
        Self::later(record.of_run(run), async move {
            let state = wait_for_end(&hub, run, wait_ms).await?;
            created(run, &Invoked { run, state })
        })
    }
}

/// Makes a change, records it, and then answers. A client that goes away does not separate the change from its entry, because both
/// are made by a task of their own.
pub(crate) async fn audited<Fut>(request: ChangeRequest, change: impl FnOnce(ChangeRequest) -> Fut) -> Reply
where
    Fut: Future<Output = Result<Change, ErrorReply>> + Send + 'static,
{
    let (hub, principal) = (request.hub.clone(), request.principal.clone());
    let changing = change(request);
    let recording = async move {
        let Change { record, answer } = changing.await?;
        if let Some(record) = record {
            hub.store.record_audit(hub.now(), record.entry(principal.as_ref())).await?;
        }
        Ok::<_, ErrorReply>(answer)
    };
    let recorded = tokio::spawn(recording).await;
    let answer = recorded.map_err(|error| HubError::damaged(format!("a change was not recorded: {error}")))??;
    // a client that goes away ends this wait
    answer.await
}

fn created(run: RunId, invoked: &Invoked) -> Reply {
    let mut response = reply::json(invoked)?;
    *response.status_mut() = StatusCode::CREATED;
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/runs/{run}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}
