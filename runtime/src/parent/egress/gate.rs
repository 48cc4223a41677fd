//! Which servers a request may reach: the rules of both sides, the script's and the worker's, for one method.
//!
//! ```text
//! the host is a name       both sides need a rule for the name
//! the host is an address   both sides need a rule for the address
//! then, for each address that the name resolves to:
//!     public               allowed
//!     special              both sides need a rule that names the address
//!     a server of bue      ... and its port
//! ```
//! [`NetPolicy::Public`] replaces the rules for names and for public addresses, never those for `localhost`, for special
//! addresses and for servers of bue. HTTP requests and TCP connections have rules of their own, and the same checks.

use core::net::{IpAddr, SocketAddr};

use bue_model::net::{NetError, NetErrorKind};
use bue_model::{HostPattern, NamePattern, NetRule, Ports};
use serde::{Deserialize, Serialize};
use url::Host;

use crate::parent::egress::address::{network_contains, special_block};

/// What one side allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NetPolicy {
    /// Nothing.
    #[default]
    Nothing,
    /// Every public host that the other side allows, and what these rules allow.
    Public(Vec<NetRule>),
    /// What these rules allow.
    Rules(Vec<NetRule>),
}

/// Whether [`NetPolicy::Public`] allows a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Destination {
    /// A name, or a public address.
    Public,
    /// Only a rule that names it allows it.
    Private,
}

/// What rules are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Traffic {
    /// `net`: HTTP requests.
    Http,
    /// `tcp`: connections.
    Tcp,
}

/// The rules of both sides, for HTTP requests of one method or for TCP connections. A connection that was made under one gate is
/// reused only under an equal one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Gate {
    traffic: Traffic,
    script: NetPolicy,
    worker: NetPolicy,
}

/// The side whose rule is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PolicySource {
    Script,
    Worker,
}

/// A request that a side does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    pub(crate) message: String,
    /// What would allow it, for each side that does not.
    pub(crate) missing: Vec<(PolicySource, MissingPermission)>,
}

/// A permission that would allow a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MissingPermission {
    Net(NetRule),
    Tcp(NetRule),
    /// A value of the bucket.
    Bucket(NamePattern),
    Secret(String),
    /// The secret's value may be read.
    Readable(String),
    /// The secret may be sent to this host.
    SecretHost(String, NetRule),
    /// The secret may be used by the steps of this scope.
    SecretScope(String, String),
    /// The secret may be sent over plain HTTP.
    Insecure(String),
}

impl From<Refusal> for NetError {
    fn from(refusal: Refusal) -> Self {
        Self::new(NetErrorKind::Denied, refusal.message)
    }
}

/// The host and port of a request or connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

impl Authority {
    /// Returns the rule that allows it.
    pub(crate) fn rule(&self, traffic: Traffic) -> NetRule {
        match address_of(&self.host) {
            Some(address) => rule_for_address(address, self.port),
            None => {
                let is_usual = traffic == Traffic::Http && matches!(self.port, 80 | 443);
                let ports = (!is_usual).then_some(Ports::from(self.port));
                NetRule { methods: Vec::new(), host: HostPattern::Name(self.host.to_string()), ports }
            }
        }
    }
}

impl core::fmt::Display for Authority {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

impl NetPolicy {
    /// Returns the rules for a method, with names as they are looked up.
    fn for_method(&self, method: &str) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::Public(rules) => Self::Public(rules_for_method(rules, method)),
            Self::Rules(rules) => Self::Rules(rules_for_method(rules, method)),
        }
    }

    fn allows(&self, destination: Destination, matches: impl Fn(&NetRule) -> bool) -> bool {
        match self {
            Self::Nothing => false,
            Self::Public(rules) => destination == Destination::Public || rules.iter().any(matches),
            Self::Rules(rules) => rules.iter().any(matches),
        }
    }

    /// Returns whether one of the rules is for this host and method. [`Self::Public`] without rules names no host.
    pub(crate) fn names(&self, authority: &Authority, method: &str) -> bool {
        self.for_method(method).rules().iter().any(|rule| names_authority(rule, authority))
    }

    /// Returns its rules. [`Self::Public`] allows more than they do.
    #[must_use]
    pub fn rules(&self) -> &[NetRule] {
        match self {
            Self::Nothing => &[],
            Self::Public(rules) | Self::Rules(rules) => rules,
        }
    }
}

