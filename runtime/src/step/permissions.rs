//! What a step asks to reach.

use bue_model::NetRule;
use bue_model::plan::Capability;
use serde::{Deserialize, Serialize};

/// What a step's script asks for, outside its sandbox. It gets what the worker allows of it, and nothing it did not ask
/// for: see [`EgressConfig`](crate::EgressConfig).
///
/// The default is nothing. A capability is a field whose default denies, so that forgetting one never allows anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Permissions {
    /// `!allow net`: whom it wants to speak to.
    pub net: Vec<NetRule>,
    /// `!allow secret`: names of secrets it wants to use.
    pub secrets: Vec<String>,
}

impl Permissions {
    /// What these settings of a step come to. One that is not understood asks for nothing.
    #[must_use]
    pub fn asked(capabilities: &[Capability]) -> Self {
        let mut permissions = Self::default();
        for capability in capabilities {
            match capability {
                Capability::Net(rule) => permissions.net.extend(rule.parse::<NetRule>().ok()),
                Capability::Secret(name) => permissions.secrets.push(name.clone()),
                Capability::Postgres(_) => {}
            }
        }
        permissions
    }
}
