//! The audit, the history, and the changes of the tokens file, which the hub records itself.

use std::time::Duration;

use bue_model::audit::AuditPage;
use bue_model::history::HistoryView;
use bue_model::{RunId, Timestamp};
use http::StatusCode;
use serde_json::json;
use tokio::time::sleep;

use crate::api::filters::FilterReader;
use crate::api::hub::Hub;
use crate::api::parameters::Parameters;
use crate::auth::access::{TokenChange, TokenChangeKind};
use crate::error::HubError;
use crate::http::reply::ErrorReply;
use crate::records::audit::{AuditEntry, AuditQuery};

/// The actor of changes of the tokens file: no token has this name.
const TOKENS_FILE: &str = "tokens file";
/// Between two looks at the tokens file. Requests look at it too; what they find is recorded at the next look.
const TOKENS_INTERVAL: Duration = Duration::from_secs(1);
/// Milliseconds that the history shows if the request does not say from when on.
const DEFAULT_PERIOD_MS: i64 = 3_600_000;

/// Returns a page of the audit.
pub(crate) async fn list_audit(hub: &Hub, query: Option<&str>) -> Result<AuditPage, ErrorReply> {
    let mut reader = FilterReader::new(hub.now(), "");
    let mut parameters = Parameters::read(query, &mut reader)?;
    let run = parameters.take("run").and_then(|text| {
        let run = text.parse().ok();
        if run.is_none() {
            reader.refuse("run", "it is not the id of a run; send the whole id");
        }
        run
    });
    let query = AuditQuery {
        run,
        actor: reader.text("actor", parameters.take("actor")),
        action: reader.text("action", parameters.take("action")),
        since: reader.time("since", parameters.take("since").as_deref()),
        until: reader.time("until", parameters.take("until").as_deref()),
        ..page_of(&mut parameters, &mut reader)
    };
    reader.finish(StatusCode::BAD_REQUEST)?;
    page(hub, query).await
}

/// Returns a page of the audit of a run.
pub(crate) async fn run_audit(hub: &Hub, query: Option<&str>, run: RunId) -> Result<AuditPage, ErrorReply> {
    let mut reader = FilterReader::new(hub.now(), "");
    let mut parameters = Parameters::read(query, &mut reader)?;
    let query = AuditQuery { run: Some(run), ..page_of(&mut parameters, &mut reader) };
    reader.finish(StatusCode::BAD_REQUEST)?;
    hub.store.run(run).await?.ok_or(HubError::RunNotFound(run))?;
    page(hub, query).await
}

/// Reads which page is wanted.
fn page_of(parameters: &mut Parameters, reader: &mut FilterReader) -> AuditQuery {
    let after = reader.position("after", parameters.take("after").as_deref());
    let limit = reader.limit(parameters.take("limit").as_deref());
    AuditQuery { after, limit, ..AuditQuery::default() }
}

async fn page(hub: &Hub, query: AuditQuery) -> Result<AuditPage, ErrorReply> {
    let list = hub.store.audit_page(query).await?;
    Ok(AuditPage { entries: list.entries, next: list.next.map(|next| next.to_string()) })
}

/// Returns the samples of a period.
pub(crate) async fn history(hub: &Hub, query: Option<&str>) -> Result<HistoryView, ErrorReply> {
    let now = hub.now();
    let mut reader = FilterReader::new(now, "");
    let mut parameters = Parameters::read(query, &mut reader)?;
    let to = reader.time("to", parameters.take("to").as_deref()).unwrap_or(now);
    let from = reader.time("from", parameters.take("from").as_deref());
    let from = from.unwrap_or(Timestamp(to.0.saturating_sub(DEFAULT_PERIOD_MS)));
    if from > to {
        reader.refuse("from", "it is later than `to`");
    }
    reader.finish(StatusCode::BAD_REQUEST)?;
    Ok(hub.store.history(now, from..=to).await?)
}

/// Records changes of the tokens file until the hub shuts down.
pub(crate) async fn record_token_changes(hub: Hub) {
    let mut closing = hub.closing.subscribe();
    while !*closing.borrow() {
        if let Err(error) = record_noticed(&hub).await {
            tracing::warn!(%error, "failed to record a change of the tokens file, will try again");
        }
        tokio::select! {
            biased;
            _ = closing.changed() => {}
            () = sleep(TOKENS_INTERVAL) => {}
        }
    }
}

/// Records the changes that were noticed. One is forgotten only when its entry is durable.
async fn record_noticed(hub: &Hub) -> Result<(), HubError> {
    while let Some(TokenChange { kind, name, role }) = hub.access.next_token_change() {
        let action = match kind {
            TokenChangeKind::New => "token.new",
            TokenChangeKind::Deleted => "token.delete",
        };
        let entry = AuditEntry {
            actor: TOKENS_FILE.to_owned(),
            role: None,
            action: action.to_owned(),
            target: name,
            run: None,
            detail: json!({ "role": role.name() }),
        };
        hub.store.record_audit(hub.now(), entry).await?;
        hub.access.forget_token_change();
    }
    Ok(())
}
