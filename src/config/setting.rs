//! The table of all settings: their names in the environment, in `.env` and in `bue.toml`, and what they mean.
//!
//! Each has a name that begins with `BUE_` and, if an older system had the setting, that system's name too. `docs/settings.md`
//! shows the table; a test compares the two.

use crate::config::value_type::ValueType;

/// A setting with one value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Names in the environment and in `.env`; the first one wins.
    pub(crate) names: &'static [&'static str],
    /// Table and key in `bue.toml`.
    pub(crate) key: (&'static str, &'static str),
    /// The type of its value in `bue.toml`.
    pub(crate) value_type: ValueType,
    /// It counts from files of the working directory that the user does not trust: it neither permits anything, nor names a
    /// place, nor sends or reads a secret.
    pub(crate) is_harmless: bool,
    /// Whether its value is shown.
    pub(crate) secrecy: Secrecy,
    /// What it means, and after the last semicolon its default.
    pub(crate) about: &'static str,
}

/// Whether the value of a setting is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// It is.
    Shown,
    /// It is an address that may contain a password; it is then not shown.
    MayHavePassword,
    /// It never is.
    Secret,
}

/// A setting whose value is an address, in one variable or in two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddressSetting {
    /// The whole address, `HOST:PORT`.
    pub(crate) whole: Setting,
    /// The variable of the host alone.
    pub(crate) host: &'static str,
    /// The variable of the port alone.
    pub(crate) port: &'static str,
    /// The port if none is set.
    pub(crate) default_port: &'static str,
}

impl Setting {
    const fn with_type(self, value_type: ValueType) -> Self {
        Self { value_type, ..self }
    }

    const fn harmless(self) -> Self {
        Self { is_harmless: true, ..self }
    }

    const fn secret(self) -> Self {
        Self { secrecy: Secrecy::Secret, ..self }
    }

    const fn with_password(self) -> Self {
        Self { secrecy: Secrecy::MayHavePassword, ..self }
    }

    /// Returns the name to use in messages.
    pub(crate) fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or(self.key.1)
    }
}

const fn setting(names: &'static [&'static str], key: (&'static str, &'static str), about: &'static str) -> Setting {
    Setting { names, key, value_type: ValueType::Text, is_harmless: false, secrecy: Secrecy::Shown, about }
}

/// The address the hub listens on.
pub(crate) const HUB_LISTEN: AddressSetting = AddressSetting {
    whole: setting(&["BUE_HUB_LISTEN"], ("hub", "listen"), "the address the hub listens on; 127.0.0.1:65432"),
    host: "PIPELINE_HOST",
    port: "PIPELINE_PORT",
    default_port: "65432",
};
/// The address the bucket listens on.
pub(crate) const BUCKET_LISTEN: AddressSetting = AddressSetting {
    whole: setting(&["BUE_BUCKET_LISTEN"], ("bucket", "listen"), "the address the bucket listens on; 127.0.0.1:61535"),
    host: "BUCKET_SERVER_HOST",
    port: "BUCKET_SERVER_PORT",
    default_port: "61535",
};
/// The hub that clients and workers use.
pub(crate) const HUB: AddressSetting = AddressSetting {
    whole: setting(
        &["BUE_HUB"],
        ("client", "hub"),
        "the hub that clients and workers use; several hubs of one database, separated by commas; 127.0.0.1:65432",
    ),
    host: "PIPE_WORKER_HOST",
    port: "PIPE_WORKER_PORT",
    default_port: "65432",
};
/// The bucket that clients and workers use, and that the hub tells them about.
pub(crate) const BUCKET: AddressSetting = AddressSetting {
    whole: setting(
        &["BUE_BUCKET"],
        ("client", "bucket"),
        "the bucket; if not set, clients and workers ask the hub for its address; 127.0.0.1:61535",
    ),
    host: "BUCKET_CLIENT_HOST",
    port: "BUCKET_CLIENT_PORT",
    default_port: "61535",
};
/// The token that clients and workers send.
pub(crate) const TOKEN: Setting =
    setting(&["BUE_TOKEN"], ("client", "token"), "the token that clients and workers send; see access.md").secret();
/// A file with that token.
pub(crate) const TOKEN_FILE: Setting =
    setting(&["BUE_TOKEN_FILE"], ("client", "token_file"), "a file with that token, used if BUE_TOKEN is not set");
