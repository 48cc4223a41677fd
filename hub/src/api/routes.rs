//! The hub's routes: the operation and the permission of each.

use http::Method;

use crate::auth::role::Permission;
use crate::http::routes::{Route, RouteView, route, route_views};

/// What a request asks the hub to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    ListRuns,
    SubmitRun,
    GetRun,
    DeleteRun,
    ListJobs,
    GetResults,
    FollowRunLog,
    GetRunPlan,
    CancelRun,
    ResetRun,
    RerunRun,
    GetJob,
    ExplainJob,
    GetTask,
    GetLog,
    CancelJob,
    ResetJob,
    ListPipelines,
    Publish,
    GetPipeline,
    Unpublish,
    Invoke,
    InvokeBatch,
    ListSchedules,
    ApplySchedules,
    PutSchedule,
    GetSchedule,
    RemoveSchedule,
    PauseSchedule,
    ResumeSchedule,
    RunSchedule,
    Backfill,
    ListWorkers,
    Lease,
    Heartbeat,
    ReportOutcomes,
    ReceiveLogs,
    StreamEvents,
    GetInfo,
    GetMetrics,
    GetOpenApi,
    CheckHealth,
    CheckReady,
}

/// All routes of the hub.
pub(super) const ROUTES: &[Route<Operation>] = &[
    route(Method::GET, "/v1/runs", Permission::Read, Operation::ListRuns),
    route(Method::POST, "/v1/runs", Permission::Submit, Operation::SubmitRun),
    route(Method::GET, "/v1/runs/{id}", Permission::ReadInvoked, Operation::GetRun),
    route(Method::DELETE, "/v1/runs/{id}", Permission::Operate, Operation::DeleteRun),
    route(Method::GET, "/v1/runs/{id}/jobs", Permission::Read, Operation::ListJobs),
    route(Method::GET, "/v1/runs/{id}/results", Permission::ReadInvoked, Operation::GetResults),
    route(Method::GET, "/v1/runs/{id}/log", Permission::Read, Operation::FollowRunLog),
    route(Method::GET, "/v1/runs/{id}/plan", Permission::ReadInvoked, Operation::GetRunPlan),
    route(Method::POST, "/v1/runs/{id}/cancel", Permission::Operate, Operation::CancelRun),
    route(Method::POST, "/v1/runs/{id}/reset", Permission::Operate, Operation::ResetRun),
    route(Method::POST, "/v1/runs/{id}/rerun", Permission::Invoke, Operation::RerunRun),
    route(Method::GET, "/v1/jobs/{id}", Permission::Read, Operation::GetJob),
    route(Method::GET, "/v1/jobs/{id}/why", Permission::Read, Operation::ExplainJob),
    route(Method::GET, "/v1/jobs/{id}/task", Permission::Read, Operation::GetTask),
    route(Method::GET, "/v1/jobs/{id}/log", Permission::Read, Operation::GetLog),
    route(Method::POST, "/v1/jobs/{id}/cancel", Permission::Operate, Operation::CancelJob),
    route(Method::POST, "/v1/jobs/{id}/reset", Permission::Operate, Operation::ResetJob),
    route(Method::GET, "/v1/pipelines", Permission::Read, Operation::ListPipelines),
    route(Method::PUT, "/v1/pipelines/{name}", Permission::Submit, Operation::Publish),
    route(Method::GET, "/v1/pipelines/{name}", Permission::ReadInvoked, Operation::GetPipeline),
    route(Method::DELETE, "/v1/pipelines/{name}", Permission::Operate, Operation::Unpublish),
    route(Method::POST, "/v1/pipelines/{name}/runs", Permission::Invoke, Operation::Invoke),
    route(Method::POST, "/v1/pipelines/{name}/runs:batch", Permission::Invoke, Operation::InvokeBatch),
    route(Method::GET, "/v1/schedules", Permission::Read, Operation::ListSchedules),
    route(Method::POST, "/v1/schedules:apply", Permission::Submit, Operation::ApplySchedules),
    route(Method::PUT, "/v1/schedules/{name}", Permission::Submit, Operation::PutSchedule),
    route(Method::GET, "/v1/schedules/{name}", Permission::Read, Operation::GetSchedule),
    route(Method::DELETE, "/v1/schedules/{name}", Permission::Submit, Operation::RemoveSchedule),
    route(Method::POST, "/v1/schedules/{name}/pause", Permission::Submit, Operation::PauseSchedule),
    route(Method::POST, "/v1/schedules/{name}/resume", Permission::Submit, Operation::ResumeSchedule),
    route(Method::POST, "/v1/schedules/{name}/runs", Permission::Submit, Operation::RunSchedule),
    route(Method::POST, "/v1/schedules/{name}/backfill", Permission::Submit, Operation::Backfill),
    route(Method::GET, "/v1/workers", Permission::Read, Operation::ListWorkers),
    route(Method::POST, "/v1/leases", Permission::Work, Operation::Lease),
    route(Method::POST, "/v1/heartbeats", Permission::Work, Operation::Heartbeat),
    route(Method::POST, "/v1/outcomes", Permission::Work, Operation::ReportOutcomes),
    route(Method::POST, "/v1/logs", Permission::Work, Operation::ReceiveLogs),
    route(Method::GET, "/v1/events", Permission::Read, Operation::StreamEvents),
    route(Method::GET, "/v1/info", Permission::Basic, Operation::GetInfo),
    route(Method::GET, "/metrics", Permission::Read, Operation::GetMetrics),
    route(Method::GET, "/openapi.json", Permission::Basic, Operation::GetOpenApi),
    route(Method::GET, "/healthz", Permission::Public, Operation::CheckHealth),
    route(Method::GET, "/readyz", Permission::Public, Operation::CheckReady),
];

/// The routes of the hub, and the roles that may use them.
#[must_use]
pub fn hub_routes() -> Vec<RouteView> {
    route_views(ROUTES)
}
