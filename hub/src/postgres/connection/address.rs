//! [`Address`]: where a PostgreSQL database is and how it is reached, parsed from a connection string in the syntax of libpq.
//!
//! The driver parses most of it. `sslmode`, with all its values, and `sslrootcert` are parsed here.

use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls::{Trust, connector};
use crate::error::HubError;

/// Limit for a new connection.
pub(in crate::postgres) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time after which a connection is dead: without acknowledgement of bytes (`TCP_USER_TIMEOUT`), or idle without keep-alive.
const DEAD_PEER_TIMEOUT: Duration = Duration::from_secs(10);
/// Settings of every connection: our schema, timeouts, and how to plan. Every query is written for an index: a planner with no
/// statistics of a table yet, or with outdated ones, would scan a million jobs to find a hundred. Each query is planned once, not
/// for each execution.
const OPTIONS: &str = "-c search_path=bue -c statement_timeout=30s -c lock_timeout=10s \
     -c idle_in_transaction_session_timeout=60s -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off \
     -c jit=off -c plan_cache_mode=force_generic_plan";
/// In place of the driver's message, which may contain parts of a password with special characters.
const INVALID_ADDRESS: &str = "the address of the PostgreSQL database is invalid; type \
     postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %XX for special characters in the password (%40 for @), or \
     `host=… port=… user=… password=… dbname=…`, with quotes around values that contain blanks";

/// A database, and how its server is authenticated.
#[derive(Clone)]
pub(in crate::postgres) struct Address {
    pub(in crate::postgres) config: Config,
    pub(in crate::postgres) tls: MakeRustlsConnect,
}

impl Address {
    /// Parses a connection string, and reads the file of its `sslrootcert`.
    pub(in crate::postgres) fn parse(text: &str) -> Result<Self, HubError> {
        let (remaining, tls) = split_tls(text).ok_or_else(invalid_address)?;
        let mut config = Config::from_str(&remaining).map_err(|_| invalid_address())?;
        let (mode, trust) = tls.resolve()?;
        let options = [config.get_options().unwrap_or_default(), OPTIONS].join(" ");
        config.ssl_mode(mode).options(options.trim()).application_name("bue hub").connect_timeout(CONNECT_TIMEOUT);
        config.keepalives_idle(DEAD_PEER_TIMEOUT).keepalives_interval(DEAD_PEER_TIMEOUT / 5).keepalives_retries(3);
        config.tcp_user_timeout(DEAD_PEER_TIMEOUT);
        Ok(Self { config, tls: connector(trust, tls.root.as_deref())? })
    }

    /// Returns the address for messages, without the password: `database `d` of user `u` at h:5432`.
    pub(in crate::postgres) fn display_text(&self) -> String {
        let user = self.config.get_user().unwrap_or("postgres");
        let database = self.config.get_dbname().unwrap_or(user);
        let ports = self.config.get_ports();
        let port = |at: usize| ports.get(at).or_else(|| ports.first()).copied().unwrap_or(5432);
        let hosts = self.config.get_hosts().iter().enumerate().map(|(at, host)| match host {
            Host::Tcp(name) => format!("{name}:{}", port(at)),
            Host::Unix(folder) => format!("{}/.s.PGSQL.{}", folder.display(), port(at)),
        });
        let hosts: Vec<String> = hosts.collect();
        format!("database `{database}` of user `{user}` at {}", hosts.join(", "))
    }
}

fn invalid_address() -> HubError {
    HubError::BadRequest(INVALID_ADDRESS.to_owned())
}

/// The TLS parameters of a connection string.
#[derive(Debug, Default, PartialEq, Eq)]
struct TlsParameters {
    mode: Option<String>,
    root: Option<PathBuf>,
}

impl TlsParameters {
    /// Sets a parameter; returns whether it is one of TLS.
    fn set(&mut self, key: &str, value: String) -> bool {
        match key {
            "sslmode" => self.mode = Some(value),
            // the system's authorities are the default anyway
            "sslrootcert" => self.root = (value != "system").then(|| PathBuf::from(value)),
            _ => return false,
        }
        true
    }

    /// Returns the driver's mode and what is checked, as libpq defines it: a mode that allows connections without TLS checks
    /// nothing, because an attacker who can eavesdrop could turn TLS off; `require` checks the authority if one is named.
    fn resolve(&self) -> Result<(SslMode, Trust), HubError> {
        Ok(match (self.mode.as_deref(), &self.root) {
            (Some("disable"), _) => (SslMode::Disable, Trust::Any),
            (None | Some("prefer"), _) => (SslMode::Prefer, Trust::Any),
            (Some("require"), None) => (SslMode::Require, Trust::Any),
            (Some("require" | "verify-ca"), _) => (SslMode::Require, Trust::Authority),
            (Some("verify-full"), _) => (SslMode::Require, Trust::Name),
            _ => {
                let modes = "`sslmode` must be one of disable, prefer, require, verify-ca and verify-full";
                return Err(HubError::BadRequest(modes.to_owned()));
            }
        })
    }
}

