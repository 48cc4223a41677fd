//! Addresses that do not belong to a public host. Requests reach them only if a rule names them by address.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses with a special purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// What the addresses are for, for messages.
    pub(crate) meaning: &'static str,
    /// The first address.
    pub(crate) first: IpAddr,
    /// The length of the common prefix, in bits.
    pub(crate) bits: u8,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8, meaning: &'static str) -> Block {
    Block { meaning, first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
}

const fn v6(first: u128, bits: u8, meaning: &'static str) -> Block {
    Block { meaning, first: IpAddr::V6(Ipv6Addr::from_bits(first)), bits }
}

/// All blocks. A block comes before those that contain it.
const BLOCKS: &[Block] = &[
    v4(0, 0, 0, 0, 8, "this machine or network"),
    v4(10, 0, 0, 0, 8, "private"),
    v4(100, 64, 0, 0, 10, "carrier-grade NAT"),
    v4(127, 0, 0, 0, 8, "loopback"),
    // clouds serve instance metadata here, credentials included
    v4(169, 254, 0, 0, 16, "link-local"),
    // Azure's wire server
    v4(168, 63, 129, 16, 32, "a cloud's own service"),
    v4(172, 16, 0, 0, 12, "private"),
    v4(192, 0, 0, 0, 24, "reserved for protocols"),
    v4(192, 0, 2, 0, 24, "for documentation"),
    v4(192, 31, 196, 0, 24, "reserved for protocols"),
    v4(192, 52, 193, 0, 24, "reserved for protocols"),
    v4(192, 88, 99, 0, 24, "a relay into IPv6"),
    v4(192, 168, 0, 0, 16, "private"),
    v4(192, 175, 48, 0, 24, "reserved for protocols"),
    v4(198, 18, 0, 0, 15, "for measurements"),
    v4(198, 51, 100, 0, 24, "for documentation"),
    v4(203, 0, 113, 0, 24, "for documentation"),
    v4(224, 0, 0, 0, 4, "multicast"),
    v4(255, 255, 255, 255, 32, "broadcast"),
    v4(240, 0, 0, 0, 4, "reserved"),
    v6(0, 128, "unspecified"),
    v6(1, 128, "loopback"),
    v6(0xffff_0000 << 32, 96, "a translated IPv4 address"),
    v6(0x0064_ff9b << 96, 96, "a translated IPv4 address"),
    v6(0x0064_ff9b_0001 << 80, 48, "a translated IPv4 address"),
    v6(0x2001 << 112, 23, "reserved for protocols and tunnels"),
    v6(0x2001_0db8 << 96, 32, "for documentation"),
    v6(0x2002 << 112, 16, "an IPv4 address in a tunnel"),
    v6(0x3fff << 112, 20, "for documentation"),
    v6(0xfc00 << 112, 7, "private"),
    v6(0xfe80 << 112, 10, "link-local"),
    v6(0xfec0 << 112, 10, "private"),
    v6(0xff00 << 112, 8, "multicast"),
    // public addresses begin with the bits 001; these are the other seven eighths
    v6(0, 3, "reserved"),
    v6(0x4000 << 112, 3, "reserved"),
    v6(0x6000 << 112, 3, "reserved"),
    v6(0x8000 << 112, 3, "reserved"),
    v6(0xa000 << 112, 3, "reserved"),
    v6(0xc000 << 112, 3, "reserved"),
    v6(0xe000 << 112, 3, "reserved"),
];

/// Returns the address that packets are sent to: an IPv4-mapped IPv6 address is an IPv4 address.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Returns the block that a canonical address lies in; `None` for the address of a public host.
pub(crate) fn special_block(address: IpAddr) -> Option<Block> {
    BLOCKS.iter().copied().find(|block| network_contains(block.first, block.bits, address))
}

/// Returns whether a network contains an address. A network of one IP version contains no address of the other.
pub(crate) fn network_contains(first: IpAddr, bits: u8, address: IpAddr) -> bool {
    let (first, address, width) = match (first, address) {
        (IpAddr::V4(first), IpAddr::V4(address)) => (first.to_bits().into(), address.to_bits().into(), 32_u32),
        (IpAddr::V6(first), IpAddr::V6(address)) => (first.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    let host_bits = width.saturating_sub(bits.into());
    let prefix = |address: u128| address.checked_shr(host_bits).unwrap_or(0);
    prefix(first) == prefix(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(text: &str) -> Option<&'static str> {
        special_block(canonical(text.parse().expect("an address"))).map(|block| block.meaning)
    }

    #[test]
    fn public_addresses_are_in_no_block() {
        for text in
            ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "::ffff:1.1.1.1", "2606:4700::1"]
        {
            assert_eq!(meaning(text), None, "{text}");
        }
    }

    #[test]
    fn special_addresses_are_in_their_block() {
        for (text, expected) in [
            ("0.0.0.0", "this machine or network"),
            ("127.255.255.254", "loopback"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:169.254.169.254", "link-local"),
            ("100.100.100.200", "carrier-grade NAT"),
            ("255.255.255.255", "broadcast"),
            ("254.0.0.1", "reserved"),
            ("::", "unspecified"),
            ("::127.0.0.1", "reserved"),
            ("::ffff:0:127.0.0.1", "a translated IPv4 address"),
            ("64:ff9b::7f00:1", "a translated IPv4 address"),
            ("64:ff9b:1::7f00:1", "a translated IPv4 address"),
            ("2001::1", "reserved for protocols and tunnels"),
            ("2002:7f00:1::", "an IPv4 address in a tunnel"),
            ("fd00:ec2::254", "private"),
            ("fe80::1", "link-local"),
            ("ff02::1", "multicast"),
            ("4000::1", "reserved"),
        ] {
            assert_eq!(meaning(text), Some(expected), "{text}");
        }
    }
}
