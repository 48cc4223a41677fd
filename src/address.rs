//! `HOST:PORT` as people give it.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::Context;
use bue_hub::Access;

use crate::stop::Stop;

/// The address to listen on. Anything but loopback needs tokens: an open hub runs anybody's code.
pub(crate) fn listen_address(text: &str, flag: &str, access: &Access) -> Result<SocketAddr, Stop> {
    let addresses = resolve(text, flag)?;
    let outside = addresses.iter().find(|address| !address.ip().is_loopback());
    if let Some(outside) = outside.filter(|_| access.is_open()) {
        return Err(Stop::Usage(format!(
            "refused to listen on {outside} without tokens: whoever reaches it could run code here. Type `bue token new --role \
             admin` and put what it prints into .env as BUE_TOKEN=…, or use `{flag} 127.0.0.1:{}`",
            outside.port()
        )));
    }
    addresses.first().copied().ok_or_else(|| no_address(text, flag))
}

/// The addresses of a server to talk to: one or several, separated by commas, each checked to be `HOST:PORT`.
pub(crate) fn server_addresses(text: &str, flag: &str) -> Result<Vec<String>, Stop> {
    let addresses: Vec<String> = text.split(',').map(|part| part.trim().to_owned()).collect();
    addresses.iter().try_for_each(|address| expect_host_and_port(address, flag))?;
    Ok(addresses)
}

fn resolve(text: &str, flag: &str) -> Result<Vec<SocketAddr>, Stop> {
    expect_host_and_port(text, flag)?;
    let found = text.to_socket_addrs().with_context(|| format!("failed to look up `{text}` of `{flag}`"))?;
    Ok(found.collect())
}

fn expect_host_and_port(text: &str, flag: &str) -> Result<(), Stop> {
    let parts = text.rsplit_once(':');
    let good = parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if good { Ok(()) } else { Err(no_address(text, flag)) }
}

fn no_address(text: &str, flag: &str) -> Stop {
    Stop::Usage(format!("`{text}` is no address; type `{flag} HOST:PORT`, for example `{flag} 127.0.0.1:65432`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        match listen_address(text, "-b", &Access::open()) {
            Err(Stop::Usage(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_loopback_is_listened_on_without_tokens() {
        assert!(listen_address("127.0.0.1:0", "-b", &Access::open()).is_ok());
        assert!(listen_address("[::1]:0", "-b", &Access::open()).is_ok());
        let refused = refused("0.0.0.0:65432");
        assert!(refused.contains("-b 127.0.0.1:65432") && refused.contains("bue token new"), "{refused}");
        assert!(listen_address("0.0.0.0:65432", "-b", &Access::only("token")).is_ok());
    }

    #[test]
    fn what_is_no_address_is_said() {
        for text in ["", "localhost", ":80", "localhost:", "localhost:99999", "a:b:c"] {
            assert!(refused(text).contains("is no address"), "{text}");
        }
        assert!(matches!(server_addresses("a:1, b", "-b"), Err(Stop::Usage(_))));
        assert_eq!(server_addresses("a:1, b:2", "-b").expect("good"), ["a:1", "b:2"]);
    }
}
