//! Flags that several verbs share, and what they turn into together with the settings: clients, access, TLS, network rules.
//!
//! May use `config` and `process`.

pub(crate) mod allow;
pub(crate) mod client;
pub(crate) mod filter;
pub(crate) mod params;
pub(crate) mod scopes;
pub(crate) mod server;
pub(crate) mod simulation;
pub(crate) mod target;
pub(crate) mod wall;
