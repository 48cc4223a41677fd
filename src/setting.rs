//! The table of all settings: what each is called in the environment, in `.env` and in `bue.toml`, and what it says.
//!
//! Each has a name of ours and, where the systems before bue had one, theirs too. `docs/settings.md` shows the table; a test
//! compares the two.

/// A setting that is one text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Names in the environment and in `.env`, the first one wins.
    pub(crate) names: &'static [&'static str],
    /// Table and key in `bue.toml`.
    pub(crate) key: (&'static str, &'static str),
    /// What it says, for the documentation.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds docs/settings.md to it"))]
    pub(crate) about: &'static str,
}

/// A setting that is an address, in one variable or in two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddressSetting {
    /// Whole: `HOST:PORT`.
    pub(crate) whole: Setting,
    /// Variable of the host alone.
    pub(crate) host: &'static str,
    /// Variable of the port alone.
    pub(crate) port: &'static str,
    /// Port where nothing is set.
    pub(crate) default_port: &'static str,
}

impl Setting {
    /// The name to use in messages.
    pub(crate) fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or(self.key.1)
    }
}

const fn setting(names: &'static [&'static str], key: (&'static str, &'static str), about: &'static str) -> Setting {
    Setting { names, key, about }
}

/// Where the hub listens.
pub(crate) const HUB_LISTEN: AddressSetting = AddressSetting {
    whole: setting(&["BUE_HUB_LISTEN"], ("hub", "listen"), "where the hub listens; 127.0.0.1:65432"),
    host: "PIPELINE_HOST",
    port: "PIPELINE_PORT",
    default_port: "65432",
};
/// Where the bucket listens.
pub(crate) const BUCKET_LISTEN: AddressSetting = AddressSetting {
    whole: setting(&["BUE_BUCKET_LISTEN"], ("bucket", "listen"), "where the bucket listens; 127.0.0.1:61535"),
    host: "BUCKET_SERVER_HOST",
    port: "BUCKET_SERVER_PORT",
    default_port: "61535",
};
/// Where clients and workers find the hub.
pub(crate) const HUB: AddressSetting = AddressSetting {
    whole: setting(
        &["BUE_HUB"],
        ("client", "hub"),
        "where clients and workers find the hub; several of one database with commas; 127.0.0.1:65432",
    ),
    host: "PIPE_WORKER_HOST",
    port: "PIPE_WORKER_PORT",
    default_port: "65432",
};
/// Where clients and workers find the bucket, and what the hub tells them of it.
pub(crate) const BUCKET: AddressSetting = AddressSetting {
    whole: setting(
        &["BUE_BUCKET"],
        ("client", "bucket"),
        "where the bucket is; clients and workers ask the hub where it is not set; 127.0.0.1:61535",
    ),
    host: "BUCKET_CLIENT_HOST",
    port: "BUCKET_CLIENT_PORT",
    default_port: "61535",
};
/// The token that clients and workers show.
pub(crate) const TOKEN: Setting =
    setting(&["BUE_TOKEN"], ("client", "token"), "the token that clients and workers show, see access.md");
/// A file with that token.
pub(crate) const TOKEN_FILE: Setting =
    setting(&["BUE_TOKEN_FILE"], ("client", "token_file"), "a file with that token, where BUE_TOKEN is not set");
/// The tokens that hub and bucket know.
pub(crate) const TOKENS: Setting =
    setting(&["BUE_TOKENS"], ("access", "tokens"), "the file of tokens that hub and bucket know; `bue.tokens`");
/// The certificate that hub and bucket show.
pub(crate) const TLS_CERT: Setting = setting(
    &["BUE_TLS_CERT"],
    ("tls", "cert"),
    "the certificate that hub and bucket show, and those up to its authority, a PEM file; with it they speak https; see access.md",
);
/// Its key.
pub(crate) const TLS_KEY: Setting =
    setting(&["BUE_TLS_KEY"], ("tls", "key"), "the key of that certificate, a PEM file");
