//! Who may be spoken to: the rules of both sides, the script's and the worker's, for requests of one method.
//!
//! ```text
//! host is a name      both sides have a rule for the name
//! host is an address  both sides have a rule for the address
//! then each address that the name has
//!     public          fine
//!     anything else   both sides have a rule that names it by address
//!     one of ours     ... and its port
//! ```

use core::net::{IpAddr, SocketAddr};

use bue_model::net::{NetError, NetErrorKind};
use bue_model::{HostPattern, NetRule};
use serde::{Deserialize, Serialize};
use url::Host;

use crate::parent::egress::address::{block, contains};

/// What somebody allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Allowed {
    /// Nothing.
    #[default]
    Nothing,
    /// Whatever the other side allows.
    Anything,
    /// What these rules say.
    Rules(Vec<NetRule>),
}

/// Rules of both sides for one method. Connections that were made under a gate are used under equal ones only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Gate {
    asked: Allowed,
    allowed: Allowed,
}

/// Whose rule is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Script,
    Worker,
}

/// A request that nobody allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    pub(crate) message: String,
    /// What would allow it, for each side that lacks it.
    pub(crate) missing: Vec<(Side, Missing)>,
}

/// A line that somebody would have to write.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Missing {
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

/// A host and a port, as they were read from a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

impl Place {
    /// The rule one would write for it.
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

impl core::fmt::Display for Place {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

impl Allowed {
    /// With names as they are looked up, and only what is about the method.
    fn for_method(&self, method: &str) -> Self {
        let Self::Rules(rules) = self else { return self.clone() };
        let about = |rule: &&NetRule| rule.methods.is_empty() || rule.methods.iter().any(|one| one == method);
        let mut rules: Vec<NetRule> = rules.iter().filter(about).filter_map(looked_up).collect();
        rules.sort();
        rules.dedup();
        Self::Rules(rules)
    }

    fn has(&self, is_it: impl Fn(&NetRule) -> bool) -> bool {
        match self {
            Self::Nothing => false,
            Self::Anything => true,
            Self::Rules(rules) => rules.iter().any(is_it),
        }
    }
}

/// A rule without its methods, its name as IDNA spells it. `None` where no host can have that name.
fn looked_up(rule: &NetRule) -> Option<NetRule> {
    let spelled = |name: &str| match Host::parse(name) {
        Ok(Host::Domain(name)) => Some(name),
        _ => None,
    };
    let host = match &rule.host {
        HostPattern::Name(name) => HostPattern::Name(spelled(name)?),
        HostPattern::Below(name) => HostPattern::Below(spelled(name)?),
        network @ HostPattern::Network(..) => network.clone(),
    };
    Some(NetRule { methods: Vec::new(), host, port: rule.port })
}

impl Gate {
    /// The rules that are about a method.
    pub(crate) fn new(asked: &Allowed, allowed: &Allowed, method: &str) -> Self {
        Self { asked: asked.for_method(method), allowed: allowed.for_method(method) }
    }

    fn lacking(&self, is_it: impl Fn(&NetRule) -> bool) -> Vec<Side> {
        let sides = [(&self.asked, Side::Script), (&self.allowed, Side::Worker)];
        sides.into_iter().filter(|(allowed, _)| !allowed.has(&is_it)).map(|(_, side)| side).collect()
    }

    /// May a request go to this host at all?
    pub(crate) fn check_place(&self, place: &Place) -> Result<(), Refusal> {
        match address_of(&place.host) {
            Some(address) => self.check_literal(address, place.port),
            None => {
                let lacking = self.lacking(|rule| names(rule, &place.host, place.port));
                refuse(lacking, &place.to_string(), || place.rule())
            }
        }
    }