/// Returns whether a rule is for destinations that [`NetPolicy::Public`] does not allow: `localhost`, and addresses of one
/// special block.
#[must_use]
pub fn must_be_named(rule: &NetRule) -> bool {
    match normalized(rule).map(|rule| rule.host) {
        Some(HostPattern::Name(name)) => is_localhost(&Host::Domain(name)),
        Some(HostPattern::Network(first, bits)) => special_block(first).is_some_and(|block| bits >= block.bits),
        Some(HostPattern::Below(_)) | None => false,
    }
}

fn rules_for_method(rules: &[NetRule], method: &str) -> Vec<NetRule> {
    let applies = |rule: &&NetRule| rule.methods.is_empty() || rule.methods.iter().any(|name| name == method);
    let mut rules: Vec<NetRule> = rules.iter().filter(applies).filter_map(normalized).collect();
    rules.sort();
    rules.dedup();
    rules
}

/// Returns a rule without its methods and with its name in IDNA form; `None` if no host can have that name.
fn normalized(rule: &NetRule) -> Option<NetRule> {
    let to_ascii = |name: &str| match Host::parse(name) {
        Ok(Host::Domain(name)) => Some(name),
        _ => None,
    };
    let host = match &rule.host {
        HostPattern::Name(name) => HostPattern::Name(to_ascii(name)?),
        HostPattern::Below(name) => HostPattern::Below(to_ascii(name)?),
        network @ HostPattern::Network(..) => network.clone(),
    };
    Some(NetRule { methods: Vec::new(), host, ports: rule.ports })
}

impl Gate {
    /// The rules of both sides for HTTP requests with this method.
    pub(crate) fn http(script: &NetPolicy, worker: &NetPolicy, method: &str) -> Self {
        Self { traffic: Traffic::Http, script: script.for_method(method), worker: worker.for_method(method) }
    }

    /// Rules that allow HTTP requests to this server only.
    pub(crate) fn to_server(server: SocketAddr) -> Self {
        let rules = NetPolicy::Rules(vec![rule_for_address(server.ip(), server.port())]);
        Self::http(&rules, &rules, "")
    }

    /// The rules of both sides for TCP connections. They have no methods.
    pub(crate) fn tcp(script: &NetPolicy, worker: &NetPolicy) -> Self {
        Self { traffic: Traffic::Tcp, script: script.for_method(""), worker: worker.for_method("") }
    }

    /// Checks that a request or connection may go to this host.
    pub(crate) fn check_authority(&self, authority: &Authority) -> Result<(), Refusal> {
        let block = address_of(&authority.host).and_then(special_block);
        let destination = match block.is_some() || is_localhost(&authority.host) {
            true => Destination::Private,
            false => Destination::Public,
        };
        let meaning = block.map_or_else(String::new, |block| format!(" ({})", block.meaning));
        self.check(destination, &format!("{authority}{meaning}"), &authority.rule(self.traffic), |rule| {
            names_authority(rule, authority)
        })
    }

    /// Checks that a request or connection to this authority may use this address, one that its name resolves to.
    pub(crate) fn check_address(&self, authority: &Authority, address: IpAddr) -> Result<(), Refusal> {
        self.check_authority(authority)?;
        let Some(block) = special_block(address) else { return Ok(()) };
        if is_localhost(&authority.host) && address.is_loopback() {
            return Ok(());
        }
        let what = format!("{authority} at {address} ({}, which must be named by its address)", block.meaning);
        let rule = rule_for_address(address, authority.port);
        self.check(Destination::Private, &what, &rule, |rule| names_address(rule, address, authority.port))
    }

    /// Checks that a request or connection may reach a server of bue: a rule must name its address and port.
    pub(crate) fn check_own_server(&self, address: IpAddr, port: u16) -> Result<(), Refusal> {
        let what = format!("{} (a server of bue itself)", SocketAddr::new(address, port));
        self.check(Destination::Private, &what, &rule_for_address(address, port), |rule| {
            rule.ports == Some(port.into()) && is_exactly(rule, address)
        })
    }

