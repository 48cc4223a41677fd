//! [`Address`]: where a PostgreSQL database is and how it is reached, from a connection string as libpq has them.
//!
//! The driver reads most of it; `sslmode` in all its values, and `sslrootcert`, are read here.

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

/// Longest wait for a new connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server may leave bytes unacknowledged before it counts as gone; and how long it may be silent while idle.
const GONE: Duration = Duration::from_secs(10);
/// What every connection is told: our schema; that nothing may hang for ever; and how to plan. Every question here is made for
/// an index: a planner that knows nothing yet of a table, or thinks of what it held before, would walk through a million jobs
/// for the sake of a hundred. And it plans each question once, not each time.
const OPTIONS: &str = "-c search_path=bue -c statement_timeout=30s -c lock_timeout=10s \
     -c idle_in_transaction_session_timeout=60s -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off \
     -c jit=off -c plan_cache_mode=force_generic_plan";
/// Said in place of the driver's words, which may hold parts of a password with strange letters.
const NOT_UNDERSTOOD: &str = "the address of the PostgreSQL database is not understood; type \
     postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %XX for letters of the password that are not plain (%40 for @), or \
     `host=… port=… user=… password=… dbname=…`, with quotes around what has blanks";

/// A database, and how much its server is trusted.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
}

impl Address {
    /// Reads a connection string, and the file of its `sslrootcert`.
    pub(super) fn parse(text: &str) -> Result<Self, HubError> {
        let (rest, tls) = take_tls(text).ok_or_else(not_understood)?;
        let mut config = Config::from_str(&rest).map_err(|_| not_understood())?;
        let (mode, trust) = tls.meaning()?;
        let options = [config.get_options().unwrap_or_default(), OPTIONS].join(" ");
        config.ssl_mode(mode).options(options.trim()).application_name("bue hub").connect_timeout(CONNECT_TIMEOUT);
        config.keepalives_idle(GONE).keepalives_interval(GONE / 5).keepalives_retries(3).tcp_user_timeout(GONE);
        Ok(Self { config, tls: connector(trust, tls.root.as_deref())? })
    }

    /// For people, without a password: `database `d` of user `u` at h:5432`.
    pub(super) fn shown(&self) -> String {
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

fn not_understood() -> HubError {
    HubError::BadRequest(NOT_UNDERSTOOD.to_owned())
}

/// What a connection string says of TLS.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tls {
    mode: Option<String>,
    root: Option<PathBuf>,
}

impl Tls {
    fn set(&mut self, key: &str, value: String) -> bool {
        match key {
            "sslmode" => self.mode = Some(value),
            // the system's authorities are what is used anyway
            "sslrootcert" => self.root = (value != "system").then(|| PathBuf::from(value)),
            _ => return false,
        }
        true
    }

    /// As libpq has it: a mode that could do without TLS checks nothing, for whoever can read along can also turn it off;
    /// `require` checks an authority that is named.
    fn meaning(&self) -> Result<(SslMode, Trust), HubError> {
        Ok(match (self.mode.as_deref(), &self.root) {
            (Some("disable"), _) => (SslMode::Disable, Trust::Anybody),
            (None | Some("prefer"), _) => (SslMode::Prefer, Trust::Anybody),
            (Some("require"), None) => (SslMode::Require, Trust::Anybody),
            (Some("require" | "verify-ca"), _) => (SslMode::Require, Trust::Authority),
            (Some("verify-full"), _) => (SslMode::Require, Trust::Name),
            _ => {
                let modes = "`sslmode` is one of disable, prefer, require, verify-ca and verify-full";
                return Err(HubError::BadRequest(modes.to_owned()));
            }
        })
    }
}

/// The string without what it says of TLS, and that.
fn take_tls(text: &str) -> Option<(String, Tls)> {
    let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
    if is_url { Some(take_from_url(text)?) } else { take_from_words(text) }
}

fn take_from_url(text: &str) -> Option<(String, Tls)> {
    let mut tls = Tls::default();
    let Some((start, query)) = text.split_once('?') else { return Some((text.to_owned(), tls)) };
    let mut rest = Vec::new();
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=')?;
        let value = percent_decode_str(value).decode_utf8().ok()?.into_owned();
        if !tls.set(key, value) {
            rest.push(pair);
        }
    }
    let query = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
    Some((format!("{start}{query}"), tls))
}

