//! Addresses that are no public host: a rule must name them by address before anybody speaks to them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses with a meaning of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// What the addresses are, for messages.
    pub(crate) meaning: &'static str,
    /// First address.
    pub(crate) first: IpAddr,
    /// Bits that all of them have in common.
    pub(crate) bits: u8,
}

const fn four(a: u8, b: u8, c: u8, d: u8, bits: u8, meaning: &'static str) -> Block {
    Block { meaning, first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
}

const fn six(first: u128, bits: u8, meaning: &'static str) -> Block {
    Block { meaning, first: IpAddr::V6(Ipv6Addr::from_bits(first)), bits }
}

/// Every block, smaller ones before those they lie in.
const BLOCKS: &[Block] = &[
    four(0, 0, 0, 0, 8, "this machine or network"),
    four(10, 0, 0, 0, 8, "private"),
    four(100, 64, 0, 0, 10, "behind a carrier's translation"),
    four(127, 0, 0, 0, 8, "loopback"),
    // also where clouds tell machines their credentials
    four(169, 254, 0, 0, 16, "link-local"),
    // likewise, on one cloud
    four(168, 63, 129, 16, 32, "a cloud's own service"),
    four(172, 16, 0, 0, 12, "private"),
    four(192, 0, 0, 0, 24, "reserved for protocols"),
    four(192, 0, 2, 0, 24, "for documentation"),
    four(192, 31, 196, 0, 24, "reserved for protocols"),
    four(192, 52, 193, 0, 24, "reserved for protocols"),
    four(192, 88, 99, 0, 24, "a relay into IPv6"),
    four(192, 168, 0, 0, 16, "private"),
    four(192, 175, 48, 0, 24, "reserved for protocols"),
    four(198, 18, 0, 0, 15, "for measurements"),
    four(198, 51, 100, 0, 24, "for documentation"),
    four(203, 0, 113, 0, 24, "for documentation"),
    four(224, 0, 0, 0, 4, "multicast"),
    four(255, 255, 255, 255, 32, "broadcast"),
    four(240, 0, 0, 0, 4, "reserved"),
    six(0, 128, "unspecified"),
    six(1, 128, "loopback"),
    six(0xffff_0000 << 32, 96, "a translated IPv4 address"),
    six(0x0064_ff9b << 96, 96, "a translated IPv4 address"),
    six(0x0064_ff9b_0001 << 80, 48, "a translated IPv4 address"),
    six(0x2001 << 112, 23, "reserved for protocols and tunnels"),
    six(0x2001_0db8 << 96, 32, "for documentation"),
    six(0x2002 << 112, 16, "an IPv4 address in a tunnel"),
    six(0x3fff << 112, 20, "for documentation"),
    six(0xfc00 << 112, 7, "private"),
    six(0xfe80 << 112, 10, "link-local"),
    six(0xfec0 << 112, 10, "private"),
    six(0xff00 << 112, 8, "multicast"),
    // the public ones begin with the bits 001; the rest is told as its eighths
    six(0, 3, "reserved"),
    six(0x4000 << 112, 3, "reserved"),
    six(0x6000 << 112, 3, "reserved"),
    six(0x8000 << 112, 3, "reserved"),
    six(0xa000 << 112, 3, "reserved"),
    six(0xc000 << 112, 3, "reserved"),
    six(0xe000 << 112, 3, "reserved"),
];

/// The address that is really spoken to: one of IPv4 in the clothes of IPv6 is one of IPv4.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The block that a canonical address lies in, or `None` where it is a public host's.
pub(crate) fn block(address: IpAddr) -> Option<Block> {
    BLOCKS.iter().copied().find(|block| contains(block.first, block.bits, address))
}

/// Does the network of these first bits hold the address? Addresses of the other kind are in none.
pub(crate) fn contains(first: IpAddr, bits: u8, address: IpAddr) -> bool {
    let (first, address, width) = match (first, address) {
        (IpAddr::V4(first), IpAddr::V4(address)) => (first.to_bits().into(), address.to_bits().into(), 32_u32),
        (IpAddr::V6(first), IpAddr::V6(address)) => (first.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    let rest = width.saturating_sub(bits.into());
    let shifted = |bits: u128| bits.checked_shr(rest).unwrap_or(0);
    shifted(first) == shifted(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(text: &str) -> Option<&'static str> {
        block(canonical(text.parse().expect("an address"))).map(|block| block.meaning)
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
    fn other_addresses_are_known_for_what_they_are() {
        for (text, expected) in [
            ("0.0.0.0", "this machine or network"),
            ("127.255.255.254", "loopback"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:169.254.169.254", "link-local"),
            ("100.100.100.200", "behind a carrier's translation"),
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