/// Authorities of clients.
pub(crate) const TLS_CLIENT_CA: Setting = setting(
    &["BUE_TLS_CLIENT_CA"],
    ("tls", "client_ca"),
    "authorities, a PEM file; with it hub and bucket ask for a client certificate of theirs",
);
/// Authorities of servers.
pub(crate) const SERVER_CA: Setting = setting(
    &["BUE_SERVER_CA"],
    ("client", "ca"),
    "authorities that sign for hub and bucket, a PEM file; those of the system",
);
/// The certificate that clients and workers show.
pub(crate) const CLIENT_CERT: Setting = setting(
    &["BUE_CLIENT_CERT"],
    ("client", "cert"),
    "the certificate that clients and workers show to servers that ask for one, a PEM file",
);
/// Its key.
pub(crate) const CLIENT_KEY: Setting =
    setting(&["BUE_CLIENT_KEY"], ("client", "key"), "the key of that certificate, a PEM file");
/// Scopes a worker serves, in order.
pub(crate) const SCOPES: Setting =
    setting(&["BUE_SCOPES", "PIPE_WORKER_SCOPES"], ("worker", "scopes"), "scopes a worker serves, first ones first");
/// Last scope and lowest priority first.
pub(crate) const REVERSE: Setting = setting(
    &["BUE_REVERSE", "REVERSE_PRIORITY", "PIPE_WORKER_REVERSE"],
    ("worker", "reverse"),
    "a worker takes the last scope and the lowest priority first; false",
);
/// Jobs a worker runs at a time.
pub(crate) const SLOTS: Setting = setting(
    &["BUE_SLOTS", "N_WORKER_PROCESSES"],
    ("worker", "slots"),
    "jobs a worker holds at a time at most, waiting ones included; 10000",
);
/// Memory of a worker's steps.
pub(crate) const MEMORY: Setting = setting(
    &["BUE_MEMORY"],
    ("worker", "memory"),
    "memory that a worker's steps may have when it takes another job, `8GiB`; half of the machine's",
);
/// The hub's database.
pub(crate) const HUB_STORE: Setting =
    setting(&["BUE_HUB_STORE"], ("hub", "store"), "the hub's database, sqlite:PATH or postgres:URL; sqlite:bue.db");
/// How long a lease lasts.
pub(crate) const LEASE: Setting = setting(
    &["BUE_LEASE"],
    ("hub", "lease"),
    "seconds after which the jobs of a worker that is not heard of run elsewhere, 1 to 3600, the same on all hubs of a database; 8",
);
/// How logs look.
pub(crate) const LOG_FORMAT: Setting = setting(
    &["BUE_LOG_FORMAT"],
    ("log", "format"),
    "`text`, or `json` for an object a line in the logs of hub, bucket and worker; text",
);
/// How long runs are kept that ended.
pub(crate) const KEEP: Setting = setting(
    &["BUE_KEEP"],
    ("hub", "keep"),
    "how long runs are kept that ended, `12h`, `30d`, `forever`; 7 days; see bucket.md",
);
/// Where the bucket keeps its bytes.
pub(crate) const BUCKET_STORE: Setting = setting(
    &["BUE_BUCKET_STORE"],
    ("bucket", "store"),
    "where the bucket keeps its bytes, dir:PATH or s3:BUCKET; dir:bue-blobs; see bucket.md",
);
/// How long blobs are kept that nobody refers to.
pub(crate) const GRACE: Setting = setting(
    &["BUE_GRACE"],
    ("bucket", "grace"),
    "how long the bucket keeps what no run needs, longer than any upload takes; 1 day",
);
/// Where the prepared sandbox is kept.
pub(crate) const CACHE_DIR: Setting = setting(
    &["BUE_CACHE_DIR"],
    ("cache", "dir"),
    "where prepared sandboxes and packages are kept; `bue` in the user's cache directory",
);

