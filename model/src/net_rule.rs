//! [`NetRule`]: the rules of `!allow net GET|HEAD api.example.com:443` and `!allow tcp redis.example.com:6379`. Scripts, flags and
//! files share this syntax.
//!
//! ```text
//! net  = [ method { "|" method } " " ] host [ ":" ports ]
//! tcp  = host ":" ports
//! ports = port [ "-" port ]
//! host = name | "*." name | address | address "/" bits          an IPv6 address with a port or bits stands in [ ]
//! ```

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// The length of the longest rule in bytes: a host name has at most 253.
const MAX_RULE: usize = 512;

/// A rule that allows requests, or connections, to some hosts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NetRule {
    /// The allowed methods, in upper case. Empty: any.
    pub methods: Vec<String>,
    /// The allowed hosts.
    pub host: HostPattern,
    /// The allowed ports. `None`: all.
    pub ports: Option<Ports>,
}

/// A port, or all ports from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ports {
    /// The lowest one.
    pub first: u16,
    /// The highest one, not below the first.
    pub last: u16,
}

impl Ports {
    /// Returns whether this port is among them.
    #[must_use]
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// Returns whether all of the other ones are among them.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        self.contains(other.first) && self.contains(other.last)
    }
}

/// A single port.
impl From<u16> for Ports {
    fn from(port: u16) -> Self {
        Self { first: port, last: port }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(formatter, "{}", self.first),
            false => write!(formatter, "{}-{}", self.first, self.last),
        }
    }
}

/// The hosts that a rule allows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HostPattern {
    /// The host of this name, in lower case.
    Name(String),
    /// `*.name`: the subdomains of this name, at any depth, without the name itself.
    Below(String),
    /// The addresses of a network: an address and the length of its prefix. A single address has the full length.
    Network(IpAddr, u8),
}

/// Why a text is not a rule, as a fragment of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseNetRuleError(String);

impl fmt::Display for ParseNetRuleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl core::error::Error for ParseNetRuleError {}

impl FromStr for NetRule {
    type Err = ParseNetRuleError;

    fn from_str(text: &str) -> Result<Self, ParseNetRuleError> {
        let text = text.trim();
        if text.len() > MAX_RULE {
            return Err(ParseNetRuleError(format!("a rule is at most {MAX_RULE} bytes long")));
        }
        let (methods, authority) = match text.rsplit_once([' ', '\t']) {
            Some((methods, authority)) => (read_methods(methods)?, authority),
            None => (Vec::new(), text),
        };
        let bad = || ParseNetRuleError(format!("`{}` is no host, nor a host and a port", short(authority)));
        let (host, ports) = read_authority(authority).ok_or_else(bad)?;
        Ok(Self { methods, host, ports })
    }
}

impl NetRule {
    /// Parses a rule for TCP connections: one with ports, and without methods.
    ///
    /// # Errors
    /// The text is no such rule.
    pub fn parse_tcp(text: &str) -> Result<Self, ParseNetRuleError> {
        let rule: Self = text.parse()?;
        if !rule.methods.is_empty() {
            return Err(ParseNetRuleError(format!("`{}` names methods, which only `net` has", short(text))));
        }
        if rule.ports.is_none() {
            return Err(ParseNetRuleError(format!(
                "`{}` has no port; a TCP connection is allowed to a port, or to ports like 30000-30100",
                short(text)
            )));
        }
        Ok(rule)
    }

    /// Returns whether the rule is for this port of this host, given as a program writes it. That is no check of access: the
    /// host may have an address that needs a rule of its own.
    #[must_use]
    pub fn names(&self, host: &str, port: u16) -> bool {
        let name = host.strip_suffix('.').unwrap_or(host).to_lowercase();
        let fits = match (&self.host, host.parse::<IpAddr>()) {
            (HostPattern::Network(_, bits), Ok(address)) => {
                *bits <= max_bits(address) && network(address.to_canonical(), *bits) == self.host
            }
            (HostPattern::Name(allowed), Err(_)) => *allowed == name,
            (HostPattern::Below(parent), Err(_)) => {
                name.strip_suffix(parent.as_str()).is_some_and(|prefix| prefix.len() > 1 && prefix.ends_with('.'))
            }
            _ => false,
        };
        fits && self.ports.is_none_or(|ports| ports.contains(port))
    }
}