    /// Checks that both sides have a rule that matches. `rule` is the one to propose to a side that has none.
    fn check(
        &self,
        destination: Destination,
        what: &str,
        rule: &NetRule,
        matches: impl Fn(&NetRule) -> bool,
    ) -> Result<(), Refusal> {
        let sides = [(PolicySource::Script, &self.script), (PolicySource::Worker, &self.worker)];
        let refusing: Vec<_> = sides.into_iter().filter(|(_, policy)| !policy.allows(destination, &matches)).collect();
        if refusing.is_empty() {
            return Ok(());
        }
        let parts = refusing.iter().map(|(source, policy)| self.reason(*source, policy, what, rule));
        Err(Refusal {
            message: parts.collect::<Vec<_>>().join("; "),
            missing: refusing.iter().map(|(source, _)| (*source, self.missing(rule.clone()))).collect(),
        })
    }

    const fn missing(&self, rule: NetRule) -> MissingPermission {
        match self.traffic {
            Traffic::Http => MissingPermission::Net(rule),
            Traffic::Tcp => MissingPermission::Tcp(rule),
        }
    }

    /// Returns why a side does not allow something, and what to write.
    fn reason(&self, source: PolicySource, policy: &NetPolicy, what: &str, rule: &NetRule) -> String {
        let kind = match self.traffic {
            Traffic::Http => "net",
            Traffic::Tcp => "tcp",
        };
        match (source, policy) {
            (PolicySource::Script, _) => {
                format!("the script does not allow {what}: write `!allow {kind} {rule}` above the step")
            }
            (PolicySource::Worker, NetPolicy::Public(_)) => format!(
                "the worker does not allow {what}: without a value, `--allow-{kind}` allows public addresses only; start \
                 `bue worker`, or `bue run`, with `--allow-{kind} {rule}` as well"
            ),
            (PolicySource::Worker, _) => format!(
                "the worker does not allow {what}: start `bue worker`, or `bue run`, with `--allow-{kind} {rule}`"
            ),
        }
    }
}

fn rule_for_address(address: IpAddr, port: u16) -> NetRule {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    NetRule { methods: Vec::new(), host: HostPattern::Network(address, bits), ports: Some(port.into()) }
}

/// Returns the address of a host that is given as an address; `None` for a name.
pub(crate) fn address_of(host: &Host) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some(IpAddr::from(*address).to_canonical()),
    }
}

/// Returns whether the host is `localhost`, which is never looked up.
pub(crate) fn is_localhost(host: &Host) -> bool {
    matches!(host, Host::Domain(name) if name == "localhost")
}

/// Returns whether the rule names exactly this address.
fn is_exactly(rule: &NetRule, address: IpAddr) -> bool {
    let width = if address.is_ipv4() { 32 } else { 128 };
    matches!(&rule.host, HostPattern::Network(first, bits) if *first == address && *bits == width)
}

/// Returns whether the rule is for this host. One for a special address must name it.
fn names_authority(rule: &NetRule, authority: &Authority) -> bool {
    match address_of(&authority.host) {
        None => matches_name(rule, &authority.host, authority.port),
        Some(address) if special_block(address).is_some() => names_address(rule, address, authority.port),
        Some(address) => covers(rule, address, authority.port),
    }
}

fn fits_port(rule: &NetRule, port: u16) -> bool {
    rule.ports.is_none_or(|allowed| allowed.contains(port))
}

fn matches_name(rule: &NetRule, host: &Host, port: u16) -> bool {
    let Host::Domain(name) = host else { return false };
    let fits = match &rule.host {
        HostPattern::Name(allowed) => allowed == name,
        HostPattern::Below(parent) => {
            name.strip_suffix(parent.as_str()).is_some_and(|prefix| prefix.len() > 1 && prefix.ends_with('.'))
        }
        HostPattern::Network(..) => false,
    };
    fits && fits_port(rule, port)
}

fn covers(rule: &NetRule, address: IpAddr, port: u16) -> bool {
    let fits = matches!(&rule.host, HostPattern::Network(first, bits) if network_contains(*first, *bits, address));
    fits && fits_port(rule, port)
}

