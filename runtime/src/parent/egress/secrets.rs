//! Secrets: values that steps send without knowing them. `secret:NAME` in a header is replaced by the value here.

use core::fmt;
use std::collections::BTreeMap;

use bue_model::NetRule;
use bytes::Bytes;

use crate::parent::egress::gate::{Authority, MissingPermission, NetPolicy, PolicySource, Refusal, Traffic};

/// The prefix of a secret's name in a header.
const PREFIX: &[u8] = b"secret:";

/// A secret of the worker, and how steps may use it.
#[derive(Clone, Default)]
pub struct Secret {
    /// The value.
    pub value: String,
    /// The hosts it may be sent to. Empty means those that the worker's own rules name: the script chooses none of them, so
    /// [`NetPolicy::Public`] alone sends it nowhere.
    pub hosts: Vec<NetRule>,
    /// The scopes whose steps may use it. Empty means all.
    pub scopes: Vec<String>,
    /// Whether steps may read the value itself.
    pub readable: bool,
    /// Whether it may be sent over plain HTTP, where everybody on the way can read it.
    pub insecure: bool,
}

/// Leaves the value out, so that no log contains it.
impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Secret")
            .field("hosts", &self.hosts)
            .field("scopes", &self.scopes)
            .field("readable", &self.readable)
            .field("insecure", &self.insecure)
            .finish_non_exhaustive()
    }
}

/// The worker's secrets as one step may use them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secrets<'a> {
    pub(crate) available: &'a BTreeMap<String, Secret>,
    /// The names in the script's `!allow secret`.
    pub(crate) requested: &'a [String],
    /// The scope of the step.
    pub(crate) scope: &'a str,
    /// The worker's rules for hosts.
    pub(crate) allowed: &'a NetPolicy,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipient<'a> {
    pub(crate) authority: &'a Authority,
    pub(crate) method: &'a str,
    /// The scheme is https.
    pub(crate) is_encrypted: bool,
}

