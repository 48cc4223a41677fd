//! [`TelemetryConfig`]: where a hub sends traces and metrics, read from the standard variables of OpenTelemetry.

use std::time::Duration;

use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Uri};

use super::header_list::{header_list, key_values};

/// The collector to send traces and metrics to.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Where to send traces, if that is another address.
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
/// Where to send metrics, if that is another address.
const METRICS_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
/// Headers of every request, such as a token.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
/// Milliseconds that the collector may take for a request.
const TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TIMEOUT";
/// The form of requests. There is one.
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
/// The name of the service in traces and metrics.
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
/// What else describes the service.
const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
/// Turns everything off.
const SDK_DISABLED: &str = "OTEL_SDK_DISABLED";
/// `otlp`, or `none` for no traces.
const TRACES_EXPORTER: &str = "OTEL_TRACES_EXPORTER";
/// `otlp`, or `none` for no metrics.
const METRICS_EXPORTER: &str = "OTEL_METRICS_EXPORTER";
/// Milliseconds between two exports of metrics.
const METRIC_INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";

/// The protocol that is spoken.
const HTTP_PROTOBUF: &str = "http/protobuf";
/// The standard's defaults.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_METRIC_INTERVAL: Duration = Duration::from_secs(60);
/// Longer intervals are mistakes.
const MAX_MS: u64 = 24 * 60 * 60 * 1000;
/// The name of the service if none is set.
const DEFAULT_SERVICE: &str = "bue";

/// Where a hub sends traces and metrics. The default is nowhere.
#[derive(Clone, Debug, Default)]
pub struct TelemetryConfig {
    /// The OpenTelemetry collector.
    pub otlp: Option<OtlpConfig>,
    /// The StatsD server, `HOST:PORT`.
    pub statsd: Option<String>,
    /// The name of this hub, by which its metrics are told from those of others.
    pub instance: String,
}

/// How to reach an OpenTelemetry collector.
#[derive(Clone, Debug)]
pub struct OtlpConfig {
    /// Where traces go. `None` for no traces.
    pub traces: Option<Uri>,
    /// Where metrics go. `None` for no metrics.
    pub metrics: Option<Uri>,
    /// Headers of every request. All of them are marked as sensitive.
    pub headers: HeaderMap,
    /// The longest time for a request.
    pub timeout: Duration,
    /// Between two exports of metrics.
    pub metric_interval: Duration,
    /// What describes the service, with its name.
    pub resource: Vec<(String, String)>,
}

/// Why a setting of the export is refused. The text names the variable and says what to type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value}; {hint}")]
pub struct TelemetryConfigError {
    name: &'static str,
    /// In backticks, or what is wrong with a secret.
    value: String,
    hint: String,
}

impl TelemetryConfigError {
    fn new(name: &'static str, value: &str, hint: impl Into<String>) -> Self {
        Self { name, value: format!("`{value}`"), hint: hint.into() }
    }
}

impl TelemetryConfig {
    /// Returns whether there are traces.
    pub(crate) fn has_traces(&self) -> bool {
        self.otlp.as_ref().is_some_and(|otlp| otlp.traces.is_some())
    }

    /// Returns whether anything is sent anywhere.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.otlp.is_some() || self.statsd.is_some()
    }
}

