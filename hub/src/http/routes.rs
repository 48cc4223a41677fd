//! The table of a server's routes: the method and path of each, the permission it needs, and its operation.

use http::Method;
use http::request::Parts;

use crate::auth::access::Access;
use crate::auth::browser::refuse_foreign_pages;
use crate::auth::role::{Permission, Role};
use crate::http::reply::ErrorReply;
use crate::http::request_metrics::RequestContext;

/// A route. `Op` is the server's enum of operations.
#[derive(Debug)]
pub(crate) struct Route<Op> {
    pub(crate) method: Method,
    /// `{x}` matches one segment, `{x...}` all that follow.
    pub(crate) path: &'static str,
    pub(crate) permission: Permission,
    pub(crate) operation: Op,
}

/// A request's operation and the values of its path's parameters.
#[derive(Debug)]
pub(crate) struct RouteMatch<'p, Op> {
    pub(crate) operation: Op,
    parameters: Vec<&'p str>,
}

/// A route as documentation and tests see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteView {
    /// `GET`
    pub method: String,
    /// `/v1/runs/{id}`
    pub path: &'static str,
    /// The roles that may use it. `None` means that it needs no token.
    pub roles: Option<Vec<Role>>,
}

/// A constructor that keeps a table's entries on one line.
pub(crate) const fn route<Op>(method: Method, path: &'static str, permission: Permission, operation: Op) -> Route<Op> {
    Route { method, path, permission, operation }
}

/// Finds the route of a request and checks that the request may use it. Records route and principal in `context` even if
/// the request is refused.
pub(crate) fn match_route<'p, Op: Copy>(
    routes: &[Route<Op>],
    access: &Access,
    head: &'p Parts,
    context: &mut RequestContext<'_>,
) -> Result<RouteMatch<'p, Op>, ErrorReply> {
    let path = head.uri.path();
    let candidates: Vec<_> = routes.iter().filter_map(|route| Some((route, match_path(route.path, path)?))).collect();
    let Some((first, _)) = candidates.first() else { return Err(ErrorReply::no_such_route(path)) };
    context.route = Some(first.path);
    let allowed = candidates.iter().map(|(route, _)| route.method.clone()).collect();
    let matching = candidates.into_iter().find(|(route, _)| route.method == head.method);
    let (route, parameters) = matching.ok_or_else(|| ErrorReply::method_not_allowed(&head.method, allowed))?;
    if route.permission != Permission::Public {
        let sender = match context.session.take() {
            Some(principal) => Some(principal),
            None => access.authenticate(&head.headers)?,
        };
        match sender {
            Some(principal) => context.principal.insert(principal).expect_permission(route.permission)?,
            None => refuse_foreign_pages(&head.headers)?,
        }
    }
    Ok(RouteMatch { operation: route.operation, parameters })
}

impl<'p, Op> RouteMatch<'p, Op> {
    /// The value of the path's first parameter; empty where the path has none.
    pub(crate) fn parameter(&self) -> &'p str {
        self.parameters.first().copied().unwrap_or_default()
    }

    /// The value of the path's second parameter; empty where the path has none. No route has more than two.
    pub(crate) fn second_parameter(&self) -> &'p str {
        self.parameters.get(1).copied().unwrap_or_default()
    }
}

/// Whether a table has a route with this path, for any method.
pub(crate) fn has_path<Op>(routes: &[Route<Op>], path: &str) -> bool {
    routes.iter().any(|route| match_path(route.path, path).is_some())
}

/// The routes of a table as documentation and tests see them.
pub(crate) fn route_views<Op>(routes: &[Route<Op>]) -> Vec<RouteView> {
    let roles = |permission| Role::ALL.into_iter().filter(|role| role.allows(permission)).collect();
    let view = |route: &Route<Op>| RouteView {
        method: route.method.to_string(),
        path: route.path,
        roles: (route.permission != Permission::Public).then(|| roles(route.permission)),
    };
    routes.iter().map(view).collect()
}

/// Returns the values of a pattern's parameters; `None` if the path does not match it.
fn match_path<'p>(pattern: &str, path: &'p str) -> Option<Vec<&'p str>> {
    let mut parameters = Vec::new();
    let (mut pattern, mut path) = (pattern.strip_prefix('/')?, path.strip_prefix('/')?);
    loop {
        if pattern.ends_with("...}") && pattern.starts_with('{') && !pattern.contains('/') {
            parameters.push(path);
            return Some(parameters);
        }
        let (expected, pattern_rest) = split_segment(pattern);
        let (segment, path_rest) = split_segment(path);
        match expected.starts_with('{') {
            true if !segment.is_empty() => parameters.push(segment),
            false if expected == segment => {}
            _ => return None,
        }
        match (pattern_rest, path_rest) {
            (Some(pattern_rest), Some(path_rest)) => (pattern, path) = (pattern_rest, path_rest),
            (None, None) => return Some(parameters),
            _ => return None,
        }
    }
}

/// The first segment, and what follows the `/` behind it.
fn split_segment(path: &str) -> (&str, Option<&str>) {
    path.split_once('/').map_or((path, None), |(segment, rest)| (segment, Some(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_as_its_pattern_says() {
        assert_eq!(match_path("/v1/runs", "/v1/runs"), Some(vec![]));
        assert_eq!(match_path("/v1/runs/{id}/cancel", "/v1/runs/7/cancel"), Some(vec!["7"]));
        assert_eq!(match_path("/v1/keys/{key...}", "/v1/keys/a/b//c"), Some(vec!["a/b//c"]));
        for path in ["/v1/runs/", "/v1/runs/7", "/v1/runs//cancel", "/v1/runs/7/cancel/", "v1/runs", "/", ""] {
            assert_eq!(match_path("/v1/runs/{id}/cancel", path), None, "{path}");
        }
    }
}
