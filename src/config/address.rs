//! `HOST:PORT`, as people write it.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::Context;
use bue_hub::Access;

use crate::process::command_error::CommandError;

/// Resolves the address to listen on. Any address but loopback requires tokens, because anyone who can reach an open hub can run
/// code on its workers.
pub(crate) fn listen_address(text: &str, flag: &str, access: &Access) -> Result<SocketAddr, CommandError> {
    let addresses = resolve(text, flag)?;
    let public = addresses.iter().find(|address| !address.ip().is_loopback());
    if let Some(public) = public.filter(|_| access.is_open()) {
        return Err(CommandError::Usage(format!(
            "refused to listen on {public} without tokens: anyone who can reach it could run code here. Type `bue token new \
             --role admin` and set BUE_TOKEN to its output, or use `{flag} 127.0.0.1:{}`",
            public.port()
        )));
    }
    addresses.first().copied().ok_or_else(|| invalid_address(text, flag))
}

/// Parses the addresses of a server to connect to: one or several, separated by commas, each of the form `HOST:PORT`.
pub(crate) fn server_addresses(text: &str, flag: &str) -> Result<Vec<String>, CommandError> {
    let addresses: Vec<String> = text.split(',').map(|part| part.trim().to_owned()).collect();
    addresses.iter().try_for_each(|address| expect_host_and_port(address, flag))?;
    Ok(addresses)
}

fn resolve(text: &str, flag: &str) -> Result<Vec<SocketAddr>, CommandError> {
    expect_host_and_port(text, flag)?;
    let addresses = text.to_socket_addrs().with_context(|| format!("failed to look up `{text}` of `{flag}`"))?;
    Ok(addresses.collect())
}

/// Checks that a text is `HOST:PORT`.
pub(crate) fn expect_host_and_port(text: &str, flag: &str) -> Result<(), CommandError> {
    let parts = text.rsplit_once(':');
    let is_valid = parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if is_valid { Ok(()) } else { Err(invalid_address(text, flag)) }
}

fn invalid_address(text: &str, flag: &str) -> CommandError {
    CommandError::Usage(format!(
        "`{text}` is not an address; type `{flag} HOST:PORT`, for example `{flag} 127.0.0.1:65432`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage_error(text: &str) -> String {
        match listen_address(text, "-b", &Access::open()) {
            Err(CommandError::Usage(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_tokens_a_server_listens_on_loopback_only() {
        assert!(listen_address("127.0.0.1:0", "-b", &Access::open()).is_ok());
        assert!(listen_address("[::1]:0", "-b", &Access::open()).is_ok());
        let error = usage_error("0.0.0.0:65432");
        assert!(error.contains("-b 127.0.0.1:65432") && error.contains("bue token new"), "{error}");
        assert!(listen_address("0.0.0.0:65432", "-b", &Access::single_token("token")).is_ok());
    }

    #[test]
    fn an_invalid_address_is_refused() {
        for text in ["", "localhost", ":80", "localhost:", "localhost:99999", "a:b:c"] {
            assert!(usage_error(text).contains("is not an address"), "{text}");
        }
        assert!(matches!(server_addresses("a:1, b", "-b"), Err(CommandError::Usage(_))));
        assert_eq!(server_addresses("a:1, b:2", "-b").expect("valid"), ["a:1", "b:2"]);
    }
}