/// Returns whether the rule names this special address. A network that extends beyond the address's block does not.
fn names_address(rule: &NetRule, address: IpAddr, port: u16) -> bool {
    let HostPattern::Network(first, bits) = &rule.host else { return false };
    let within = special_block(address)
        .is_some_and(|block| network_contains(block.first, block.bits, *first) && *bits >= block.bits);
    within && covers(rule, address, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Vec<NetRule> {
        texts.iter().map(|text| text.parse().expect("a rule")).collect()
    }

    fn authority(host: &str, port: u16) -> Authority {
        Authority { host: Host::parse(host).expect("a host"), port }
    }

    const SPECIAL: [&str; 9] = [
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "[fd00:ec2::254]",
        "10.1.2.3",
        "192.168.0.1",
        "127.0.0.1",
        "[::1]",
        "localhost",
    ];

    /// The script names the address, and the worker was started with `--allow-net` alone.
    #[test]
    fn a_policy_for_public_hosts_allows_no_special_address() {
        for host in SPECIAL {
            let script = NetPolicy::Rules(rules(&[host]));
            let to = authority(host, 80);
            let refusal = Gate::http(&script, &NetPolicy::Public(Vec::new()), "GET").check_authority(&to);
            let message = refusal.expect_err(host).message;
            assert!(message.contains("public addresses only") && message.contains("--allow-net"), "{message}");
            let named = NetPolicy::Public(rules(&[host]));
            assert_eq!(Gate::http(&script, &named, "GET").check_authority(&to), Ok(()), "{host}");
        }
        let script = NetPolicy::Rules(rules(&["api.example.com", "1.1.1.1", "10.0.0.0/8"]));
        let gate = Gate::http(&script, &NetPolicy::Public(Vec::new()), "GET");
        for host in ["api.example.com", "1.1.1.1"] {
            assert_eq!(gate.check_authority(&authority(host, 443)), Ok(()), "{host}");
        }
        // a public name that resolves to a private address
        let private = IpAddr::from([10, 0, 0, 1]);
        assert!(gate.check_address(&authority("api.example.com", 443), private).is_err());
    }

    #[test]
    fn a_policy_for_public_hosts_does_not_allow_servers_of_bue() {
        for own in ["127.0.0.1", "93.184.216.34"] {
            let address: IpAddr = own.parse().expect("an address");
            let script = NetPolicy::Rules(rules(&[&format!("{own}:65432")]));
            let gate = |worker: &[&str]| Gate::http(&script, &NetPolicy::Public(rules(worker)), "GET");
            assert!(gate(&[]).check_own_server(address, 65432).is_err(), "{own}");
            assert!(gate(&[own]).check_own_server(address, 65432).is_err(), "{own}");
            assert_eq!(gate(&[&format!("{own}:65432")]).check_own_server(address, 65432), Ok(()), "{own}");
        }
    }

    #[test]
    fn a_host_is_named_by_rules_alone() {
        let to = authority("api.example.com", 443);
        assert!(!NetPolicy::Nothing.names(&to, "GET"));
        assert!(!NetPolicy::Public(Vec::new()).names(&to, "GET"));
        assert!(NetPolicy::Public(rules(&["*.example.com"])).names(&to, "GET"));
        assert!(NetPolicy::Rules(rules(&["POST api.example.com"])).names(&to, "POST"));
        assert!(!NetPolicy::Rules(rules(&["POST api.example.com"])).names(&to, "GET"));
        assert!(!NetPolicy::Rules(rules(&["0.0.0.0/0"])).names(&authority("10.0.0.1", 443), "GET"));
    }

    #[test]
    fn rules_for_special_addresses_must_be_named() {
        let is_named = |text: &str| must_be_named(&text.parse().expect("a rule"));
        for text in SPECIAL.iter().chain(&["LocalHost:80", "10.0.0.0/8", "10.1.0.0/16:5432"]) {
            assert!(is_named(text), "{text}");
        }
        for text in ["api.example.com", "*.example.com", "1.1.1.1", "0.0.0.0/0", "1.0.0.0/8"] {
            assert!(!is_named(text), "{text}");
        }
    }
}