/// The tokens that hub and bucket accept.
pub(crate) const TOKENS: Setting =
    setting(&["BUE_TOKENS"], ("access", "tokens"), "the file of tokens that hub and bucket accept; `bue.tokens`");
/// The certificate of hub and bucket.
pub(crate) const TLS_CERT: Setting = setting(
    &["BUE_TLS_CERT"],
    ("tls", "cert"),
    "the certificate chain of hub and bucket, a PEM file; with it they serve https; see access.md",
);
/// The private key of that certificate.
pub(crate) const TLS_KEY: Setting =
    setting(&["BUE_TLS_KEY"], ("tls", "key"), "the private key of that certificate, a PEM file");
/// Certificate authorities of clients.
pub(crate) const TLS_CLIENT_CA: Setting = setting(
    &["BUE_TLS_CLIENT_CA"],
    ("tls", "client_ca"),
    "certificate authorities, a PEM file; with it hub and bucket require a client certificate signed by one of them",
);
/// Certificate authorities of servers.
pub(crate) const SERVER_CA: Setting = setting(
    &["BUE_SERVER_CA"],
    ("client", "ca"),
    "certificate authorities trusted to sign for hub and bucket, a PEM file; those of the system",
);
/// The certificate of clients and workers.
pub(crate) const CLIENT_CERT: Setting = setting(
    &["BUE_CLIENT_CERT"],
    ("client", "cert"),
    "the certificate that clients and workers send to servers that request one, a PEM file",
);
/// The private key of that certificate.
pub(crate) const CLIENT_KEY: Setting =
    setting(&["BUE_CLIENT_KEY"], ("client", "key"), "the private key of that certificate, a PEM file");
/// The scopes a worker serves, in order.
pub(crate) const SCOPES: Setting = setting(
    &["BUE_SCOPES", "PIPE_WORKER_SCOPES"],
    ("worker", "scopes"),
    "the scopes a worker serves, in order of preference",
)
.with_type(ValueType::List);
/// Prefer the last scope and the lowest priority.
pub(crate) const REVERSE: Setting = setting(
    &["BUE_REVERSE", "REVERSE_PRIORITY", "PIPE_WORKER_REVERSE"],
    ("worker", "reverse"),
    "a worker prefers the last scope and the lowest priority; false",
)
.with_type(ValueType::Switch)
.harmless();
/// The share of jobs that would be served last.
pub(crate) const ANTI_STARVATION: Setting = setting(
    &["BUE_ANTI_STARVATION"],
    ("worker", "anti_starvation"),
    "of this many jobs that a worker takes, one is the job that would be served last; `off` for none; 16; see operations.md",
)
.with_type(ValueType::Number)
.harmless();
/// The most jobs a worker holds at a time.
pub(crate) const SLOTS: Setting = setting(
    &["BUE_SLOTS", "N_WORKER_PROCESSES"],
    ("worker", "slots"),
    "the most jobs a worker holds at a time, including jobs that wait; 10000",
)
.with_type(ValueType::Number)
.harmless();
/// The memory of a worker's steps.
pub(crate) const MEMORY: Setting = setting(
    &["BUE_MEMORY"],
    ("worker", "memory"),
    "memory that a worker's steps may use before it stops taking jobs, such as `8GiB`; half of the machine's",
)
.with_type(ValueType::Number);
/// The hub's database.
pub(crate) const HUB_STORE: Setting =
    setting(&["BUE_HUB_STORE"], ("hub", "store"), "the hub's database, sqlite:PATH or postgres:URL; sqlite:bue.db")
        .with_password();
