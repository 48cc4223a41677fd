//! Restricts the statements of a step to their own database. It is the second wall: the guest has nothing else.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::step::StepRequest;

/// PRAGMAs that only describe the step's own tables.
const ALLOWED_PRAGMAS: [&str; 9] = [
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "index_xinfo",
    "foreign_key_list",
    "collation_list",
    "function_list",
];

/// Functions that reach outside the database.
const DENIED_FUNCTIONS: [&str; 4] = ["load_extension", "fts3_tokenizer", "writefile", "readfile"];

/// Restricts one step.
pub(super) struct Authorizer<'a> {
    step: &'a StepRequest,
    /// The last action that was denied.
    denied: Arc<Mutex<Option<String>>>,
}

impl<'a> Authorizer<'a> {
    pub(super) fn new(step: &'a StepRequest) -> Self {
        Self { step, denied: Arc::default() }
    }

    /// Installs the authorizer: from here on, only what a step may do is allowed.
    pub(super) fn restrict(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let denied = Arc::clone(&self.denied);
        connection.authorizer(Some(move |context: AuthContext<'_>| match denied_action(&context.action) {
            None => Authorization::Allow,
            Some(action) => {
                *denied.lock().unwrap_or_else(PoisonError::into_inner) = Some(action);
                Authorization::Deny
            }
        }))
    }

    /// The action that was denied last.
    pub(super) fn denied(&self) -> Option<String> {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) const fn step(&self) -> &StepRequest {
        self.step
    }
}

/// The description of an action that is denied, or `None` if it is allowed. Unknown actions are denied.
fn denied_action(action: &AuthAction<'_>) -> Option<String> {
    use AuthAction as A;
    match action {
        A::CreateIndex { .. } | A::CreateTable { .. } | A::CreateTempIndex { .. } | A::CreateTempTable { .. } => None,
        A::CreateTempTrigger { .. } | A::CreateTempView { .. } | A::CreateTrigger { .. } | A::CreateView { .. } => None,
        A::DropIndex { .. } | A::DropTable { .. } | A::DropTempIndex { .. } | A::DropTempTable { .. } => None,
        A::DropTempTrigger { .. } | A::DropTempView { .. } | A::DropTrigger { .. } | A::DropView { .. } => None,
        A::Delete { .. } | A::Insert { .. } | A::Update { .. } | A::Read { .. } | A::Select | A::Recursive => None,
        A::Transaction { .. } | A::Savepoint { .. } | A::AlterTable { .. } | A::Reindex { .. } | A::Analyze { .. } => {
            None
        }
        A::Function { function_name } => {
            let is_denied = DENIED_FUNCTIONS.iter().any(|name| name.eq_ignore_ascii_case(function_name));
            is_denied.then(|| format!("call `{function_name}`"))
        }
        A::Pragma { pragma_name, .. } => {
            let is_allowed = ALLOWED_PRAGMAS.iter().any(|name| name.eq_ignore_ascii_case(pragma_name));
            (!is_allowed).then(|| format!("use `PRAGMA {pragma_name}`"))
        }
        // VACUUM attaches a database too
        A::Attach { .. } | A::Detach { .. } => Some("ATTACH, DETACH or VACUUM a database".to_owned()),
        A::CreateVtable { .. } | A::DropVtable { .. } => Some("make virtual tables".to_owned()),
        _ => Some("do that".to_owned()),
    }
}