impl Secrets<'_> {
    fn find(&self, name: &str) -> Result<&Secret, Refusal> {
        if !self.requested.iter().any(|requested| requested == name) {
            let message =
                format!("the script does not allow the secret {name}: write `!allow secret {name}` above the step");
            return Err(refusal(message, PolicySource::Script, MissingPermission::Secret(name.to_owned())));
        }
        let secret = self.available.get(name).ok_or_else(|| {
            let message =
                format!("the worker has no secret {name}: start it with `BUE_SECRET_{name}` in its environment");
            refusal(message, PolicySource::Worker, MissingPermission::Secret(name.to_owned()))
        })?;
        if secret.scopes.is_empty() || secret.scopes.iter().any(|scope| scope == self.scope) {
            return Ok(secret);
        }
        let scope = self.scope.to_owned();
        let message = format!(
            "the worker does not let steps of the scope `{scope}` use the secret {name}: add the scope to its `scopes` in \
             bue.toml, `[secrets]`"
        );
        Err(refusal(message, PolicySource::Worker, MissingPermission::SecretScope(name.to_owned(), scope)))
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
    pub(crate) fn fill(&self, value: &[u8], recipient: Recipient<'_>) -> Result<Option<Bytes>, Refusal> {
        let Some(mut at) = find_prefix(value) else { return Ok(None) };
        let (mut filled, mut rest) = (Vec::with_capacity(value.len()), value);
        loop {
            let (before, after) = rest.split_at(at);
            let after = after.get(PREFIX.len()..).unwrap_or_default();
            let (name, remaining) = after.split_at(name_len(after));
            filled.extend_from_slice(before);
            filled.extend_from_slice(self.value_for(&String::from_utf8_lossy(name), recipient)?.as_bytes());
            rest = remaining;
            match find_prefix(rest) {
                Some(next) => at = next,
                None => break,
            }
        }
        filled.extend_from_slice(rest);
        Ok(Some(filled.into()))
    }

    /// Returns a secret's value for a request to this recipient.
    fn value_for(&self, name: &str, recipient: Recipient<'_>) -> Result<&str, Refusal> {
        let secret = self.find(name)?;
        self.check_host(name, secret, recipient)?;
        if recipient.is_encrypted || secret.insecure {
            return Ok(&secret.value);
        }
        let message = format!(
            "the worker sends the secret {name} over https only, and this request to {} uses http: write `https://` in the \
             step, or set `insecure = true` for it in bue.toml, `[secrets]`",
            recipient.authority
        );
        Err(refusal(message, PolicySource::Worker, MissingPermission::Insecure(name.to_owned())))
    }

    fn check_host(&self, name: &str, secret: &Secret, recipient: Recipient<'_>) -> Result<(), Refusal> {
        let Recipient { authority, method, .. } = recipient;
        let (is_named, reason) = match secret.hosts.is_empty() {
            false => (NetPolicy::Rules(secret.hosts.clone()).names(authority, method), "its `hosts` do not name it"),
            true => (
                self.allowed.names(authority, method),
                "it has no `hosts`, and none of the worker's own rules (`--allow-net HOST`) names this host",
            ),
        };
        if is_named {
            return Ok(());
        }
        let message = format!(
            "the worker does not send the secret {name} to {authority}: {reason}; add the host to its `hosts` in bue.toml, \
             `[secrets]`"
        );
        Err(refusal(
            message,
            PolicySource::Worker,
            MissingPermission::SecretHost(name.to_owned(), authority.rule(Traffic::Http)),
        ))
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

    const HTTPS: u16 = 443;
    const HTTP: u16 = 80;

    fn rules(texts: &[&str]) -> Vec<NetRule> {
        texts.iter().map(|rule| rule.parse().expect("a rule")).collect()
    }

    fn available() -> BTreeMap<String, Secret> {
        let secret = |value: &str| Secret { value: value.to_owned(), ..Secret::default() };
        let secrets = [
            ("KEY", secret("v1")),
            ("OTHER", Secret { hosts: rules(&["*.example.com", "POST api.example.org"]), ..secret("v2") }),
            ("PLAIN", Secret { insecure: true, ..secret("v3") }),
            ("SCOPED", Secret { scopes: vec!["reports".to_owned()], readable: true, ..secret("v4") }),
        ];
        secrets.into_iter().map(|(name, secret)| (name.to_owned(), secret)).collect()
    }

    /// Fills in a header of a GET request, of a step in the scope `default`, on a worker with this policy.
    fn filled_by(worker: &NetPolicy, header: &str, host: &str, port: u16) -> Result<Option<String>, String> {
        let available = available();
        let requested = ["KEY", "OTHER", "PLAIN", "SCOPED", "ABSENT"].map(str::to_owned);
        let authority = Authority { host: Host::parse(host).expect("a host"), port };
        let recipient = Recipient { authority: &authority, method: "GET", is_encrypted: port == HTTPS };
        let secrets = Secrets { available: &available, requested: &requested, scope: "default", allowed: worker };
        let filled = secrets.fill(header.as_bytes(), recipient);
        filled
            .map(|bytes| bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
            .map_err(|refusal| refusal.message)
    }

    fn filled(header: &str, host: &str, port: u16) -> Result<Option<String>, String> {
        filled_by(&NetPolicy::Rules(rules(&["api.example.com"])), header, host, port)
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
            assert_eq!(filled(header, "api.example.com", HTTPS).expect("allowed").as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn a_secret_goes_only_where_it_may() {
        let refused = |header: &str, host: &str| filled(header, host, HTTPS).expect_err("refused");
        assert!(refused("secret:OTHER", "example.org").contains("OTHER"));
        // only POST requests may carry it there
        assert!(refused("secret:OTHER", "api.example.org").contains("OTHER"));
        assert!(refused("secret:NOBODY", "a.example").contains("`!allow secret NOBODY`"));
        assert!(refused("secret:ABSENT", "a.example").contains("BUE_SECRET_ABSENT"));
    }

    #[test]
    fn without_hosts_a_secret_goes_where_the_workers_own_rules_say() {
        let error = filled("secret:KEY", "evil.example", HTTPS).expect_err("refused");
        assert!(error.contains("none of the worker's own rules"), "{error}");
        let public = |rules: Vec<NetRule>| filled_by(&NetPolicy::Public(rules), "secret:KEY", "evil.example", HTTPS);
        assert!(public(Vec::new()).expect_err("refused").contains("no `hosts`"));
        assert_eq!(public(rules(&["evil.example"])).expect("allowed").as_deref(), Some("v1"));
    }

    #[test]
    fn a_secret_is_not_sent_in_the_clear() {
        let error = filled("secret:KEY", "api.example.com", HTTP).expect_err("refused");
        assert!(error.contains("https only") && error.contains("`insecure = true`"), "{error}");
        assert_eq!(filled("secret:PLAIN", "api.example.com", HTTP).expect("allowed").as_deref(), Some("v3"));
        assert!(filled("secret:PLAIN", "evil.example", HTTP).is_err());
    }

    #[test]
    fn a_secret_is_for_the_steps_of_its_scopes() {
        let error = filled("secret:SCOPED", "api.example.com", HTTPS).expect_err("refused");
        assert!(error.contains("the scope `default`"), "{error}");
        let (available, requested) = (available(), ["SCOPED".to_owned()]);
        let secrets =
            |scope| Secrets { available: &available, requested: &requested, scope, allowed: &NetPolicy::Nothing };
        assert!(secrets("default").read("SCOPED").is_err());
        assert_eq!(secrets("reports").read("SCOPED").as_deref(), Ok("v4"));
    }
}