/// The duration of a lease.
pub(crate) const LEASE: Setting = setting(
    &["BUE_LEASE"],
    ("hub", "lease"),
    "seconds without a heartbeat after which a worker's jobs run elsewhere, 1 to 3600; the same on all hubs of a database; 8",
)
.with_type(ValueType::Number)
.harmless();
/// The format of logs.
pub(crate) const LOG_FORMAT: Setting = setting(
    &["BUE_LOG_FORMAT"],
    ("log", "format"),
    "format of the logs of hub, bucket and worker: `text`, or `json` for one object per line; text",
)
.harmless();
/// How long finished runs are kept.
pub(crate) const KEEP: Setting = setting(
    &["BUE_KEEP"],
    ("hub", "keep"),
    "how long finished runs are kept: `12h`, `30d`, `forever`; 7 days; see bucket.md",
)
.with_type(ValueType::Number);
/// How long the audit is kept.
pub(crate) const KEEP_AUDIT: Setting = setting(
    &["BUE_KEEP_AUDIT"],
    ("hub", "keep_audit"),
    "how long the hub keeps who changed what, longer if the run still exists: `90d`, `forever`; 90 days; see operations.md",
)
.with_type(ValueType::Number);
/// Where the bucket stores its data.
pub(crate) const BUCKET_STORE: Setting = setting(
    &["BUE_BUCKET_STORE"],
    ("bucket", "store"),
    "where the bucket stores its data, dir:PATH or s3:BUCKET; dir:bue-blobs; see bucket.md",
)
.with_password();
/// How long blobs without a reference are kept.
pub(crate) const GRACE: Setting = setting(
    &["BUE_GRACE"],
    ("bucket", "grace"),
    "how long the bucket keeps blobs that no run needs; longer than any upload takes; 1 day",
)
.with_type(ValueType::Number);
/// The StatsD server.
pub(crate) const STATSD: Setting = setting(
    &["BUE_STATSD"],
    ("report", "statsd"),
    "the StatsD server to which the hub sends metrics over UDP, HOST:PORT; none; see observability.md",
);
/// The OpenTelemetry collector.
pub(crate) const OTLP_ENDPOINT: Setting = setting(
    &["OTEL_EXPORTER_OTLP_ENDPOINT"],
    ("report", "otlp_endpoint"),
    "the OpenTelemetry collector to which the hub sends traces and metrics, such as http://localhost:4318; none; see observability.md",
)
.with_password();
/// Where traces go.
pub(crate) const OTLP_TRACES_ENDPOINT: Setting = setting(
    &["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"],
    ("report", "otlp_traces_endpoint"),
    "the whole address for traces; the collector's with `/v1/traces`",
)
.with_password();
/// Where metrics go.
pub(crate) const OTLP_METRICS_ENDPOINT: Setting = setting(
    &["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"],
    ("report", "otlp_metrics_endpoint"),
    "the whole address for metrics; the collector's with `/v1/metrics`",
)
.with_password();
/// Headers of what goes there.
pub(crate) const OTLP_HEADERS: Setting = setting(
    &["OTEL_EXPORTER_OTLP_HEADERS"],
    ("report", "otlp_headers"),
    "headers of these requests, such as `authorization=Bearer%20TOKEN`; none",
)
.secret();
/// How long a request may take.
pub(crate) const OTLP_TIMEOUT: Setting = setting(
    &["OTEL_EXPORTER_OTLP_TIMEOUT"],
    ("report", "otlp_timeout"),
    "milliseconds that the collector may take to answer; 10000",
)
.with_type(ValueType::Number);
/// The form of requests.
pub(crate) const OTLP_PROTOCOL: Setting = setting(
    &["OTEL_EXPORTER_OTLP_PROTOCOL"],
    ("report", "otlp_protocol"),
    "how the collector is spoken to: only `http/protobuf` is supported; http/protobuf",
);
/// The name of the service in traces and metrics.
pub(crate) const OTEL_SERVICE_NAME: Setting =
    setting(&["OTEL_SERVICE_NAME"], ("report", "service_name"), "the name of the service in traces and metrics; bue");
/// What else describes the service.
pub(crate) const OTEL_RESOURCE_ATTRIBUTES: Setting = setting(
    &["OTEL_RESOURCE_ATTRIBUTES"],
    ("report", "resource_attributes"),
    "what else describes the service, such as `deployment.environment=production,team=data`; nothing",
);
/// Whether anything goes to a collector.
pub(crate) const OTEL_SDK_DISABLED: Setting = setting(
    &["OTEL_SDK_DISABLED"],
    ("report", "otel_disabled"),
    "send nothing to the collector, whatever else is set; false",
)
.with_type(ValueType::Switch);
/// Whether traces are sent.
pub(crate) const OTEL_TRACES_EXPORTER: Setting =
    setting(&["OTEL_TRACES_EXPORTER"], ("report", "traces_exporter"), "`otlp`, or `none` to send no traces; otlp");
/// Whether metrics are sent.
pub(crate) const OTEL_METRICS_EXPORTER: Setting =
    setting(&["OTEL_METRICS_EXPORTER"], ("report", "metrics_exporter"), "`otlp`, or `none` to send no metrics; otlp");
