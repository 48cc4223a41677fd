//! [`Visit`]: a request for a page, with its visitor and its time.

use bue_model::Timestamp;
use http::Method;
use http::request::Parts;

use crate::api::hub::Hub;
use crate::auth::access::Principal;
use crate::auth::role::Permission;
use crate::web::form::Form;
use crate::web::theme::Theme;

/// The header by which the module says that it has the page.
const REFRESH: &str = "bue-refresh";

/// A request for a page, after its permission was checked.
pub(super) struct Visit {
    pub(super) hub: Hub,
    pub(super) head: Parts,
    /// `None` where no token is needed.
    pub(super) principal: Option<Principal>,
    pub(super) now: Timestamp,
    pub(super) theme: Theme,
    /// Whether the module asks for what has changed of a page that it has: then the frame is left out.
    pub(super) is_refresh: bool,
}

impl Visit {
    pub(super) fn new(hub: &Hub, head: &Parts, principal: Option<Principal>) -> Self {
        let (hub, head, theme) = (hub.clone(), head.clone(), Theme::of_request(&head.headers));
        let is_refresh = head.method == Method::GET && head.headers.contains_key(REFRESH);
        Self { now: hub.now(), hub, head, principal, theme, is_refresh }
    }

    /// Whether the visitor may do this. What they may not do is not shown.
    pub(super) fn may(&self, permission: Permission) -> bool {
        self.principal.as_ref().is_none_or(|principal| principal.role().allows(permission))
    }

    /// The query as it was sent.
    pub(super) fn query(&self) -> Option<&str> {
        self.head.uri.query()
    }

    /// The first value of a parameter of the query; empty if there is none.
    pub(super) fn parameter(&self, name: &str) -> String {
        Form::parse(self.query().unwrap_or_default().as_bytes()).text(name).to_owned()
    }

    /// The path and the query, to come back to.
    pub(super) fn address(&self) -> String {
        self.head.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string)
    }
}
