//! What a server answers: each route with its method, what it needs, and what it calls.

use http::Method;

use crate::auth::access::Access;
use crate::auth::role::{Need, Role};
use crate::http::reply::Refusal;
use crate::http::request_metrics::Visit;

/// One route.
#[derive(Debug)]
pub(crate) struct Route<C> {
    pub(crate) method: Method,
    /// `{x}` stands for one part, `{x...}` for all that follow.
    pub(crate) path: &'static str,
    pub(crate) need: Need,
    pub(crate) call: C,
}

/// What a route is to people and tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteView {
    /// `GET`
    pub method: String,
    /// `/v1/runs/{id}`
    pub path: &'static str,
    /// Who may, without and with a token. `None`: everybody.
    pub roles: Option<Vec<Role>>,
}

/// Short for a table's lines.
pub(crate) const fn route<C>(method: Method, path: &'static str, need: Need, call: C) -> Route<C> {
    Route { method, path, need, call }
}

/// The route of a request that may be answered, and the parts of its path that it names. Notes what is known of the request,
/// whatever comes of it.
pub(crate) fn find<'p, C: Copy>(
    routes: &[Route<C>],
    access: &Access,
    head: &'p http::request::Parts,
    visit: &mut Visit<'_>,
) -> Result<(C, Vec<&'p str>), Refusal> {
    let path = head.uri.path();
    let here: Vec<_> = routes.iter().filter_map(|route| Some((route, matched(route.path, path)?))).collect();
    let Some((first, _)) = here.first() else { return Err(Refusal::no_such_route(path)) };
    visit.route = Some(first.path);
    let allowed = here.iter().map(|(route, _)| route.method.clone()).collect();
    let found = here.into_iter().find(|(route, _)| route.method == head.method);
    let (route, parts) = found.ok_or_else(|| Refusal::method_not_allowed(&head.method, allowed))?;
    if route.need != Need::Health
        && let Some(visitor) = access.identify(&head.headers)?
    {
        visit.visitor.insert(visitor).expect_may(route.need)?;
    }
    Ok((route.call, parts))
}

/// The routes of a table as people see them.
pub(crate) fn views<C>(routes: &[Route<C>]) -> Vec<RouteView> {
    let roles = |need| Role::ALL.into_iter().filter(|role| role.may(need)).collect();
    let view = |route: &Route<C>| RouteView {
        method: route.method.to_string(),
        path: route.path,
        roles: (route.need != Need::Health).then(|| roles(route.need)),
    };
    routes.iter().map(view).collect()
}

/// What stands in a path for the `{…}` of a pattern; `None` where it is another path.
fn matched<'p>(pattern: &str, path: &'p str) -> Option<Vec<&'p str>> {
    let mut parts = Vec::new();
    let (mut pattern, mut rest) = (pattern.strip_prefix('/')?, path.strip_prefix('/')?);
    loop {
        if pattern.ends_with("...}") && pattern.starts_with('{') && !pattern.contains('/') {
            parts.push(rest);
            return Some(parts);
        }
        let (wanted, more) = pattern.split_once('/').map_or((pattern, None), |(wanted, more)| (wanted, Some(more)));
        let (found, behind) = rest.split_once('/').map_or((rest, None), |(found, behind)| (found, Some(behind)));
        match wanted.starts_with('{') {
            true if !found.is_empty() => parts.push(found),
            false if wanted == found => {}
            _ => return None,
        }
        match (more, behind) {
            (Some(more), Some(behind)) => (pattern, rest) = (more, behind),
            (None, None) => return Some(parts),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart_as_its_pattern_says() {
        assert_eq!(matched("/v1/runs", "/v1/runs"), Some(vec![]));
        assert_eq!(matched("/v1/runs/{id}/cancel", "/v1/runs/7/cancel"), Some(vec!["7"]));
        assert_eq!(matched("/v1/keys/{key...}", "/v1/keys/a/b//c"), Some(vec!["a/b//c"]));
        for path in ["/v1/runs/", "/v1/runs/7", "/v1/runs//cancel", "/v1/runs/7/cancel/", "v1/runs", "/", ""] {
            assert_eq!(matched("/v1/runs/{id}/cancel", path), None, "{path}");
        }
    }
}