/// How often metrics are sent.
pub(crate) const OTEL_METRIC_INTERVAL: Setting = setting(
    &["OTEL_METRIC_EXPORT_INTERVAL"],
    ("report", "metric_interval"),
    "milliseconds between two exports of metrics to the collector; 60000",
)
.with_type(ValueType::Number);
/// The settings that have the names of OpenTelemetry's variables.
pub(crate) const OTEL: [Setting; 12] = [
    OTLP_ENDPOINT,
    OTLP_TRACES_ENDPOINT,
    OTLP_METRICS_ENDPOINT,
    OTLP_HEADERS,
    OTLP_TIMEOUT,
    OTLP_PROTOCOL,
    OTEL_SERVICE_NAME,
    OTEL_RESOURCE_ATTRIBUTES,
    OTEL_SDK_DISABLED,
    OTEL_TRACES_EXPORTER,
    OTEL_METRICS_EXPORTER,
    OTEL_METRIC_INTERVAL,
];
/// Where the prepared sandbox is cached.
pub(crate) const CACHE_DIR: Setting = setting(
    &["BUE_CACHE_DIR"],
    ("cache", "dir"),
    "the cache of prepared sandboxes and packages, never from a file of the working directory; `bue` in the user's cache directory",
);

/// What to do without a part of the wall around sandboxes.
pub(crate) const WALL: Setting = setting(
    &["BUE_WALL"],
    ("worker", "wall"),
    "what to do if the machine lacks a part of the wall around sandboxes: `best` warns, `require` refuses to start; best; see sandbox.md",
);
/// The hosts that steps may connect to.
pub(crate) const ALLOW_NET: Setting = setting(
    &["BUE_ALLOW_NET"],
    ("allow", "net"),
    "hosts that steps may connect to, if their script asks for them; `*` for all public ones; none; see network.md",
)
.with_type(ValueType::ListOrFalse);
/// The hosts and ports that steps may open TCP connections to.
pub(crate) const ALLOW_TCP: Setting = setting(
    &["BUE_ALLOW_TCP"],
    ("allow", "tcp"),
    "hosts and ports that steps may open TCP connections to, if their script asks for them; none; see network.md",
)
.with_type(ValueType::List);
/// Whether postgres steps may use roles that are not restricted to their own tables.
pub(crate) const ALLOW_PRIVILEGED_POSTGRES: Setting = setting(
    &["BUE_ALLOW_PRIVILEGED_POSTGRES"],
    ("allow", "privileged_postgres"),
    "postgres steps run even as a role that can access a hub's tables or the server's files; false; see sql.md",
)
.with_type(ValueType::Switch);
/// Certificate authorities that steps trust in addition to the system's.
pub(crate) const CA_FILE: Setting = setting(
    &["BUE_CA_FILE"],
    ("worker", "ca_file"),
    "certificate authorities that steps trust for https in addition to the system's, a PEM file",
);
/// The prefix of a secret's name in the environment.
pub(crate) const SECRET_PREFIX: &str = "BUE_SECRET_";
/// The prefix of the name of an environment variable for steps.
pub(crate) const VARIABLE_PREFIX: &str = "BUE_ENV_";

/// The database of postgres steps that name no connection, as one URL.
pub(crate) const POSTGRES_URL: Setting = setting(
    &["BUE_POSTGRES_URL"],
    ("postgres", "url"),
    "the database of a worker's postgres steps, postgres://USER:PASSWORD@HOST:PORT/DATABASE; see sql.md",
)
.with_password();
/// Its host, if there is no URL.
pub(crate) const POSTGRES_HOST: Setting =
    setting(&["POSTGRES_HOST"], ("postgres", "host"), "the database's host, if there is no URL; localhost");
/// Its port.
pub(crate) const POSTGRES_PORT: Setting =
    setting(&["POSTGRES_PORT"], ("postgres", "port"), "its port; 5432").with_type(ValueType::Number);
/// Its role.
pub(crate) const POSTGRES_USER: Setting =
    setting(&["POSTGRES_USER"], ("postgres", "user"), "the role; the user that runs the worker");
/// The role's password.
pub(crate) const POSTGRES_PASSWORD: Setting =
    setting(&["POSTGRES_PASSWORD"], ("postgres", "password"), "the role's password").secret();
/// Its database.
pub(crate) const POSTGRES_DATABASE: Setting =
    setting(&["POSTGRES_DATABASE"], ("postgres", "database"), "the database; the role's name");
