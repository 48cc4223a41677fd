//! What `bue hub` and `bue bucket` need around their servers: stores, listeners, retention.
//!
//! May use `config` and `process`.

pub(crate) mod bucket_store;
pub(crate) mod bundles;
pub(crate) mod hub_store;
pub(crate) mod listener;
pub(crate) mod own_settings;
pub(crate) mod retention;
pub(crate) mod store_path;
pub(crate) mod telemetry;