/// Splits a connection string into everything else and its TLS parameters.
fn split_tls(text: &str) -> Option<(String, TlsParameters)> {
    let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
    if is_url { split_url(text) } else { split_words(text) }
}

fn split_url(text: &str) -> Option<(String, TlsParameters)> {
    let mut tls = TlsParameters::default();
    let Some((start, query)) = text.split_once('?') else { return Some((text.to_owned(), tls)) };
    let mut remaining = Vec::new();
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=')?;
        let value = percent_decode_str(value).decode_utf8().ok()?.into_owned();
        if !tls.set(key, value) {
            remaining.push(pair);
        }
    }
    let query = if remaining.is_empty() { String::new() } else { format!("?{}", remaining.join("&")) };
    Some((format!("{start}{query}"), tls))
}

fn split_words(text: &str) -> Option<(String, TlsParameters)> {
    let (mut remaining, mut tls, mut at) = (String::new(), TlsParameters::default(), 0);
    while let Some(word) = next_word(text, at)? {
        if !tls.set(text.get(word.key)?, word.value) {
            remaining.push_str(text.get(at..word.end)?);
        }
        at = word.end;
    }
    Some((remaining, tls))
}

/// `key = value` or `key = 'value'`; a backslash escapes the character after it.
struct Word {
    key: Range<usize>,
    value: String,
    end: usize,
}

/// Parses the next word from a position on; `Some(None)` at the end, `None` for a syntax error.
fn next_word(text: &str, at: usize) -> Option<Option<Word>> {
    let remaining = text.get(at..)?;
    let start = at + (remaining.len() - remaining.trim_start().len());
    if start == text.len() {
        return Some(None);
    }
    let equals = start + text.get(start..)?.find('=')?;
    let key = start..start + text.get(start..equals)?.trim_end().len();
    let after = text.get(equals + 1..)?;
    let mut characters = after.trim_start().chars();
    let is_quoted = after.trim_start().starts_with('\'');
    if is_quoted {
        characters.next();
    }
    let mut value = String::new();
    loop {
        match characters.next() {
            Some('\\') => value.push(characters.next()?),
            Some('\'') if is_quoted => break,
            None if is_quoted => return None,
            None => break,
            Some(character) if character.is_whitespace() && !is_quoted => break,
            Some(character) => value.push(character),
        }
    }
    Some(Some(Word { key, value, end: text.len() - characters.as_str().len() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> (String, Option<String>, Option<PathBuf>) {
        let (remaining, tls) = split_tls(text).expect(text);
        (remaining, tls.mode, tls.root)
    }

    #[test]
    fn tls_parameters_are_split_off_in_both_syntaxes() {
        let full = (Some("verify-full".to_owned()), Some(PathBuf::from("/a b/c")));
        let url = "postgres://u:p%3F@h/d?sslmode=verify-full&application_name=x&sslrootcert=%2Fa%20b/c";
        let (remaining, mode, root) = split(url);
        assert_eq!((remaining.as_str(), (mode, root)), ("postgres://u:p%3F@h/d?application_name=x", full.clone()));
        let (remaining, mode, root) =
            split("host=h sslmode = verify-full password='a \\' sslmode=x' sslrootcert='/a b/c' user=u");
        assert_eq!((mode, root), full);
        assert_eq!(remaining, "host=h password='a \\' sslmode=x'  user=u".replace("  ", " "));
        assert_eq!(split("postgres://h/d?sslmode=disable").0, "postgres://h/d");
        assert_eq!(split("host=h sslrootcert=system").2, None);
    }

    #[test]
    fn no_message_contains_part_of_a_password() {
        for text in
            ["postgres://u:pa?ss@h/d", "postgres://u:secret@h:port/d", "host=h password='secret", "secret", "a=secret"]
        {
            let error = Address::parse(text).err().expect(text).to_string();
            assert!(!error.contains("secret") && !error.contains("ss@"), "{error}");
        }
        let address = Address::parse("postgres://u:secret@h:1,i:2/d").expect("an address");
        assert_eq!(address.display_text(), "database `d` of user `u` at h:1, i:2");
    }

    #[test]
    fn an_unknown_mode_is_refused_with_the_list_of_modes() {
        let error = Address::parse("host=h user=u sslmode=allow").err().expect("a refusal");
        assert!(error.to_string().contains("verify-full"), "{error}");
    }
}
