//! The network: sockets of every family, and what a socket it has could be used for.

use libc::{SOCK_DGRAM, SOCK_RAW, SOCK_STREAM};

use super::attempt::{Attempt, attempt, int, scratch, words};

/// An IPv4 address in memory: 127.0.0.1:1.
const ADDRESS: u64 = 0x0100_007f_0100_0002;

pub(crate) fn attempts() -> Vec<Attempt> {
    let families = [
        ("a TCP socket", libc::AF_INET, SOCK_STREAM),
        ("a UDP socket", libc::AF_INET, SOCK_DGRAM),
        ("a raw socket", libc::AF_INET, SOCK_RAW),
        ("an IPv6 socket", libc::AF_INET6, SOCK_STREAM),
        ("an IPv6 UDP socket", libc::AF_INET6, SOCK_DGRAM),
        ("a Unix socket", libc::AF_UNIX, SOCK_STREAM),
        ("a Unix datagram socket", libc::AF_UNIX, SOCK_DGRAM),
        ("a netlink socket", libc::AF_NETLINK, SOCK_RAW),
        ("a packet socket", libc::AF_PACKET, SOCK_RAW),
        ("a socket to the hypervisor", libc::AF_VSOCK, SOCK_STREAM),
        ("a socket to the kernel's ciphers", libc::AF_ALG, libc::SOCK_SEQPACKET),
        ("a CAN socket", libc::AF_CAN, SOCK_RAW),
        ("a Bluetooth socket", libc::AF_BLUETOOTH, SOCK_RAW),
        ("an XDP socket", libc::AF_XDP, SOCK_RAW),
    ];
    let sockets = families.map(|(name, family, kind)| attempt(name, libc::SYS_socket, &[int(family), int(kind), 0]));
    let address = || words(&[ADDRESS]);
    let others = [
        attempt("a pair of sockets", libc::SYS_socketpair, &[int(libc::AF_UNIX), int(SOCK_STREAM), 0, scratch()]),
        attempt("connect its socket elsewhere", libc::SYS_connect, &[0, address(), 16]),
        attempt("bind its socket", libc::SYS_bind, &[0, address(), 16]),
        attempt("listen on its socket", libc::SYS_listen, &[0, 1]),
        attempt("accept a connection", libc::SYS_accept4, &[0, 0, 0, 0]),
        attempt("send to an address", libc::SYS_sendto, &[0, scratch(), 0, int(libc::MSG_DONTWAIT), address(), 16]),
        attempt("send descriptors", libc::SYS_sendmsg, &[0, scratch(), int(libc::MSG_DONTWAIT)]),
        attempt("send many messages", libc::SYS_sendmmsg, &[0, scratch(), 1, int(libc::MSG_DONTWAIT)]),
        attempt(
            "set an option of its socket",
            libc::SYS_setsockopt,
            &[0, int(libc::SOL_SOCKET), int(libc::SO_KEEPALIVE), words(&[1]), 4],
        ),
        attempt("io_uring", libc::SYS_io_uring_setup, &[8, scratch()]),
    ];
    sockets.into_iter().chain(others).collect()
}
