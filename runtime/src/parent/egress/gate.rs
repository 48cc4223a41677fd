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

use core::net::{IpAddr, SocketAddr};

use bue_model::net::{NetError, NetErrorKind};
use bue_model::{HostPattern, NetRule};
use serde::{Deserialize, Serialize};
use url::Host;

use crate::parent::egress::address::{network_contains, special_block};

/// What one side allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NetPolicy {
    /// Nothing.
    #[default]
    Nothing,
    /// Everything that the other side allows.
    Anything,
    /// What these rules allow.
    Rules(Vec<NetRule>),
}

/// The rules of both sides for one method. A connection that was made under one gate is reused only under an equal one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Gate {
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
    Secret(String),
    /// The secret's value may be read.
    Readable(String),
    /// The secret may be sent to this host.
    SecretHost(String, NetRule),
}

impl From<Refusal> for NetError {
    fn from(refusal: Refusal) -> Self {
        Self::new(NetErrorKind::Denied, refusal.message)
    }
}

/// The host and port of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

impl Authority {
    /// Returns the rule that allows it.
    pub(crate) fn rule(&self) -> NetRule {
        match address_of(&self.host) {
            Some(address) => rule_for_address(address, self.port),
            None => {
                let port = (!matches!(self.port, 80 | 443)).then_some(self.port);
                NetRule { methods: Vec::new(), host: HostPattern::Name(self.host.to_string()), port }
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
        let Self::Rules(rules) = self else { return self.clone() };
        let applies = |rule: &&NetRule| rule.methods.is_empty() || rule.methods.iter().any(|name| name == method);
        let mut rules: Vec<NetRule> = rules.iter().filter(applies).filter_map(normalized).collect();
        rules.sort();
        rules.dedup();
        Self::Rules(rules)
    }

    fn any_rule(&self, matches: impl Fn(&NetRule) -> bool) -> bool {
        match self {
            Self::Nothing => false,
            Self::Anything => true,
            Self::Rules(rules) => rules.iter().any(matches),
        }
    }
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
    Some(NetRule { methods: Vec::new(), host, port: rule.port })
}

impl Gate {
    /// The rules of both sides for a method.
    pub(crate) fn new(script: &NetPolicy, worker: &NetPolicy, method: &str) -> Self {
        Self { script: script.for_method(method), worker: worker.for_method(method) }
    }

    fn sources_without(&self, matches: impl Fn(&NetRule) -> bool) -> Vec<PolicySource> {
        let sources = [(&self.script, PolicySource::Script), (&self.worker, PolicySource::Worker)];
        sources.into_iter().filter(|(allowed, _)| !allowed.any_rule(&matches)).map(|(_, source)| source).collect()
    }

    /// Checks that a request may go to this host.
    pub(crate) fn check_authority(&self, authority: &Authority) -> Result<(), Refusal> {
        match address_of(&authority.host) {
            Some(address) => self.check_literal(address, authority.port),
            None => {
                let sources = self.sources_without(|rule| matches_name(rule, &authority.host, authority.port));
                refuse(sources, &authority.to_string(), || authority.rule())
            }
        }
    }

    fn check_literal(&self, address: IpAddr, port: u16) -> Result<(), Refusal> {
        let special = special_block(address);
        let sources = self.sources_without(|rule| match special {
            None => covers(rule, address, port),
            Some(_) => names_address(rule, address, port),
        });
        let meaning = special.map_or_else(String::new, |block| format!(" ({})", block.meaning));
        let what = format!("{}{meaning}", SocketAddr::new(address, port));
        refuse(sources, &what, || rule_for_address(address, port))
    }

    /// Checks that a request to this authority may use this address, one that its name resolves to.
    pub(crate) fn check_address(&self, authority: &Authority, address: IpAddr) -> Result<(), Refusal> {
        self.check_authority(authority)?;
        let Some(block) = special_block(address) else { return Ok(()) };
        if is_localhost(&authority.host) && address.is_loopback() {
            return Ok(());
        }
        let sources = self.sources_without(|rule| names_address(rule, address, authority.port));
        let what = format!("{authority} at {address} ({}, which must be named by its address)", block.meaning);
        refuse(sources, &what, || rule_for_address(address, authority.port))
    }

    /// Checks that a request may reach a server of bue: a rule must name its address and port.
    pub(crate) fn check_own_server(&self, address: IpAddr, port: u16) -> Result<(), Refusal> {
        let sources = self.sources_without(|rule| rule.port == Some(port) && is_exactly(rule, address));
        let what = format!("{} (a server of bue itself)", SocketAddr::new(address, port));
        refuse(sources, &what, || rule_for_address(address, port))
    }
}

fn refuse(sources: Vec<PolicySource>, what: &str, rule: impl Fn() -> NetRule) -> Result<(), Refusal> {
    if sources.is_empty() {
        return Ok(());
    }
    let rule = rule();
    let parts = sources.iter().map(|source| match source {
        PolicySource::Script => format!("the script does not allow {what}: write `!allow net {rule}` above the step"),
        PolicySource::Worker => {
            format!("the worker does not allow {what}: start `bue worker`, or `bue run`, with `--allow-net {rule}`")
        }
    });
    let message = parts.collect::<Vec<_>>().join("; ");
    Err(Refusal {
        message,
        missing: sources.into_iter().map(|source| (source, MissingPermission::Net(rule.clone()))).collect(),
    })
}

fn rule_for_address(address: IpAddr, port: u16) -> NetRule {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    NetRule { methods: Vec::new(), host: HostPattern::Network(address, bits), port: Some(port) }
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

fn fits_port(rule: &NetRule, port: u16) -> bool {
    rule.port.is_none_or(|allowed| allowed == port)
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
