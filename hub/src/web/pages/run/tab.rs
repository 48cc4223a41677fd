//! [`Tab`]: the parts of the page of a run, and its address.

use bue_model::RunId;

use crate::auth::role::Permission;
use crate::web::visit::Visit;

/// A part of the page that is shown one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Jobs,
    Timeline,
    Plan,
    Results,
    Parameters,
    Activity,
}

impl Tab {
    pub(super) const ALL: [Self; 6] =
        [Self::Jobs, Self::Timeline, Self::Plan, Self::Results, Self::Parameters, Self::Activity];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Timeline => "timeline",
            Self::Plan => "plan",
            Self::Results => "results",
            Self::Parameters => "parameters",
            Self::Activity => "activity",
        }
    }

    /// Whether the visitor may see it. A visitor who may read only the runs of pipelines sees neither jobs nor steps.
    pub(super) fn is_for(self, visit: &Visit) -> bool {
        !matches!(self, Self::Jobs | Self::Timeline | Self::Plan) || visit.may(Permission::Read)
    }

    /// Whether it is kept up to date. Results can be large, and nobody reads them while they change; parameters never change.
    pub(super) const fn is_live(self) -> bool {
        !matches!(self, Self::Results | Self::Parameters)
    }

    pub(super) fn of(visit: &Visit, name: &str) -> Self {
        let all = || Self::ALL.into_iter().filter(|tab| tab.is_for(visit));
        all().find(|tab| tab.name() == name).or_else(|| all().next()).unwrap_or(Self::Results)
    }
}

/// The address of a run.
pub(super) fn path(run: RunId) -> String {
    format!("/runs/{run}")
}