impl fmt::Display for NetRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.methods.is_empty() {
            write!(formatter, "{} ", self.methods.join("|"))?;
        }
        match &self.host {
            HostPattern::Name(name) => formatter.write_str(name)?,
            HostPattern::Below(name) => write!(formatter, "*.{name}")?,
            HostPattern::Network(address, bits) => write_network(formatter, *address, *bits, self.ports.is_some())?,
        }
        self.ports.map_or(Ok(()), |ports| write!(formatter, ":{ports}"))
    }
}

fn write_network(formatter: &mut fmt::Formatter<'_>, address: IpAddr, bits: u8, port: bool) -> fmt::Result {
    match address {
        IpAddr::V6(address) if port => write!(formatter, "[{address}]")?,
        address => write!(formatter, "{address}")?,
    }
    if bits == max_bits(address) { Ok(()) } else { write!(formatter, "/{bits}") }
}

fn max_bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn read_methods(text: &str) -> Result<Vec<String>, ParseNetRuleError> {
    let is_method = |text: &str| !text.is_empty() && text.chars().all(|char| char.is_ascii_alphabetic() || char == '-');
    let methods = text.trim().split('|').map(str::trim);
    methods
        .map(|method| match is_method(method) {
            true => Ok(method.to_ascii_uppercase()),
            false => Err(ParseNetRuleError(format!("`{}` is no list of methods like GET|HEAD", short(text)))),
        })
        .collect()
}

/// Reads a host with an optional port. `None` if it is neither.
fn read_authority(text: &str) -> Option<(HostPattern, Option<Ports>)> {
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Some((HostPattern::Network(address.into(), 128), None));
    }
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        let address: Ipv6Addr = address.parse().ok()?;
        let (bits, ports) = read_bits_and_ports(rest, 128)?;
        return Some((network(address.into(), bits), ports));
    }
    if let Some((address, bits)) = text.split_once('/')
        && let Ok(address) = address.parse::<Ipv6Addr>()
    {
        return Some((network(address.into(), read_bits(bits, 128)?), None));
    }
    let end = text.find([':', '/']).unwrap_or(text.len());
    let (host, rest) = text.split_at(end);
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        let (bits, ports) = read_bits_and_ports(rest, 32)?;
        return Some((network(address.into(), bits), ports));
    }
    let ports = if rest.is_empty() { None } else { Some(read_ports(rest.strip_prefix(':')?)?) };
    let pattern = match host.strip_prefix("*.") {
        Some(name) => HostPattern::Below(read_name(name)?),
        None => HostPattern::Name(read_name(host)?),
    };
    Some((pattern, ports))
}

/// Returns a network with the host bits of its address cleared.
fn network(address: IpAddr, bits: u8) -> HostPattern {
    let masked = match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    };
    HostPattern::Network(masked, bits)
}

fn read_bits_and_ports(rest: &str, max: u8) -> Option<(u8, Option<Ports>)> {
    let (bits, ports) = match rest.split_once(':') {
        Some((bits, ports)) => (bits, Some(read_ports(ports)?)),
        None => (rest, None),
    };
    let bits = match bits.strip_prefix('/') {
        Some(bits) => read_bits(bits, max)?,
        None if bits.is_empty() => max,
        None => return None,
    };
    Some((bits, ports))
}

fn read_bits(text: &str, max: u8) -> Option<u8> {
    text.parse().ok().filter(|bits| *bits <= max)
}

fn read_ports(text: &str) -> Option<Ports> {
    let Some((first, last)) = text.split_once('-') else { return read_port(text).map(Ports::from) };
    let ports = Ports { first: read_port(first)?, last: read_port(last)? };
    (ports.first <= ports.last).then_some(ports)
}

