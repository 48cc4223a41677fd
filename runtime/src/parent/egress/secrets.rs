//! Secrets: values that steps send without knowing them. `secret:NAME` in a header is replaced by the value here.

use core::fmt;
use std::collections::BTreeMap;

use bue_model::NetRule;
use bytes::Bytes;

use crate::parent::egress::gate::{Authority, Gate, MissingPermission, NetPolicy, PolicySource, Refusal};

/// The prefix of a secret's name in a header.
const PREFIX: &[u8] = b"secret:";

/// A secret of the worker, and how steps may use it.
#[derive(Clone)]
pub struct Secret {
    /// The value.
    pub value: String,
    /// The hosts it may be sent to. Empty means every host that the step may reach.
    pub hosts: Vec<NetRule>,
    /// Whether steps may read the value itself.
    pub readable: bool,
}

/// Leaves the value out, so that no log contains it.
impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Secret")
            .field("hosts", &self.hosts)
            .field("readable", &self.readable)
            .finish_non_exhaustive()
    }
}

/// The worker's secrets as one step may use them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secrets<'a> {
    pub(crate) available: &'a BTreeMap<String, Secret>,
    /// The names in the script's `!allow secret`.
    pub(crate) requested: &'a [String],
}

impl Secrets<'_> {
    fn find(&self, name: &str) -> Result<&Secret, Refusal> {
        if !self.requested.iter().any(|requested| requested == name) {
            let message =
                format!("the script does not allow the secret {name}: write `!allow secret {name}` above the step");
            return Err(refusal(message, PolicySource::Script, MissingPermission::Secret(name.to_owned())));
        }
        self.available.get(name).ok_or_else(|| {
            let message =
                format!("the worker has no secret {name}: start it with `BUE_SECRET_{name}` in its environment");
            refusal(message, PolicySource::Worker, MissingPermission::Secret(name.to_owned()))
        })
    }

    /// Returns the value itself, for the step.
    pub(crate) fn read(&self, name: &str) -> Result<String, Refusal> {
        let secret = self.find(name)?;
        if secret.readable {
            return Ok(secret.value.clone());
        }
        let message = format!(
            "the worker does not let steps read the secret {name}: put `secret:{name}` into a header, where it is filled in \
             on its way, or set `readable = true` for it in bue.toml"
        );
        Err(refusal(message, PolicySource::Worker, MissingPermission::Readable(name.to_owned())))
    }

    /// Returns a header's value with its secrets filled in; `None` if it names none.
    pub(crate) fn fill(&self, value: &[u8], authority: &Authority) -> Result<Option<Bytes>, Refusal> {
        let Some(mut at) = find_prefix(value) else { return Ok(None) };
        let (mut filled, mut rest) = (Vec::with_capacity(value.len()), value);
        loop {
            let (before, after) = rest.split_at(at);
            let after = after.get(PREFIX.len()..).unwrap_or_default();
            let (name, remaining) = after.split_at(name_len(after));
            filled.extend_from_slice(before);
            filled.extend_from_slice(self.value_for(&String::from_utf8_lossy(name), authority)?.as_bytes());
            rest = remaining;
            match find_prefix(rest) {
                Some(next) => at = next,
                None => break,
            }
        }
        filled.extend_from_slice(rest);
        Ok(Some(filled.into()))
    }

    /// Returns a secret's value for a request to this host.
    fn value_for(&self, name: &str, authority: &Authority) -> Result<&str, Refusal> {
        let secret = self.find(name)?;
        let hosts = NetPolicy::Rules(secret.hosts.clone());
        if secret.hosts.is_empty() || Gate::new(&hosts, &NetPolicy::Anything, "").check_authority(authority).is_ok() {
            return Ok(&secret.value);
        }
        let message = format!(
            "the worker does not send the secret {name} to {authority}: name the host in bue.toml, `[secrets]`"
        );
        Err(refusal(message, PolicySource::Worker, MissingPermission::SecretHost(name.to_owned(), authority.rule())))
    }
}

fn refusal(message: String, source: PolicySource, missing: MissingPermission) -> Refusal {
    Refusal { message, missing: vec![(source, missing)] }
}

/// Returns the position of the first prefix: at the beginning of a word and followed by a name.
fn find_prefix(value: &[u8]) -> Option<usize> {
    let prefixes = value.windows(PREFIX.len()).enumerate().filter(|(_, window)| *window == PREFIX);
    let begins_word = |at: usize| at == 0 || value.get(at - 1).is_some_and(|before| !before.is_ascii_alphanumeric());
    let named = |at: usize| value.get(at + PREFIX.len()..).is_some_and(|after| name_len(after) > 0);
    prefixes.map(|(at, _)| at).find(|at| begins_word(*at) && named(*at))
}

fn name_len(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte)).count()
}

#[cfg(test)]
mod tests {
    use url::Host;

    use super::*;

    fn filled(header: &str, host: &str) -> Result<Option<String>, String> {
        let secret = |value: &str, hosts: &[&str]| Secret {
            value: value.to_owned(),
            hosts: hosts.iter().map(|rule| rule.parse().expect("a rule")).collect(),
            readable: false,
        };
        let available = BTreeMap::from([
            ("KEY".to_owned(), secret("v1", &[])),
            ("OTHER".to_owned(), secret("v2", &["*.example.com:443"])),
        ]);
        let requested = ["KEY", "OTHER", "ABSENT"].map(str::to_owned);
        let authority = Authority { host: Host::parse(host).expect("a host"), port: 443 };
        let filled = Secrets { available: &available, requested: &requested }.fill(header.as_bytes(), &authority);
        filled
            .map(|bytes| bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
            .map_err(|refusal| refusal.message)
    }

    #[test]
    fn secrets_in_a_header_are_filled_in_and_the_rest_stays() {
        for (header, expected) in [
            ("secret:KEY", Some("v1")),
            ("Bearer secret:KEY", Some("Bearer v1")),
            ("a=secret:KEY; b=\"secret:OTHER\"", Some("a=v1; b=\"v2\"")),
            ("no prefix", None),
            ("topsecret:KEY", None),
            ("secret: KEY", None),
        ] {
            assert_eq!(filled(header, "api.example.com").expect("allowed").as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn a_secret_goes_only_where_it_may() {
        assert!(filled("secret:OTHER", "example.org").expect_err("refused").contains("OTHER"));
        assert!(filled("secret:NOBODY", "a.example").expect_err("refused").contains("`!allow secret NOBODY`"));
        assert!(filled("secret:ABSENT", "a.example").expect_err("refused").contains("BUE_SECRET_ABSENT"));
    }
}