fn take_from_words(text: &str) -> Option<(String, Tls)> {
    let (mut rest, mut tls, mut at) = (String::new(), Tls::default(), 0);
    while let Some(word) = next_word(text, at)? {
        if !tls.set(text.get(word.key)?, word.value) {
            rest.push_str(text.get(at..word.end)?);
        }
        at = word.end;
    }
    Some((rest, tls))
}

/// `key = value` or `key = 'value'`, where a backslash keeps the letter behind it as it is.
struct Word {
    key: Range<usize>,
    value: String,
    end: usize,
}

/// The next word from a position on; `Some(None)` at the end, `None` where there is something else.
fn next_word(text: &str, at: usize) -> Option<Option<Word>> {
    let rest = text.get(at..)?;
    let start = at + (rest.len() - rest.trim_start().len());
    if start == text.len() {
        return Some(None);
    }
    let equals = start + text.get(start..)?.find('=')?;
    let key = start..start + text.get(start..equals)?.trim_end().len();
    let behind = text.get(equals + 1..)?;
    let mut letters = behind.trim_start().chars();
    let quoted = behind.trim_start().starts_with('\'');
    if quoted {
        letters.next();
    }
    let mut value = String::new();
    loop {
        match letters.next() {
            Some('\\') => value.push(letters.next()?),
            Some('\'') if quoted => break,
            None if quoted => return None,
            None => break,
            Some(letter) if letter.is_whitespace() && !quoted => break,
            Some(letter) => value.push(letter),
        }
    }
    Some(Some(Word { key, value, end: text.len() - letters.as_str().len() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> (String, Option<String>, Option<PathBuf>) {
        let (rest, tls) = take_tls(text).expect(text);
        (rest, tls.mode, tls.root)
    }

    #[test]
    fn what_is_said_of_tls_is_taken_out_of_both_spellings() {
        let full = (Some("verify-full".to_owned()), Some(PathBuf::from("/a b/c")));
        let url = "postgres://u:p%3F@h/d?sslmode=verify-full&application_name=x&sslrootcert=%2Fa%20b/c";
        let (rest, mode, root) = taken(url);
        assert_eq!((rest.as_str(), (mode, root)), ("postgres://u:p%3F@h/d?application_name=x", full.clone()));
        let (rest, mode, root) =
            taken("host=h sslmode = verify-full password='a \\' sslmode=x' sslrootcert='/a b/c' user=u");
        assert_eq!((mode, root), full);
        assert_eq!(rest, "host=h password='a \\' sslmode=x'  user=u".replace("  ", " "));
        assert_eq!(taken("postgres://h/d?sslmode=disable").0, "postgres://h/d");
        assert_eq!(taken("host=h sslrootcert=system").2, None);
    }

    #[test]
    fn no_part_of_a_password_is_said() {
        for text in
            ["postgres://u:pa?ss@h/d", "postgres://u:secret@h:port/d", "host=h password='secret", "secret", "a=secret"]
        {
            let error = Address::parse(text).err().expect(text).to_string();
            assert!(!error.contains("secret") && !error.contains("ss@"), "{error}");
        }
        let address = Address::parse("postgres://u:secret@h:1,i:2/d").expect("an address");
        assert_eq!(address.shown(), "database `d` of user `u` at h:1, i:2");
    }

    #[test]
    fn an_unknown_mode_is_refused_with_those_that_are_known() {
        let error = Address::parse("host=h user=u sslmode=allow").err().expect("a refusal");
        assert!(error.to_string().contains("verify-full"), "{error}");
    }
}