fn read_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// Reads a host name, in lower case. A name whose last label is a number is refused, because other programs read it as an address.
fn read_name(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label =
        |label: &str| !label.is_empty() && label.chars().all(|char| char.is_alphanumeric() || "-_".contains(char));
    let is_number = |label: &str| label.starts_with(|char: char| char.is_ascii_digit()) && is_numeral(label);
    let is_valid = name.split('.').all(is_label) && !name.rsplit('.').next().is_some_and(is_number);
    is_valid.then(|| name.to_lowercase())
}

fn is_numeral(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.chars().all(|char| char.is_ascii_hexdigit()),
        None => label.chars().all(|char| char.is_ascii_digit()),
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_survives_a_round_trip() {
        for text in [
            "api.example.com",
            "api.example.com:443",
            "*.example.com",
            "GET|HEAD *.example.com:8443",
            "127.0.0.1",
            "127.0.0.1:8080",
            "10.0.0.0/8",
            "10.0.0.0/8:5432",
            "::1",
            "[::1]:443",
            "fc00::/7",
            "[fc00::]/7:443",
            "bücher.example",
            "POST localhost:1",
            "ftp.example.com:30000-30100",
            "10.0.0.0/8:1-65535",
        ] {
            let rule: NetRule = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(rule.to_string(), text);
        }
    }

    #[test]
    fn spellings_of_one_rule_are_one_rule() {
        for (text, same) in [
            ("API.Example.COM.", "api.example.com"),
            ("get api.example.com", "GET api.example.com"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("[::1]", "::1"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(text.parse::<NetRule>().map(|rule| rule.to_string()).as_deref(), Ok(same));
        }
    }

    #[test]
    fn a_text_that_is_not_a_rule_is_refused() {
        for text in [
            "",
            "*",
            "a b c/d",
            "http://a",
            "a/b",
            "a:0",
            "a:65536",
            "a:b",
            "a:2-1",
            "a:0-9",
            "a:1-",
            "a:-1",
            "a:1-2-3",
            "[::1",
            "[::1]x",
            "10.0.0.0/33",
            "127.1",
            "0x7f.1",
            "2130706433",
            "a..b",
            ".a",
            "*.*.a",
            "a*",
            "user@a",
            "G3T a",
            "GET| a",
            "fe80::1%eth0",
            "::1/129",
        ] {
            assert!(text.parse::<NetRule>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_rule_for_tcp_has_ports_and_no_methods() {
        for text in ["redis:6379", "*.example.com:1-9", "10.0.0.0/8:5432"] {
            assert!(NetRule::parse_tcp(text).is_ok(), "{text}");
        }
        for (text, words) in [("redis", "has no port"), ("GET redis:1", "names methods"), ("a:0", "no host")] {
            let error = NetRule::parse_tcp(text).expect_err(text).to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_rule_names_hosts_as_programs_write_them() {
        let names = |rule: &str, host: &str, port: u16| NetRule::parse_tcp(rule).expect("a rule").names(host, port);
        for (rule, host, port) in [
            ("redis.example:6379", "Redis.Example.", 6379),
            ("*.example:1-9", "a.b.example", 9),
            ("10.0.0.0/8:5432", "10.1.2.3", 5432),
            ("127.0.0.1:1", "::ffff:127.0.0.1", 1),
            ("[::1]:1", "::1", 1),
        ] {
            assert!(names(rule, host, port), "{rule} {host} {port}");
        }
        for (rule, host, port) in [
            ("redis.example:6379", "redis.example", 6380),
            ("redis.example:6379", "a.redis.example", 6379),
            ("*.example:1", "example", 1),
            ("10.0.0.0/8:5432", "11.1.2.3", 5432),
            ("10.0.0.0/8:5432", "a.example", 5432),
            ("[fc00::]/7:1", "10.0.0.1", 1),
        ] {
            assert!(!names(rule, host, port), "{rule} {host} {port}");
        }
    }
}