/// Hosts that steps may speak to.
pub(crate) const ALLOW_NET: Setting = setting(
    &["BUE_ALLOW_NET"],
    ("allow", "net"),
    "hosts that steps may speak to, if their script asks for them; `*` for all it asks for; nobody; see network.md",
);
/// Certificates that are trusted beside those of the machine.
pub(crate) const CA_FILE: Setting = setting(
    &["BUE_CA_FILE"],
    ("worker", "ca_file"),
    "a file of certificates (PEM) that steps' https trusts beside those of the machine",
);
/// What stands before a secret's name in the environment.
pub(crate) const SECRET_PREFIX: &str = "BUE_SECRET_";

/// What postgres steps work on, where they name no connection: whole, or in parts.
pub(crate) const POSTGRES_URL: Setting = setting(
    &["BUE_POSTGRES_URL"],
    ("postgres", "url"),
    "what postgres steps of a worker work on, postgres://USER:PASSWORD@HOST:PORT/DATABASE; see sql.md",
);
/// Its host.
pub(crate) const POSTGRES_HOST: Setting =
    setting(&["POSTGRES_HOST"], ("postgres", "host"), "the same in parts, where there is no URL; localhost");
/// Its port.
pub(crate) const POSTGRES_PORT: Setting = setting(&["POSTGRES_PORT"], ("postgres", "port"), "its port; 5432");
/// Its role.
pub(crate) const POSTGRES_USER: Setting =
    setting(&["POSTGRES_USER"], ("postgres", "user"), "the role; this system's user");
/// The role's password.
pub(crate) const POSTGRES_PASSWORD: Setting =
    setting(&["POSTGRES_PASSWORD"], ("postgres", "password"), "the role's password");
/// Its database.
pub(crate) const POSTGRES_DATABASE: Setting =
    setting(&["POSTGRES_DATABASE"], ("postgres", "database"), "the database; the role's name");
/// Connections a worker makes to one database.
pub(crate) const POSTGRES_CONNECTIONS: Setting = setting(
    &["BUE_POSTGRES_CONNECTIONS"],
    ("postgres", "connections"),
    "connections a worker makes to each database; further postgres steps wait; 8",
);

/// Addresses.
pub(crate) const ADDRESSES: &[AddressSetting] = &[HUB_LISTEN, BUCKET_LISTEN, HUB, BUCKET];
/// All others.
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
    SLOTS,
    MEMORY,
    HUB_STORE,
    LEASE,
    KEEP,
    BUCKET_STORE,
    LOG_FORMAT,
    GRACE,
    CACHE_DIR,
    ALLOW_NET,
    CA_FILE,
    POSTGRES_URL,
    POSTGRES_HOST,
    POSTGRES_PORT,
    POSTGRES_USER,
    POSTGRES_PASSWORD,
    POSTGRES_DATABASE,
    POSTGRES_CONNECTIONS,
];

/// Whether `bue.toml` may have this key.
pub(crate) fn is_key(table: &str, key: &str) -> bool {
    let wholes = ADDRESSES.iter().map(|address| &address.whole);
    wholes.chain(TEXTS).any(|setting| setting.key == (table, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unsupported::UNSUPPORTED;

    fn row(setting: &Setting, more: &[&str]) -> String {
        let names: Vec<_> = setting.names.iter().chain(more).map(|name| format!("`{name}`")).collect();
        let (table, key) = setting.key;
        format!("| {} | `{table}.{key}` | {} |", names.join(", "), setting.about)
    }

    /// The page has each setting, each unsupported name, and nothing else.
    #[test]
    fn the_page_of_settings_says_what_the_code_does() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md");
        let page = std::fs::read_to_string(path).expect("docs/settings.md");
        let addresses = ADDRESSES.iter().map(|address| row(&address.whole, &[address.host, address.port]));
        let texts = TEXTS.iter().map(|setting| row(setting, &[]));
        let unsupported = UNSUPPORTED.iter().map(|(name, _, reason)| format!("| `{name}` | {reason} |"));
        let expected: Vec<String> = addresses.chain(texts).chain(unsupported).collect();
        for row in &expected {
            assert!(page.lines().any(|line| line == row), "docs/settings.md has no line\n{row}");
        }
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        assert_eq!(rows.count(), expected.len(), "docs/settings.md has lines that the code does not");
    }
}
