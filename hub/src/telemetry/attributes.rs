//! Attributes of spans, metrics and services: names and values, bounded and printable whatever a script calls its steps.

use bue_model::text::{printable, shortened};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::config::{OtlpConfig, TelemetryConfig};

/// Characters of a name or a value that a user chose.
const MAX_CHARS: usize = 256;

/// Returns a name that a user chose, as it is sent.
pub(crate) fn name(text: &str) -> String {
    shortened(&printable(&shortened(text, MAX_CHARS)), MAX_CHARS)
}

/// Returns an attribute with a text that a user chose.
pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(name(value)))
}

/// Returns an attribute with a number, which saturates.
pub(crate) fn number(key: &str, value: u64) -> KeyValue {
    attribute(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Returns what describes this hub.
pub(crate) fn resource(config: &TelemetryConfig, otlp: &OtlpConfig) -> Resource {
    let own = [("service.version", env!("CARGO_PKG_VERSION")), ("service.instance.id", &config.instance)];
    let is_set = |key: &str| otlp.resource.iter().any(|(set, _)| set == key);
    let own = own.into_iter().filter(|(key, _)| !is_set(key)).map(|(key, value)| text(key, value));
    let set = otlp.resource.iter().map(|(key, value)| attribute(key, Value::StringValue(value.clone())));
    Resource { attributes: own.chain(set).collect(), ..Resource::default() }
}

/// Returns what spans and metrics are made by.
pub(crate) fn scope() -> InstrumentationScope {
    let (name, version) = ("bue".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    InstrumentationScope { name, version, ..InstrumentationScope::default() }
}
