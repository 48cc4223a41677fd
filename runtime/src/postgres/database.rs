//! Where a database is and how to get in: what a worker is configured with, and no script ever sees.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::num::NonZeroUsize;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::reasons;
use super::tls;

/// A server that does not answer by then does not answer.
const CONNECT: Duration = Duration::from_secs(10);

/// Where PostgreSQL listens if nobody says otherwise.
const PORT: u16 = 5432;

/// A database that postgres steps may work on.
#[derive(Clone)]
pub struct Database {
    pub(super) config: Config,
    /// Where TLS is asked for.
    pub(super) tls: Option<MakeRustlsConnect>,
    /// Connections at once; further steps wait for one.
    pub(super) connections: NonZeroUsize,
}

/// A database told in parts, as `POSTGRES_HOST` and its like do. What is `None` is PostgreSQL's own default.
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

/// A URL that tells no database. Never holds the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("it is no PostgreSQL URL: {0}; write postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
pub struct BadDatabaseUrl(String);

impl Database {
    /// Reads `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require`, or `host=… user=… dbname=…`. At most
    /// `connections` steps work on it at once. With `sslmode=require` or `verify-full` the connection is TLS, and the server's
    /// certificate is checked; without, it is plain.
    ///
    /// # Errors
    /// A text that is neither; or it asks for TLS, and this system knows no authorities.
    pub fn from_url(url: &str, connections: NonZeroUsize) -> Result<Self, BadDatabaseUrl> {
        // the same to us: a certificate that is asked for is checked
        let url = url.replace("sslmode=verify-full", "sslmode=require");
        let config = Config::from_str(&url).map_err(|error| BadDatabaseUrl(reasons(&error)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(BadDatabaseUrl("it names no host".to_owned()));
        }
        let tls = (config.get_ssl_mode() == SslMode::Require).then(tls::connector).transpose();
        let tls = tls.map_err(BadDatabaseUrl)?;
        Ok(Self { tls, ..Self::new(config, connections) })
    }

    /// A database told in parts.
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

    /// Where its servers are, `host:port` each. A Unix socket has no such place.
    pub(super) fn servers(&self) -> Vec<String> {
        let ports = self.config.get_ports();
        let at = |index: usize, host: String| {
            // one port is that of all hosts, and none is PostgreSQL's own
            let port = ports.get(index).or_else(|| ports.first()).copied().unwrap_or(PORT);
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
            config.connect_timeout(CONNECT);
        }
        Self { config, tls: None, connections }
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
        let parts = DatabaseParts { port: Some(7), ..DatabaseParts::default() };
        assert_eq!(Database::from_parts(&parts, NonZeroUsize::MIN).servers(), ["localhost:7"]);
    }
}