    fn check_literal(&self, address: IpAddr, port: u16) -> Result<(), Refusal> {
        let special = block(address);
        let lacking = self.lacking(|rule| match special {
            None => holds(rule, address, port),
            Some(_) => names_address(rule, address, port),
        });
        let why = special.map_or_else(String::new, |block| format!(" ({})", block.meaning));
        let what = format!("{}{why}", SocketAddr::new(address, port));
        refuse(lacking, &what, || rule_for_address(address, port))
    }

    /// May a connection for a request to this place go to this address, which a name has?
    pub(crate) fn check_address(&self, place: &Place, address: IpAddr) -> Result<(), Refusal> {
        self.check_place(place)?;
        let Some(block) = block(address) else { return Ok(()) };
        if is_localhost(&place.host) && address.is_loopback() {
            return Ok(());
        }
        let lacking = self.lacking(|rule| names_address(rule, address, place.port));
        let what = format!("{place} at {address} ({}, which must be named by its address)", block.meaning);
        refuse(lacking, &what, || rule_for_address(address, place.port))
    }

    /// One of our own servers listens there: a rule must name it whole.
    pub(crate) fn check_own(&self, address: IpAddr, port: u16) -> Result<(), Refusal> {
        let lacking = self.lacking(|rule| rule.port == Some(port) && is_of(rule, address));
        let what = format!("{} (a server of bue itself)", SocketAddr::new(address, port));
        refuse(lacking, &what, || rule_for_address(address, port))
    }
}

fn refuse(lacking: Vec<Side>, what: &str, rule: impl Fn() -> NetRule) -> Result<(), Refusal> {
    if lacking.is_empty() {
        return Ok(());
    }
    let rule = rule();
    let parts = lacking.iter().map(|side| match side {
        Side::Script => format!("the script does not allow {what}: write `!allow net {rule}` above the step"),
        Side::Worker => format!("the worker does not allow {what}: start it with `--allow-net {rule}`"),
    });
    let message = parts.collect::<Vec<_>>().join("; ");
    Err(Refusal { message, missing: lacking.into_iter().map(|side| (side, Missing::Net(rule.clone()))).collect() })
}

fn rule_for_address(address: IpAddr, port: u16) -> NetRule {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    NetRule { methods: Vec::new(), host: HostPattern::Network(address, bits), port: Some(port) }
}

/// The address that a host is, if it is no name.
pub(crate) fn address_of(host: &Host) -> Option<IpAddr> {
    match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some(IpAddr::from(*address).to_canonical()),
    }
}

/// The one name that means an address: it is never looked up.
pub(crate) fn is_localhost(host: &Host) -> bool {
    matches!(host, Host::Domain(name) if name == "localhost")
}

/// Is the rule about this address alone?
fn is_of(rule: &NetRule, address: IpAddr) -> bool {
    let all = if address.is_ipv4() { 32 } else { 128 };
    matches!(&rule.host, HostPattern::Network(first, bits) if *first == address && *bits == all)
}

fn fits_port(rule: &NetRule, port: u16) -> bool {
    rule.port.is_none_or(|of_rule| of_rule == port)
}

fn names(rule: &NetRule, host: &Host, port: u16) -> bool {
    let Host::Domain(name) = host else { return false };
    let fits = match &rule.host {
        HostPattern::Name(of_rule) => of_rule == name,
        HostPattern::Below(of_rule) => {
            name.strip_suffix(of_rule.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        }
        HostPattern::Network(..) => false,
    };
    fits && fits_port(rule, port)
}

fn holds(rule: &NetRule, address: IpAddr, port: u16) -> bool {
    let fits = matches!(&rule.host, HostPattern::Network(first, bits) if contains(*first, *bits, address));
    fits && fits_port(rule, port)
}

/// Does the rule mean this address, which is not public? A network that also holds other kinds of addresses does not.
fn names_address(rule: &NetRule, address: IpAddr, port: u16) -> bool {
    let HostPattern::Network(first, bits) = &rule.host else { return false };
    let within = block(address).is_some_and(|block| contains(block.first, block.bits, *first) && *bits >= block.bits);
    within && holds(rule, address, port)
}
