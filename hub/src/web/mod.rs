//! The dashboard: pages for browsers, one file each in `pages`. A page is another rendering of what `/v1` answers: it calls the same
//! functions of `api`, and has no queries of its own. What a form changes goes through `api::change`, as it does for `/v1`.
//!
//! ```text
//! hub_server --> respond --> routes --> pages --> api --> JobStore
//!                  |           `-> login, actions --^
//!                  `-> assets        pages --> parts, layout
//! ```
//! - `parts` makes pieces of pages from views: tables, badges, charts, forms, times. Pure; knows no hub.
//! - `layout` is the frame around every page; `assets` are the style sheet, the module and the icon, which are part of the program.
//! - Every page works without the module. The module only replaces what has changed, follows logs, copies, and adds keys.
//! - All state of a page is in its URL, so that a page can be sent to a colleague. A page is bounded: 100 rows, 500 nodes.
//! - `maud` escapes whatever comes from others; `PreEscaped` is for constants of ours only. There are no inline scripts or styles, so the
//!   policy of every reply forbids them.
//!
//! May use `api`, `http` and `auth`; nothing but `hub_server` uses it.

mod actions;
mod assets;
mod changing;
mod compression;
mod form;
mod layout;
mod links;
mod login;
mod login_limiter;
mod pages;
mod parts;
mod refreshes;
pub(crate) mod respond;
pub(crate) mod routes;
mod theme;
mod visit;
