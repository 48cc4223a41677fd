//! What a step requests access to.

use std::collections::BTreeMap;

use bue_model::plan::Capability;
use bue_model::{NamePattern, NetRule, TraceContext};
use serde::{Deserialize, Serialize};

/// What a step's script requests outside its sandbox. It gets what the worker also allows, and nothing that it did not
/// request: see [`EgressConfig`](crate::EgressConfig).
///
/// The default is nothing. A capability is a field whose default denies, so that forgetting one never allows anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Permissions {
    /// `!allow net`: the hosts it wants to reach.
    pub net: Vec<NetRule>,
    /// `!allow tcp`: the hosts and ports that it wants to open TCP connections to.
    pub tcp: Vec<NetRule>,
    /// `!allow bucket`: the names of the values that it wants to read, write and delete.
    pub bucket: Vec<NamePattern>,
    /// `!allow secret`: the names of the secrets it wants to use.
    pub secrets: Vec<String>,
    /// `!allow env`: the environment variables that it gets, with the values of the worker. A Python step finds them in
    /// `os.environ`; they are set for each call and are part of no image.
    pub environment: BTreeMap<String, String>,
    /// The scope of the step. Some secrets are for the steps of certain scopes only.
    pub scope: String,
    /// The span that its HTTP requests name as their parent in the header `traceparent`, unless they have such a header.
    pub trace: Option<TraceContext>,
}

impl Permissions {
    /// The permissions that the `!allow` settings of a step of this scope request, without environment variables: only the
    /// worker has their values. A setting that cannot be parsed requests nothing.
    #[must_use]
    pub fn from_capabilities(capabilities: &[Capability], scope: &str) -> Self {
        let mut permissions = Self { scope: scope.to_owned(), ..Self::default() };
        for capability in capabilities {
            match capability {
                Capability::Net(rule) => permissions.net.extend(rule.parse::<NetRule>().ok()),
                Capability::Tcp(rule) => permissions.tcp.extend(NetRule::parse_tcp(rule).ok()),
                Capability::Bucket(pattern) => permissions.bucket.extend(pattern.parse::<NamePattern>().ok()),
                Capability::Secret(name) => permissions.secrets.push(name.clone()),
                Capability::Postgres(_) | Capability::Env(_) => {}
            }
        }
        permissions
    }
}
