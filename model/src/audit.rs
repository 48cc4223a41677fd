//! The audit: who changed what, and when.

use serde::{Deserialize, Serialize};

use crate::ids::{RunId, Timestamp};

/// A page of the audit, newest entries first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// The entries. There may be fewer than the limit, even none, although there is a next page: the hub looks at a limited number
    /// of entries for one page.
    pub entries: Vec<AuditView>,
    /// The beginning of the next page, for the parameter `after`. `None` on the last page.
    pub next: Option<String>,
}

/// A request that changed something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditView {
    /// When the change was recorded, right after it was made.
    pub at: Timestamp,
    /// The name of the token of the request; `anonymous` if the hub has no tokens, and `tokens file` for changes of that file.
    pub actor: String,
    /// The role of the token. `None` if there is none.
    pub role: Option<String>,
    /// What was done, such as `run.cancel`.
    pub action: String,
    /// What it was done to: the name of a pipeline, schedule, token or script, or the number of a job. Empty if there are several.
    pub target: String,
    /// The run that was changed or created. `None` if there is none, or several.
    pub run: Option<RunId>,
    /// More about the change: an object whose fields depend on the action.
    pub detail: serde_json::Value,
}
