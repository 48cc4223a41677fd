//! [`Page`]: a page inside the frame that all share: the skip link, the navigation, the banner, and what the module needs to know.

use bue_model::RunId;
use http::{Method, Response, StatusCode};
use maud::{DOCTYPE, Markup, html};

use crate::auth::role::Permission;
use crate::http::reply::{Body, typed};
use crate::web::assets::{icon_path, module_path, style_path, version};
use crate::web::parts::texts::{text, visible};
use crate::web::theme::Theme;
use crate::web::visit::Visit;

/// Characters of a title in a tab.
const MAX_TAB_TITLE: usize = 100;

/// A part of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Runs,
    Errors,
    Pipelines,
    Schedules,
    Workers,
    Settings,
    /// Outside of the navigation.
    Elsewhere,
}

impl Section {
    const NAVIGATION: [Self; 7] =
        [Self::Overview, Self::Runs, Self::Errors, Self::Pipelines, Self::Schedules, Self::Workers, Self::Settings];

    /// The label, the address, and the key that opens it after `g`.
    const fn entry(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Overview => ("Overview", "/", "o"),
            Self::Runs => ("Runs", "/runs", "r"),
            Self::Errors => ("Errors", "/errors", "e"),
            Self::Pipelines => ("Pipelines", "/pipelines", "p"),
            Self::Schedules => ("Schedules", "/schedules", "s"),
            Self::Workers => ("Workers", "/workers", "w"),
            Self::Settings => ("Settings", "/settings", "t"),
            Self::Elsewhere => ("", "", ""),
        }
    }
}

/// What the module keeps up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Live {
    /// Nothing.
    Never,
    /// Whenever a run changes, and now and then for what is no run.
    AnyRun,
    /// Whenever this run changes.
    Run(RunId),
}

/// A page.
pub(super) struct Page {
    section: Section,
    /// Of the tab, and the first heading.
    title: String,
    /// Beside the heading: links and buttons.
    tools: Markup,
    /// Above the heading: where this is.
    trail: Vec<(String, String)>,
    body: Markup,
    /// Failures, for the title of the tab.
    failures: u64,
    live: Live,
    status: StatusCode,
    /// Whether the page only loads itself again.
    is_bounce: bool,
}

impl Page {
    pub(super) fn new(section: Section, title: impl Into<String>, body: Markup) -> Self {
        Self {
            section,
            title: title.into(),
            tools: html! {},
            trail: Vec::new(),
            body,
            failures: 0,
            live: Live::Never,
            status: StatusCode::OK,
            is_bounce: false,
        }
    }

    /// A page without content that the browser replaces by the one it asked for. A link from another site reaches it without the
    /// session's cookie; when the page itself asks again, the cookie comes with it.
    pub(super) fn bounce() -> Self {
        Self { is_bounce: true, ..Self::new(Section::Elsewhere, "Opening…", html! {}) }
    }

    /// Adds buttons and links beside the heading.
    pub(super) fn with_tools(self, tools: Markup) -> Self {
        Self { tools, ..self }
    }

    /// Adds a link above the heading, to what this page is a part of.
    pub(super) fn under(mut self, label: impl Into<String>, path: impl Into<String>) -> Self {
        self.trail.push((label.into(), path.into()));
        self
    }

    /// Shows a number of failures in the title of the tab.
    pub(super) fn with_failures(self, failures: u64) -> Self {
        Self { failures, ..self }
    }

    /// Keeps the parts with `data-live` up to date while runs change.
    pub(super) fn live(self) -> Self {
        Self { live: Live::AnyRun, ..self }
    }

    /// Keeps the parts with `data-live` up to date while this run changes.
    pub(super) fn live_for(self, run: RunId) -> Self {
        Self { live: Live::Run(run), ..self }
    }

    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(super) fn into_response(self, visit: &Visit) -> Response<Body> {
        let status = self.status;
        let mut response = typed("text/html; charset=utf-8", self.render(visit).into_string());
        *response.status_mut() = status;
        response
    }

