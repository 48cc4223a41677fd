//! Addresses of pages, and going to another one.

use http::{HeaderValue, Response, StatusCode, header};
use url::form_urlencoded::Serializer;

use crate::http::reply::{Body, empty};

/// Characters of an address to come back to.
const MAX_BACK: usize = 2_000;

/// Returns an address with these parameters, without those that are empty.
pub(super) fn with_query<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let query = query(pairs);
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Returns the query of a request to the API with these parameters, without those that are empty.
pub(super) fn api_query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    // the API does not read `+` as a space
    query(pairs).replace('+', "%20")
}

fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = Serializer::new(String::new());
    pairs.into_iter().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| {
        query.append_pair(name, value);
    });
    query.finish()
}

/// Returns the address if it is a path of this server, else that of the first page: a form must not lead elsewhere.
pub(super) fn local_path(address: &str) -> &str {
    // `//host` and `/\host` are addresses of other servers for browsers
    let is_local = address.starts_with('/')
        && !address.get(1..).is_some_and(|rest| rest.starts_with(['/', '\\']))
        && address.len() <= MAX_BACK
        && address.bytes().all(|byte| byte.is_ascii_graphic());
    if is_local { address } else { "/" }
}

/// Sends the browser to another page of this server.
pub(super) fn see_other(path: &str, status: StatusCode) -> Response<Body> {
    let mut response = empty();
    *response.status_mut() = status;
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, location);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_to_pages_of_this_server_only() {
        for path in ["/", "/runs?state=failed&name=a%20b", "/jobs/7"] {
            assert_eq!(local_path(path), path);
        }
        for path in ["", "//evil.example", "/\\evil.example", "https://evil.example", "runs", "/a\r\nb", "/a b", "/é"]
        {
            assert_eq!(local_path(path), "/", "{path}");
        }
    }

    #[test]
    fn a_query_leaves_empty_values_out_and_escapes_the_others() {
        assert_eq!(with_query("/runs", [("state", ""), ("name", "")]), "/runs");
        assert_eq!(
            with_query("/runs", [("state", "failed"), ("name", "a&b=c é")]),
            "/runs?state=failed&name=a%26b%3Dc+%C3%A9"
        );
        assert_eq!(api_query([("after", ""), ("name", "a + b")]), "name=a%20%2B%20b");
    }
}
