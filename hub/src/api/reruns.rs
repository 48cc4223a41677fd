//! Runs that repeat others, and the plans of runs.

use bue_model::RunId;
use bue_model::param::ParamView;
use bue_model::plan::Source;
use bue_model::rerun::{RunPlanView, RunStep};
use bue_model::wire::{FieldError, RunPipeline};
use http::StatusCode;

use crate::api::change::{Change, ChangeRequest, Record};
use crate::api::hub::Hub;
use crate::api::pipelines::{idempotency_key, json_text, refused};
use crate::auth::access::Principal;
use crate::auth::role::Permission;
use crate::error::HubError;
use crate::http::reply::ErrorReply;
use crate::http::request::{parse_parameter, query_parameter};
use crate::reruns::StoredPlan;
use crate::reruns::request::RerunRequest;

/// Starts a run that repeats another one. 201 with its address; with `wait_ms`, once it has ended or that time has passed.
pub(crate) async fn rerun(request: ChangeRequest) -> Result<Change, ErrorReply> {
    let ChangeRequest { hub, head, body, parameter, principal } = request;
    let original = parse_parameter::<RunId>(&parameter, "run id")?;
    let wait_ms = query_parameter(head.uri.query(), "wait_ms")?.unwrap_or(0);
    let mut request = RerunRequest::from_json(&json_text(&head, body).await?).map_err(problem)?;
    if let Some(key) = idempotency_key(&head.headers)? {
        request.set_key(key).map_err(problem)?;
    }
    if request.replaces_code()
        && let Some(principal) = &principal
    {
        // new code is a submission
        principal.expect_permission(Permission::Submit)?;
    }
    let rerun = request.rerun(original).map_err(problem)?;
    let run = rerun.run;
    hub.store.rerun(hub.now(), rerun).await.map_err(|error| refused(error, |_| "params.".to_owned()))?;
    Ok(Change::started(hub, Record::new("run.rerun", original.to_string()), run, wait_ms))
}

fn problem(problem: FieldError) -> ErrorReply {
    let message = format!("the rerun is invalid: `{}`: {}", problem.field, problem.message);
    let hint = "docs/rerun.md describes the fields";
    ErrorReply::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_rerun", message, hint).with_fields(vec![problem])
}

/// Returns the plan of a run with its nodes.
pub(crate) async fn stored_plan(hub: &Hub, run: RunId) -> Result<StoredPlan, ErrorReply> {
    Ok(hub.store.stored_plan(run).await?.ok_or(HubError::RunNotFound(run))?)
}

/// Returns the plan of a run, without its nodes and without inline code. Who may read only runs of pipelines does not see steps: the
/// hash of a blob is enough to read it.
pub(crate) async fn run_plan(hub: &Hub, principal: Option<&Principal>, run: RunId) -> Result<RunPlanView, ErrorReply> {
    let stored = stored_plan(hub, run).await?;
    let StoredPlan { name, plan, code, pipeline, rerun } = stored;
    let params = plan.params.iter().map(ParamView::from).collect();
    let steps = plan.steps.into_iter().zip(code).map(|(mut step, code)| {
        if let Source::Inline { text, .. } = &mut step.source {
            text.clear();
        }
        RunStep { step, code }
    });
    let hides_steps = principal.is_some_and(Principal::reads_only_invoked);
    Ok(RunPlanView {
        run,
        name,
        pipeline: pipeline.map(|(name, version)| RunPipeline { name, version }),
        rerun_of: rerun.map(|(original, _)| original),
        params,
        steps: if hides_steps { Vec::new() } else { steps.collect() },
    })
}
