//! Capabilities as scripts write them.

use bue_model::plan::Capability;

pub(super) fn capability_text(capability: &Capability) -> String {
    match capability {
        Capability::Net(host) => format!("net {host}"),
        Capability::Tcp(host) => format!("tcp {host}"),
        Capability::Bucket(pattern) => format!("bucket {pattern}"),
        Capability::Secret(name) => format!("secret {name}"),
        Capability::Postgres(name) => format!("postgres {name}"),
        Capability::Env(name) => format!("env {name}"),
    }
}