impl OtlpConfig {
    /// Reads the standard variables. `None` if no collector is set, or everything is turned off.
    ///
    /// # Errors
    /// A variable has a value that is not supported.
    pub fn read(variable: impl Fn(&'static str) -> Option<String>) -> Result<Option<Self>, TelemetryConfigError> {
        // any other value is false, says the standard
        if variable(SDK_DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let base = variable(ENDPOINT).map(|text| endpoint(ENDPOINT, &text)).transpose()?;
        let target = |name, exporter: bool, path| -> Result<Option<Uri>, TelemetryConfigError> {
            let own = variable(name).map(|text| endpoint(name, &text)).transpose()?;
            let uri = own.or_else(|| base.as_ref().and_then(|base| with_path(base, path)));
            Ok(uri.filter(|_| exporter))
        };
        let is_exported = |name| is_exported(name, variable(name).as_deref());
        let (traces, metrics) = (is_exported(TRACES_EXPORTER)?, is_exported(METRICS_EXPORTER)?);
        let traces = target(TRACES_ENDPOINT, traces, "/v1/traces")?;
        let metrics = target(METRICS_ENDPOINT, metrics, "/v1/metrics")?;
        if traces.is_none() && metrics.is_none() {
            return Ok(None);
        }
        if let Some(protocol) = variable(PROTOCOL).filter(|protocol| protocol != HTTP_PROTOBUF) {
            let hint = format!(
                "bue speaks {HTTP_PROTOBUF} only: set it to that, and the endpoint to the port for HTTP, usually 4318"
            );
            return Err(TelemetryConfigError::new(PROTOCOL, &protocol, hint));
        }
        Ok(Some(Self {
            traces,
            metrics,
            headers: headers(variable(HEADERS).as_deref())?,
            timeout: duration(TIMEOUT, variable(TIMEOUT).as_deref(), DEFAULT_TIMEOUT)?,
            metric_interval: duration(METRIC_INTERVAL, variable(METRIC_INTERVAL).as_deref(), DEFAULT_METRIC_INTERVAL)?,
            resource: resource(variable(SERVICE_NAME), variable(RESOURCE_ATTRIBUTES).as_deref())?,
        }))
    }
}

/// Parses the address of a collector.
fn endpoint(name: &'static str, text: &str) -> Result<Uri, TelemetryConfigError> {
    let shown = text.split_once('@').map_or(text, |_| "an address with a user or a password");
    let refused = |hint: &str| TelemetryConfigError::new(name, shown, hint);
    let hint = "set it to the http or https address of a collector, such as http://localhost:4318";
    let uri: Uri = text.parse().map_err(|_| refused(hint))?;
    let is_http = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
    let authority = uri.authority().filter(|authority| is_http && !authority.host().is_empty());
    let authority = authority.ok_or_else(|| refused(hint))?;
    if authority.as_str().contains('@') {
        return Err(refused(
            "put credentials into OTEL_EXPORTER_OTLP_HEADERS, such as authorization=Basic%20dXNlcjpwYXNz",
        ));
    }
    Ok(uri)
}

/// Returns the address of one kind of data below a collector's.
fn with_path(base: &Uri, path: &str) -> Option<Uri> {
    let path = format!("{}{path}", base.path().trim_end_matches('/'));
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

/// Returns whether a kind of data is exported at all.
fn is_exported(name: &'static str, value: Option<&str>) -> Result<bool, TelemetryConfigError> {
    match value {
        None | Some("otlp") => Ok(true),
        Some("none") => Ok(false),
        Some(other) => Err(TelemetryConfigError::new(name, other, "set it to otlp, or to none to send nothing")),
    }
}

fn duration(name: &'static str, text: Option<&str>, default: Duration) -> Result<Duration, TelemetryConfigError> {
    let Some(text) = text else { return Ok(default) };
    match text.parse() {
        Ok(ms @ 1..=MAX_MS) => Ok(Duration::from_millis(ms)),
        _ => {
            let hint =
                format!("set it to a number of milliseconds from 1 to {MAX_MS}, such as {}", default.as_millis());
            Err(TelemetryConfigError::new(name, text, hint))
        }
    }
}

fn headers(text: Option<&str>) -> Result<HeaderMap, TelemetryConfigError> {
    header_list(text.unwrap_or_default()).map_err(|problem| TelemetryConfigError {
        name: HEADERS,
        value: problem,
        hint: "set it to headers such as authorization=Bearer%20TOKEN,x-tenant=7".to_owned(),
    })
}

/// Returns the attributes of the service: its name has a variable of its own, which wins.
fn resource(name: Option<String>, text: Option<&str>) -> Result<Vec<(String, String)>, TelemetryConfigError> {
    let text = text.unwrap_or_default();
    let hint = "set it to attributes such as deployment.environment=production,team=data";
    let mut attributes = key_values(text).ok_or_else(|| TelemetryConfigError::new(RESOURCE_ATTRIBUTES, text, hint))?;
    if name.is_some() || !attributes.iter().any(|(key, _)| key == "service.name") {
        attributes.retain(|(key, _)| key != "service.name");
        attributes.push(("service.name".to_owned(), name.unwrap_or_else(|| DEFAULT_SERVICE.to_owned())));
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<OtlpConfig>, TelemetryConfigError> {
        OtlpConfig::read(|name| variables.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned()))
    }

    fn config(variables: &[(&str, &str)]) -> OtlpConfig {
        read(variables).expect("a config").expect("a collector")
    }

    const COLLECTOR: (&str, &str) = (ENDPOINT, "http://collector:4318");

    #[test]
    fn the_endpoint_alone_suffices() {
        let config = config(&[COLLECTOR]);
        assert_eq!(config.traces.expect("traces"), "http://collector:4318/v1/traces");
        assert_eq!(config.metrics.expect("metrics"), "http://collector:4318/v1/metrics");
        assert_eq!((config.timeout.as_secs(), config.metric_interval.as_secs()), (10, 60));
        assert_eq!(config.resource, [("service.name".to_owned(), "bue".to_owned())]);
        assert!(config.headers.is_empty());
    }

    #[test]
    fn nothing_is_sent_unless_a_collector_is_set() {
        for variables in [
            &[][..],
            &[(SERVICE_NAME, "x")],
            // a program with other settings of OpenTelemetry, which are not for us
            &[(PROTOCOL, "grpc"), (TRACES_EXPORTER, "none")],
            &[COLLECTOR, (SDK_DISABLED, "True"), (PROTOCOL, "grpc")],
            &[COLLECTOR, (TRACES_EXPORTER, "none"), (METRICS_EXPORTER, "none")],
        ] {
            assert!(read(variables).expect("a config").is_none(), "{variables:?}");
        }
    }

    #[test]
    fn every_variable_has_an_effect() {
        let config = config(&[
            (ENDPOINT, "https://collector/otlp/"),
            (METRICS_ENDPOINT, "http://other:1/push?tenant=7"),
            (HEADERS, "authorization=Bearer%20x,x-tenant=7"),
            (TIMEOUT, "500"),
            (METRIC_INTERVAL, "1000"),
            (SERVICE_NAME, "jobs"),
            (RESOURCE_ATTRIBUTES, "service.name=ignored,team=data%2Cml"),
            (SDK_DISABLED, "no"),
            (TRACES_EXPORTER, "otlp"),
            (PROTOCOL, "http/protobuf"),
        ]);
        assert_eq!(config.traces.expect("traces"), "https://collector/otlp/v1/traces");
        assert_eq!(config.metrics.expect("metrics"), "http://other:1/push?tenant=7");
        assert_eq!(config.headers["authorization"], "Bearer x");
        assert!(config.headers["x-tenant"].is_sensitive());
        assert_eq!((config.timeout.as_millis(), config.metric_interval.as_millis()), (500, 1000));
        let resource = [("team", "data,ml"), ("service.name", "jobs")];
        assert_eq!(config.resource, resource.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn one_kind_of_data_may_go_elsewhere_or_nowhere() {
        let traces = config(&[(TRACES_ENDPOINT, "http://t:1/x")]);
        assert!(traces.metrics.is_none() && traces.traces.is_some_and(|uri| uri == "http://t:1/x"));
        let metrics = config(&[COLLECTOR, (TRACES_EXPORTER, "none")]);
        assert!(metrics.traces.is_none() && metrics.metrics.is_some());
    }

    #[test]
    fn a_bad_value_is_refused_with_what_to_type() {
        for (name, value, hint) in [
            (ENDPOINT, "collector:4318", "such as http://localhost:4318"),
            (ENDPOINT, "ftp://collector", "such as http://localhost:4318"),
            (ENDPOINT, "http://", "such as http://localhost:4318"),
            (ENDPOINT, "http://a b", "such as http://localhost:4318"),
            (TRACES_ENDPOINT, "/v1/traces", "such as http://localhost:4318"),
            (ENDPOINT, "http://user:hunter2@collector", "put credentials into OTEL_EXPORTER_OTLP_HEADERS"),
            (PROTOCOL, "grpc", "http/protobuf only"),
            (PROTOCOL, "http/json", "http/protobuf only"),
            (TIMEOUT, "10s", "milliseconds"),
            (TIMEOUT, "0", "milliseconds"),
            (METRIC_INTERVAL, "-1", "milliseconds"),
            (METRIC_INTERVAL, "99999999999", "milliseconds"),
            (TRACES_EXPORTER, "jaeger", "set it to otlp, or to none"),
            (METRICS_EXPORTER, "prometheus,otlp", "set it to otlp, or to none"),
            (HEADERS, "authorization", "authorization=Bearer%20TOKEN"),
            (HEADERS, "a b=hunter2", "authorization=Bearer%20TOKEN"),
            (HEADERS, "a=hunter2%0d%0ax", "authorization=Bearer%20TOKEN"),
            (RESOURCE_ATTRIBUTES, "team", "team=data"),
        ] {
            let variables = if name == ENDPOINT { vec![(name, value)] } else { vec![COLLECTOR, (name, value)] };
            let error = read(&variables).expect_err(value).to_string();
            assert!(error.starts_with(&format!("{name} is ")) && error.contains(hint), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
