//! The address of a server.

use http::uri::{Authority, Scheme};

use crate::error::ClientError;

/// The address of a server, with or without TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
}

impl Address {
    /// Reads `host:port`, `http://host:port` or `https://host:port`, with or without a trailing slash.
    pub(crate) fn parse(text: &str) -> Result<Self, ClientError> {
        let refuse = |reason| ClientError::Address { address: text.to_owned(), reason };
        let trimmed = text.trim();
        let (scheme, remainder) = match trimmed.strip_prefix("https://") {
            Some(remainder) => (Scheme::HTTPS, remainder),
            None => (Scheme::HTTP, trimmed.strip_prefix("http://").unwrap_or(trimmed)),
        };
        let remainder = remainder.strip_suffix('/').unwrap_or(remainder);
        let authority: Authority = remainder.parse().map_err(|_| refuse("it cannot be read"))?;
        match authority.port_u16() {
            Some(0) => Err(refuse("port 0 cannot be connected to")),
            None => Err(refuse("the port is missing")),
            Some(_) => Ok(Self { scheme, authority }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_is_accepted() {
        for text in ["127.0.0.1:80", "http://127.0.0.1:80", " http://127.0.0.1:80/ ", "[::1]:80"] {
            assert_eq!(Address::parse(text).expect(text).scheme, Scheme::HTTP, "{text}");
        }
        let address = Address::parse("https://hub.lan:443/").expect("an address");
        assert_eq!((address.scheme, address.authority.as_str()), (Scheme::HTTPS, "hub.lan:443"));
    }

    #[test]
    fn an_invalid_address_is_refused() {
        for text in ["", "localhost", "https://x", "ftp://x:1", "a b:1", "x:99999", "x:0", "http://x:1/path"] {
            let error = Address::parse(text).expect_err(text);
            assert!(error.to_string().contains("host:port"), "{error}");
        }
    }
}
