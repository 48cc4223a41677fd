//! Opens sockets.
//! gives: [false,false,false,false]

use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

#[bue::step]
fn sockets(_canary: String, port: u16) -> Vec<bool> {
    vec![
        TcpStream::connect(("127.0.0.1", port)).is_ok(),
        TcpListener::bind("127.0.0.1:0").is_ok(),
        UdpSocket::bind("127.0.0.1:0").is_ok(),
        ("localhost", port).to_socket_addrs().is_ok(),
    ]
}
