//! The address and credentials of a database: part of a worker's configuration, invisible to scripts.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::num::NonZeroUsize;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::error_chain;
use super::tls;

/// Gives up on a server after this time, unless the URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// PostgreSQL's default port.
pub(super) const DEFAULT_PORT: u16 = 5432;

/// A database that postgres steps may use.
#[derive(Clone)]
pub struct Database {
    pub(super) config: Config,
    /// `Some` if the connection uses TLS.
    pub(super) tls: Option<MakeRustlsConnect>,
    /// Connections at most; further steps wait for one.
    pub(super) connections: NonZeroUsize,
    /// The scopes whose steps may use it. Empty means all.
    pub(super) scopes: Vec<String>,
    /// Steps run as its role even if that can reach the server's files or the hub's tables.
    pub(super) allows_privileged_role: bool,
}

/// A database given in parts, as the `POSTGRES_*` variables do. Each `None` means PostgreSQL's default.
#[derive(Clone, Default)]
pub struct DatabaseParts {
    /// A name, an address, or the folder of a Unix socket. Default `localhost`.
    pub host: Option<String>,
    /// Default 5432.
    pub port: Option<u16>,
    /// The role. Default: the name of the user that runs this process.
    pub user: Option<String>,
    /// Its password, if it needs one.
    pub password: Option<String>,
    /// The database's name. Default: the role's.
    pub database: Option<String>,
}

/// A text that is not the URL of a database. It never contains the URL, which may contain a password.
#[derive(Debug, thiserror::Error)]
#[error("it is not a PostgreSQL URL: {0}; write postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
pub struct BadDatabaseUrl(String);

impl Database {
    /// Parses `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require`, or `host=… user=… dbname=…`. At most
    /// `connections` steps use it at once. With `sslmode=require` or `verify-full`, the connection uses TLS and verifies the
    /// server's certificate; otherwise it is unencrypted.
    ///
    /// # Errors
    /// A text that is neither, or a request for TLS on a system without certificate authorities.
    pub fn from_url(url: &str, connections: NonZeroUsize) -> Result<Self, BadDatabaseUrl> {
        // the same here: the certificate is always verified
        let url = url.replace("sslmode=verify-full", "sslmode=require");
        let config = Config::from_str(&url).map_err(|error| BadDatabaseUrl(error_chain(&error)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(BadDatabaseUrl("it names no host".to_owned()));
        }
        check_servers(&config).map_err(BadDatabaseUrl)?;
        let tls = (config.get_ssl_mode() == SslMode::Require).then(tls::connector).transpose();
        let tls = tls.map_err(BadDatabaseUrl)?;
        Ok(Self { tls, ..Self::new(config, connections) })
    }

    /// Lets only steps of these scopes use it; an empty list means all.
    #[must_use]
    pub fn restricted_to(self, scopes: Vec<String>) -> Self {
        Self { scopes, ..self }
    }

    /// Returns whether steps of this scope may use it.
    pub(super) fn serves(&self, scope: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|served| served == scope)
    }

    /// Returns its password, if it has one that is UTF-8.
    pub(super) fn password(&self) -> Option<String> {
        self.config.get_password().and_then(|password| String::from_utf8(password.to_vec()).ok())
    }

    /// A database given in parts.
    #[must_use]
    pub fn from_parts(parts: &DatabaseParts, connections: NonZeroUsize) -> Self {
        let mut config = Config::new();
        config.host(parts.host.as_deref().unwrap_or("localhost"));
        if let Some(port) = parts.port {
            config.port(port);
        }
        if let Some(user) = &parts.user {
            config.user(user);
        }
        if let Some(password) = &parts.password {
            config.password(password);
        }
        if let Some(database) = &parts.database {
            config.dbname(database);
        }
        Self::new(config, connections)
    }

