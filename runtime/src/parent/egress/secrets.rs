//! Secrets: values that steps send without having them. `secret:NAME` in a header becomes the value here, on the way out.

use core::fmt;
use std::collections::BTreeMap;

use bue_model::NetRule;
use bytes::Bytes;

use crate::parent::egress::gate::{Allowed, Gate, Missing, Place, Refusal, Side};

/// What stands before a secret's name in a header.
const MARK: &[u8] = b"secret:";

/// A secret of the worker, and what may be done with it.
#[derive(Clone)]
pub struct Secret {
    /// Its value.
    pub value: String,
    /// Hosts it may be sent to; none means all that a step may speak to.
    pub hosts: Vec<NetRule>,
    /// Steps may read the value itself.
    pub readable: bool,
}

/// Its value is in no log.
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
    pub(crate) known: &'a BTreeMap<String, Secret>,
    /// What `!allow secret` names.
    pub(crate) asked: &'a [String],
}

impl Secrets<'_> {
    fn find(&self, name: &str) -> Result<&Secret, Refusal> {
        if !self.asked.iter().any(|asked| asked == name) {
            let line =
                format!("the script does not allow the secret {name}: write `!allow secret {name}` above the step");
            return Err(refused(line, Side::Script, Missing::Secret(name.to_owned())));
        }
        self.known.get(name).ok_or_else(|| {
            let line = format!("the worker has no secret {name}: start it with `BUE_SECRET_{name}` in its environment");
            refused(line, Side::Worker, Missing::Secret(name.to_owned()))
        })
    }

    /// The value itself, for the step.
    pub(crate) fn read(&self, name: &str) -> Result<String, Refusal> {
        let secret = self.find(name)?;
        if secret.readable {
            return Ok(secret.value.clone());
        }
        let line = format!(
            "the worker does not let steps read the secret {name}: put `secret:{name}` into a header, where it is filled in \
             on its way, or set `readable = true` for it in bue.toml"
        );
        Err(refused(line, Side::Worker, Missing::Readable(name.to_owned())))
    }

    /// A header's value with the secrets it names filled in; `None` where it names none.
    pub(crate) fn fill(&self, value: &[u8], place: &Place) -> Result<Option<Bytes>, Refusal> {
        let Some(mut at) = find(value) else { return Ok(None) };
        let (mut filled, mut rest) = (Vec::with_capacity(value.len()), value);
        loop {
            let (before, after) = rest.split_at(at);
            let after = after.get(MARK.len()..).unwrap_or_default();
            let (name, behind) = after.split_at(name_len(after));
            filled.extend_from_slice(before);
            filled.extend_from_slice(self.sent(&String::from_utf8_lossy(name), place)?.as_bytes());
            rest = behind;
            match find(rest) {
                Some(next) => at = next,
                None => break,
            }
        }
        filled.extend_from_slice(rest);
        Ok(Some(filled.into()))
    }

    /// The value, for a request to this host.
    fn sent(&self, name: &str, place: &Place) -> Result<&str, Refusal> {
        let secret = self.find(name)?;
        let hosts = Allowed::Rules(secret.hosts.clone());
        if secret.hosts.is_empty() || Gate::new(&hosts, &Allowed::Anything, "").check_place(place).is_ok() {
            return Ok(&secret.value);
        }
        let line =
            format!("the worker does not send the secret {name} to {place}: name the host in bue.toml, `[secrets]`");
        Err(refused(line, Side::Worker, Missing::SecretHost(name.to_owned(), place.rule())))
    }
}

fn refused(message: String, side: Side, missing: Missing) -> Refusal {
    Refusal { message, missing: vec![(side, missing)] }
}

/// Where a mark stands: at the beginning of a word, with a name behind it.
fn find(value: &[u8]) -> Option<usize> {
    let marks = value.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    let begins = |at: usize| at == 0 || value.get(at - 1).is_some_and(|before| !before.is_ascii_alphanumeric());
    let named = |at: usize| value.get(at + MARK.len()..).is_some_and(|after| name_len(after) > 0);
    marks.map(|(at, _)| at).find(|at| begins(*at) && named(*at))
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
        let known = BTreeMap::from([
            ("KEY".to_owned(), secret("v1", &[])),
            ("OTHER".to_owned(), secret("v2", &["*.example.com:443"])),
        ]);
        let asked = ["KEY", "OTHER", "ABSENT"].map(str::to_owned);
        let place = Place { host: Host::parse(host).expect("a host"), port: 443 };
        let filled = Secrets { known: &known, asked: &asked }.fill(header.as_bytes(), &place);
        filled
            .map(|bytes| bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
            .map_err(|refusal| refusal.message)
    }

    #[test]
    fn marks_are_filled_in_and_the_rest_stays() {
        for (header, expected) in [
            ("secret:KEY", Some("v1")),
            ("Bearer secret:KEY", Some("Bearer v1")),
            ("a=secret:KEY; b=\"secret:OTHER\"", Some("a=v1; b=\"v2\"")),
            ("no mark", None),
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
