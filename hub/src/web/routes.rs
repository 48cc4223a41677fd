//! The routes of the dashboard: the page or action, and the permission of each.

use http::Method;

use crate::auth::role::Permission;
use crate::http::routes::{Route, RouteView, route, route_views};

/// What a browser asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum PageOperation {
    Overview,
    Activity,
    Runs,
    NewRun,
    StartRun,
    ChangeRuns,
    Run,
    CancelRun,
    ResetRun,
    DeleteRun,
    RerunForm,
    RerunRun,
    RunResultsJson,
    RunResultsCsv,
    Diff,
    Job,
    CancelJob,
    ResetJob,
    JobResultJson,
    JobInputsJson,
    Errors,
    ConfirmErrorReset,
    ResetErrors,
    Pipelines,
    Pipeline,
    Schedules,
    Schedule,
    PauseSchedule,
    ResumeSchedule,
    RemoveSchedule,
    RunSchedule,
    BackfillSchedule,
    StopBackfill,
    Workers,
    Settings,
    LoginForm,
    Login,
    Logout,
    SetTheme,
    Asset,
}

impl PageOperation {
    /// Whether it is a page that the module refreshes.
    pub(super) const fn is_live(self) -> bool {
        matches!(
            self,
            Self::Overview
                | Self::Activity
                | Self::Runs
                | Self::Run
                | Self::Job
                | Self::Errors
                | Self::Pipelines
                | Self::Pipeline
                | Self::Schedules
                | Self::Schedule
                | Self::Workers
        )
    }
}

/// All routes of the dashboard. Of two that match, the first one counts.
pub(super) const PAGES: &[Route<PageOperation>] = &[
    route(Method::GET, "/", Permission::Read, PageOperation::Overview),
    route(Method::GET, "/activity", Permission::Read, PageOperation::Activity),
    route(Method::GET, "/runs", Permission::Read, PageOperation::Runs),
    route(Method::GET, "/runs/new", Permission::Invoke, PageOperation::NewRun),
    route(Method::POST, "/runs/new", Permission::Invoke, PageOperation::StartRun),
    route(Method::POST, "/runs/change", Permission::Operate, PageOperation::ChangeRuns),
    route(Method::GET, "/runs/{id}", Permission::ReadInvoked, PageOperation::Run),
    route(Method::POST, "/runs/{id}/cancel", Permission::Operate, PageOperation::CancelRun),
    route(Method::POST, "/runs/{id}/reset", Permission::Operate, PageOperation::ResetRun),
    route(Method::POST, "/runs/{id}/delete", Permission::Operate, PageOperation::DeleteRun),
    route(Method::GET, "/runs/{id}/rerun", Permission::Invoke, PageOperation::RerunForm),
    route(Method::POST, "/runs/{id}/rerun", Permission::Invoke, PageOperation::RerunRun),
    route(Method::GET, "/runs/{id}/results.json", Permission::ReadInvoked, PageOperation::RunResultsJson),
    route(Method::GET, "/runs/{id}/results.csv", Permission::ReadInvoked, PageOperation::RunResultsCsv),
    route(Method::GET, "/runs/{id}/diff/{other}", Permission::Read, PageOperation::Diff),
    route(Method::GET, "/jobs/{id}", Permission::Read, PageOperation::Job),
    route(Method::POST, "/jobs/{id}/cancel", Permission::Operate, PageOperation::CancelJob),
    route(Method::POST, "/jobs/{id}/reset", Permission::Operate, PageOperation::ResetJob),
    route(Method::GET, "/jobs/{id}/result.json", Permission::Read, PageOperation::JobResultJson),
    route(Method::GET, "/jobs/{id}/inputs.json", Permission::Read, PageOperation::JobInputsJson),
    route(Method::GET, "/errors", Permission::Read, PageOperation::Errors),
    route(Method::GET, "/errors/reset", Permission::Operate, PageOperation::ConfirmErrorReset),
    route(Method::POST, "/errors/reset", Permission::Operate, PageOperation::ResetErrors),
    route(Method::GET, "/pipelines", Permission::Read, PageOperation::Pipelines),
    route(Method::GET, "/pipelines/{name}", Permission::ReadInvoked, PageOperation::Pipeline),
    route(Method::GET, "/schedules", Permission::Read, PageOperation::Schedules),
    route(Method::GET, "/schedules/{name}", Permission::Read, PageOperation::Schedule),
    route(Method::POST, "/schedules/{name}/pause", Permission::Submit, PageOperation::PauseSchedule),
    route(Method::POST, "/schedules/{name}/resume", Permission::Submit, PageOperation::ResumeSchedule),
    route(Method::POST, "/schedules/{name}/remove", Permission::Submit, PageOperation::RemoveSchedule),
    route(Method::POST, "/schedules/{name}/run", Permission::Submit, PageOperation::RunSchedule),
    route(Method::POST, "/schedules/{name}/backfill", Permission::Submit, PageOperation::BackfillSchedule),
    route(Method::POST, "/schedules/{name}/backfill/stop", Permission::Submit, PageOperation::StopBackfill),
    route(Method::GET, "/workers", Permission::Read, PageOperation::Workers),
    route(Method::GET, "/settings", Permission::Basic, PageOperation::Settings),
    route(Method::GET, "/login", Permission::Public, PageOperation::LoginForm),
    route(Method::POST, "/login", Permission::Public, PageOperation::Login),
    route(Method::POST, "/logout", Permission::Public, PageOperation::Logout),
    route(Method::POST, "/theme", Permission::Public, PageOperation::SetTheme),
    route(Method::GET, "/assets/{name}", Permission::Public, PageOperation::Asset),
];

/// The routes of the dashboard, and the roles that may use them.
#[must_use]
pub fn dashboard_routes() -> Vec<RouteView> {
    route_views(PAGES)
}