    /// Returns the addresses of its servers, `host:port` each. Unix sockets are left out.
    pub(super) fn servers(&self) -> Vec<String> {
        let ports = self.config.get_ports();
        let at = |index: usize, host: String| {
            // a single port is that of all hosts; without one it is the default
            let port = ports.get(index).or_else(|| ports.first()).copied().unwrap_or(DEFAULT_PORT);
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
        };
        let names = self.config.get_hosts().iter().enumerate().filter_map(|(index, host)| match host {
            Host::Tcp(name) => Some(at(index, name.clone())),
            Host::Unix(_) => None,
        });
        let addresses = self.config.get_hostaddrs().iter().enumerate();
        names.chain(addresses.map(|(index, address)| at(index, address.to_string()))).collect()
    }

    fn new(mut config: Config, connections: NonZeroUsize) -> Self {
        if config.get_application_name().is_none() {
            config.application_name("bue step");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        Self { config, tls: None, connections, scopes: Vec::new(), allows_privileged_role: false }
    }
}

/// Refuses servers that could be read in two ways, as libpq does, and settings that [`dial`](super::dial) does not follow.
fn check_servers(config: &Config) -> Result<(), String> {
    let (hosts, addresses, ports) = (config.get_hosts().len(), config.get_hostaddrs().len(), config.get_ports().len());
    if hosts > 0 && addresses > 0 && hosts != addresses {
        return Err(format!("it has {hosts} hosts and {addresses} addresses in `hostaddr`; give each host one"));
    }
    let servers = hosts.max(addresses);
    if ports > 1 && ports != servers {
        return Err(format!("it has {servers} hosts and {ports} ports; give one port, or one for each host"));
    }
    match config.get_load_balance_hosts() {
        LoadBalanceHosts::Disable => Ok(()),
        _ => Err("`load_balance_hosts` is not supported; leave it out: the hosts are tried in their order".to_owned()),
    }
}

impl fmt::Display for Database {
    /// Host, port, user and database; never the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let names: Vec<String> = names.collect();
        let ports: Vec<String> = self.config.get_ports().iter().map(u16::to_string).collect();
        write!(f, "host {}", names.join(", "))?;
        write!(f, ", port {}", if ports.is_empty() { "5432".to_owned() } else { ports.join(", ") })?;
        write!(f, ", user {}", self.config.get_user().unwrap_or("(this system's user)"))?;
        write!(f, ", database {}", self.config.get_dbname().unwrap_or("(the user's name)"))
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({self})")
    }
}

impl fmt::Debug for DatabaseParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Database::from_parts(self, NonZeroUsize::MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_says_where_its_servers_are() {
        for (url, servers) in [
            ("postgres://u@db.internal/d", vec!["db.internal:5432"]),
            ("postgres://u@[::1]:5433/d", vec!["[::1]:5433"]),
            ("host=a,b port=1,2 user=u", vec!["a:1", "b:2"]),
            ("host=a,b port=3 user=u", vec!["a:3", "b:3"]),
            ("host=a hostaddr=10.0.0.5 port=4 user=u", vec!["a:4", "10.0.0.5:4"]),
            ("host=/run/postgresql user=u", vec![]),
        ] {
            let database = Database::from_url(url, NonZeroUsize::MIN).expect("a database");
            assert_eq!(database.servers(), servers, "{url}");
        }
        for (url, problem) in [
            ("host=a,b port=1,2,3 user=u", "2 hosts and 3 ports"),
            ("host=a,b hostaddr=10.0.0.5 user=u", "2 hosts and 1 addresses"),
            ("host=a,b load_balance_hosts=random user=u", "`load_balance_hosts` is not supported"),
            ("user=u", "it names no host"),
        ] {
            let message = Database::from_url(url, NonZeroUsize::MIN).expect_err(url).to_string();
            assert!(message.contains(problem), "{message}");
        }
        let parts = DatabaseParts { port: Some(7), ..DatabaseParts::default() };
        assert_eq!(Database::from_parts(&parts, NonZeroUsize::MIN).servers(), ["localhost:7"]);
    }
}
