//! [`refuse_foreign_pages`]: keeps web pages of others away from a server that requires no token. [`expect_own_page`]: lets only the
//! dashboard's own pages change something.
//!
//! A browser runs the scripts of every page its user visits, on the user's machine, and so within reach of a server that listens
//! on loopback only. Such a script can send simple requests (cross-site request forgery), and with a name that resolves to
//! 127.0.0.1 it can read the answers too (DNS rebinding). Its requests carry the page's origin or that name, which gives them away.

use std::net::IpAddr;

use bue_model::text::excerpt;
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderName};

use crate::auth::access::AccessError;

/// What a browser says about the page that sends a request.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses requests under a name that anyone could have registered, and requests of pages from elsewhere.
pub(crate) fn refuse_foreign_pages(headers: &HeaderMap) -> Result<(), AccessError> {
    let text = |name: &HeaderName| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let host = text(&HOST).unwrap_or_default();
    if !is_local_name(&host) {
        return Err(AccessError::ForeignHost { host: excerpt(&host) });
    }
    if let Some(origin) = text(&ORIGIN)
        && origin.split_once("://").is_none_or(|(_, authority)| authority != host)
    {
        return Err(AccessError::ForeignOrigin { origin: excerpt(&origin) });
    }
    match text(&SEC_FETCH_SITE) {
        Some(site) if site != "same-origin" && site != "none" => {
            Err(AccessError::ForeignOrigin { origin: excerpt(&site) })
        }
        _ => Ok(()),
    }
}

/// Refuses a request that a page of another site sends. Browsers send the session's cookie along, so a cookie alone proves nothing.
pub(crate) fn expect_own_page(headers: &HeaderMap) -> Result<(), AccessError> {
    let text = |name: &HeaderName| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let host = text(&HOST).unwrap_or_default();
    let is_own = |origin: &str| {
        origin.split_once("://").is_some_and(|(_, authority)| !host.is_empty() && authority.eq_ignore_ascii_case(&host))
    };
    match (text(&ORIGIN), text(&SEC_FETCH_SITE)) {
        (Some(origin), _) if is_own(&origin) => Ok(()),
        (Some(origin), _) => Err(AccessError::NotOwnPage { origin: excerpt(&origin) }),
        (None, Some(site)) if site == "same-origin" => Ok(()),
        (None, _) => Err(AccessError::NotOwnPage { origin: "an unknown page".to_owned() }),
    }
}

/// Whether a browser follows a link from another site. It then leaves the session's cookie out, although its user may have one.
pub(crate) fn is_followed_link(headers: &HeaderMap) -> bool {
    let is = |name: &str, expected: &[&str]| {
        headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| expected.contains(&value))
    };
    is("sec-fetch-site", &["cross-site", "same-site"])
        && is("sec-fetch-mode", &["navigate"])
        && is("sec-fetch-dest", &["document"])
}

/// Whether no domain of others can have this name: an address, or `localhost`.
fn is_local_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    address.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(headers: &[(&HeaderName, &'static str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| ((*name).clone(), HeaderValue::from_static(value)));
        refuse_foreign_pages(&headers.collect()).is_ok()
    }

    #[test]
    fn only_addresses_and_localhost_are_hosts() {
        for host in ["127.0.0.1:65432", "127.0.0.1", "[::1]:65432", "[::1]", "localhost:1", "LOCALHOST", "192.0.2.1:80"]
        {
            assert!(check(&[(&HOST, host)]), "{host}");
        }
        for host in
            ["evil.example:65432", "localhost.evil.example", "127.0.0.1.nip.io", "x", "", "[::1].evil", "127.0.0.1:x"]
        {
            assert!(!check(&[(&HOST, host)]), "{host}");
        }
        assert!(!check(&[]));
    }

    #[test]
    fn only_own_pages_may_change_something() {
        let check = |headers: &[(&HeaderName, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| ((*name).clone(), HeaderValue::from_static(value)));
            expect_own_page(&headers.collect()).is_ok()
        };
        let host = (&HOST, "hub.example:7");
        assert!(
            check(&[host, (&ORIGIN, "https://hub.example:7")]) && check(&[host, (&ORIGIN, "http://HUB.example:7")])
        );
        assert!(check(&[host, (&SEC_FETCH_SITE, "same-origin")]));
        for origin in ["http://evil.example", "null", "", "http://hub.example:8", "http://hub.example", "://"] {
            assert!(!check(&[host, (&ORIGIN, origin), (&SEC_FETCH_SITE, "same-origin")]), "{origin}");
        }
        assert!(!check(&[host]) && !check(&[host, (&SEC_FETCH_SITE, "none")]) && !check(&[(&ORIGIN, "http://")]));
    }

    #[test]
    fn a_page_of_another_site_is_refused_and_the_servers_own_is_not() {
        let host = (&HOST, "127.0.0.1:7");
        assert!(check(&[host, (&ORIGIN, "http://127.0.0.1:7"), (&SEC_FETCH_SITE, "same-origin")]));
        assert!(check(&[host, (&SEC_FETCH_SITE, "none")]));
        for origin in ["http://evil.example", "null", "", "http://127.0.0.1:8", "http://127.0.0.1"] {
            assert!(!check(&[host, (&ORIGIN, origin)]), "{origin}");
        }
        for site in ["cross-site", "same-site", ""] {
            assert!(!check(&[host, (&SEC_FETCH_SITE, site)]), "{site}");
        }
    }
}