/// The most connections of a worker to one database.
pub(crate) const POSTGRES_CONNECTIONS: Setting = setting(
    &["BUE_POSTGRES_CONNECTIONS"],
    ("postgres", "connections"),
    "the most connections of a worker to each database; further postgres steps wait; 8",
)
.with_type(ValueType::Number);

/// The scopes of that database.
pub(crate) const POSTGRES_SCOPES: Setting = setting(
    &["BUE_POSTGRES_SCOPES"],
    ("postgres", "scopes"),
    "the scopes whose postgres steps may use the database; all",
)
.with_type(ValueType::List);

/// All settings whose value is an address.
pub(crate) const ADDRESSES: &[AddressSetting] = &[HUB_LISTEN, BUCKET_LISTEN, HUB, BUCKET];
/// All other settings.
pub(crate) const TEXTS: &[Setting] = &[
    TOKEN,
    TOKEN_FILE,
    TOKENS,
    TLS_CERT,
    TLS_KEY,
    TLS_CLIENT_CA,
    SERVER_CA,
    CLIENT_CERT,
    CLIENT_KEY,
    SCOPES,
    REVERSE,
    ANTI_STARVATION,
    SLOTS,
    MEMORY,
    HUB_STORE,
    LEASE,
    KEEP,
    KEEP_AUDIT,
    BUCKET_STORE,
    LOG_FORMAT,
    GRACE,
    STATSD,
    OTLP_ENDPOINT,
    OTLP_TRACES_ENDPOINT,
    OTLP_METRICS_ENDPOINT,
    OTLP_HEADERS,
    OTLP_TIMEOUT,
    OTLP_PROTOCOL,
    OTEL_SERVICE_NAME,
    OTEL_RESOURCE_ATTRIBUTES,
    OTEL_SDK_DISABLED,
    OTEL_TRACES_EXPORTER,
    OTEL_METRICS_EXPORTER,
    OTEL_METRIC_INTERVAL,
    CACHE_DIR,
    WALL,
    ALLOW_NET,
    ALLOW_TCP,
    ALLOW_PRIVILEGED_POSTGRES,
    CA_FILE,
    POSTGRES_URL,
    POSTGRES_HOST,
    POSTGRES_PORT,
    POSTGRES_USER,
    POSTGRES_PASSWORD,
    POSTGRES_DATABASE,
    POSTGRES_CONNECTIONS,
    POSTGRES_SCOPES,
];

/// Iterates over all settings.
pub(crate) fn all_settings() -> impl Iterator<Item = &'static Setting> {
    ADDRESSES.iter().map(|address| &address.whole).chain(TEXTS)
}

/// Returns whether `bue.toml` may have this key.
pub(crate) fn is_known_key(table: &str, key: &str) -> bool {
    all_settings().any(|setting| setting.key == (table, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::unsupported::UNSUPPORTED;

    fn row(setting: &Setting, more: &[&str]) -> String {
        let names: Vec<_> = setting.names.iter().chain(more).map(|name| format!("`{name}`")).collect();
        let (table, key) = setting.key;
        format!("| {} | `{table}.{key}` | {} |", names.join(", "), setting.about)
    }

    /// The page lists them in a sentence.
    #[test]
    fn the_settings_page_names_the_harmless_settings() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md");
        let page = std::fs::read_to_string(path).expect("docs/settings.md");
        let names: Vec<_> = all_settings()
            .filter(|setting| setting.is_harmless)
            .map(|setting| format!("`{}`", setting.name()))
            .collect();
        let sentence = format!("Only {} count", names.join(", "));
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&page).contains(&sentence), "docs/settings.md lacks: {sentence}");
    }

    /// The page has a row for each setting and each unsupported variable, and no other rows.
    #[test]
    fn the_settings_page_matches_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md");
        let page = std::fs::read_to_string(path).expect("docs/settings.md");
        let addresses = ADDRESSES.iter().map(|address| row(&address.whole, &[address.host, address.port]));
        let texts = TEXTS.iter().map(|setting| row(setting, &[]));
        let unsupported = UNSUPPORTED.iter().map(|variable| format!("| `{}` | {} |", variable.name, variable.reason));
        let expected: Vec<String> = addresses.chain(texts).chain(unsupported).collect();
        for row in &expected {
            assert!(page.lines().any(|line| line == row), "docs/settings.md has no line\n{row}");
        }
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        assert_eq!(rows.count(), expected.len(), "docs/settings.md has rows that the code does not");
    }
}