    fn render(&self, visit: &Visit) -> Markup {
        let title: String = self.title.chars().take(MAX_TAB_TITLE).collect();
        let tab = match self.failures {
            0 => format!("{} · bue", visible(&title)),
            failures => format!("({failures}) {} · bue", visible(&title)),
        };
        let (live, run) = match self.live {
            // the answer to a form: its address is that of the form, and cannot be asked for again
            _ if visit.head.method != Method::GET => ("never", None),
            Live::Never => ("never", None),
            // the API sends events only to visitors with this permission
            Live::AnyRun | Live::Run(_) if !visit.may(Permission::Read) => ("slow", None),
            Live::AnyRun => ("runs", None),
            Live::Run(run) => ("run", Some(run.to_string())),
        };
        html! {
            (DOCTYPE)
            html lang="en" data-theme=(visit.theme.name()) data-version=(version()) data-live=(live)
                data-run=[run] data-now=(visit.now.0) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    @if self.is_bounce { meta http-equiv="refresh" content="0"; }
                    title { (tab) }
                    link rel="icon" type="image/svg+xml" href=(icon_path());
                    link rel="stylesheet" href=(style_path());
                    script type="module" src=(module_path()) {}
                }
                body {
                    @if visit.is_refresh { (self.main()) }
                    @else {
                        a.skip href="#main" { "Skip to content" }
                        @if !self.is_bounce { (self.frame(visit)) }
                    }
                }
            }
        }
    }

    fn frame(&self, visit: &Visit) -> Markup {
        html! {
            (self.navigation(visit))
            div.page {
                div #banner .banner role="status" hidden {
                    strong { "The hub does not answer." } " This is what it said last; the page will go on by itself."
                }
                (self.main())
                (keys_help())
            }
        }
    }

    fn main(&self) -> Markup {
        html! {
            main #main tabindex="-1" {
                @if !self.trail.is_empty() {
                    nav.trail aria-label="Position" {
                        @for (label, path) in &self.trail { a href=(path) { (visible(label)) } span aria-hidden="true" { "/" } }
                    }
                }
                header.heading { h1 { (text(&self.title)) } div.tools { (self.tools) } }
                (self.body)
            }
        }
    }

    fn navigation(&self, visit: &Visit) -> Markup {
        let has_entries = self.section != Section::Elsewhere || visit.principal.is_some() || visit.hub.access.is_open();
        html! {
            header.side {
                a.brand href="/" aria-label="bue, overview" { img src=(icon_path()) alt="" width="22" height="22"; "bue" }
                @if has_entries {
                    nav aria-label="Main" {
                        ul {
                            @for section in Section::NAVIGATION { (self.entry(section, visit)) }
                        }
                    }
                }
                div.account {
                    (theme_form(visit))
                    (visitor(visit))
                }
            }
        }
    }

    fn entry(&self, section: Section, visit: &Visit) -> Markup {
        let (label, path, key) = section.entry();
        let is_current = section == self.section;
        html! {
            @if visit.may(Permission::Read) || section == Section::Settings {
                li { a href=(path) data-key=(key) aria-current=[is_current.then_some("page")] { (label) } }
            }
        }
    }
}

/// The name and the role of the visitor's token, and the button that ends the session.
fn visitor(visit: &Visit) -> Markup {
    html! {
        @if let Some(principal) = &visit.principal {
            p.visitor {
                span title="the name of your token" { (principal.token_name) } " "
                span.role title="the role of your token: what you may do" { (principal.role().name()) }
            }
            form method="post" action="/logout" { button.plain type="submit" { "Log out" } }
        }
    }
}

fn theme_form(visit: &Visit) -> Markup {
    html! {
        form.theme method="post" action="/theme" aria-label="Colours" {
            @for theme in Theme::ALL {
                button type="submit" name="theme" value=(theme.name()) aria-pressed=(theme == visit.theme)
                    title=(format!("{} colours", theme.name())) {
                    (theme.name())
                }
            }
        }
    }
}

/// The keys that the module knows. Shown only if it runs.
fn keys_help() -> Markup {
    html! {
        details #keys .keys {
            summary { "Keys" }
            dl {
                dt { kbd { "g" } " then a letter" } dd { "go to Overview (o), Runs (r), Errors (e), Pipelines (p), Schedules (s), Workers (w), Settings (t)" }
                dt { kbd { "j" } " " kbd { "k" } } dd { "next and previous row" }
                dt { kbd { "Enter" } } dd { "open the row" }
                dt { kbd { "/" } } dd { "first filter" }
                dt { kbd { "?" } } dd { "show these keys" }
            }
        }
    }
}
