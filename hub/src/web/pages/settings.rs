//! The settings in effect: who you are for the hub, and, for those who may change its runs, how the hub was started.

use bue_model::wire::WIRE_VERSION;
use maud::{Markup, html};

use crate::auth::access::Principal;
use crate::auth::role::{Permission, Role};
use crate::http::reply::ErrorReply;
use crate::settings::HubSetting;
use crate::web::layout::{Page, Section};
use crate::web::parts::figures::{card, definitions, empty_state};
use crate::web::parts::tables::{column, table};
use crate::web::parts::texts::{short_text, text};
use crate::web::visit::Visit;

#[expect(clippy::unused_async, reason = "pages read from the store; this one has everything in memory")]
pub(in crate::web) async fn page(visit: &Visit) -> Result<Page, ErrorReply> {
    let body = html! {
        div.columns {
            (card("you", "You", &visitor(visit)))
            (card("hub", "The hub", &hub(visit)))
        }
        @if visit.may(Permission::Operate) { (card("settings", "Settings of the hub", &settings(&visit.hub.settings))) }
    };
    Ok(Page::new(Section::Settings, "Settings", body))
}

fn visitor(visit: &Visit) -> Markup {
    let Some(principal) = &visit.principal else {
        return html! {
            p { "The hub has no tokens: everybody who reaches it may do everything. It therefore listens on this machine only." }
            p { code { "bue token new --role admin --name NAME" } " makes the first token; from then on everybody needs one." }
        };
    };
    definitions(&[
        (html! { "Token" }, text(&principal.token_name)),
        (html! { "Role" }, html! { (principal.role().name()) " " span.hint { (meaning(principal.role())) } }),
        (html! { "Scopes" }, scopes(principal)),
    ])
}

fn scopes(principal: &Principal) -> Markup {
    match principal.scopes() {
        [] => html! { span.hint { "all" } },
        scopes => short_text(&scopes.join(", ")),
    }
}

/// What the role may do.
const fn meaning(role: Role) -> &'static str {
    match role {
        Role::Viewer => "reads runs, jobs, logs and results",
        Role::Invoker => "starts runs of pipelines, and reads these",
        Role::Submitter => "reads, submits runs, publishes pipelines and manages schedules",
        Role::Worker => "runs jobs; reads nothing here",
        Role::Operator => "does what a submitter does, and cancels, resets and deletes",
        Role::Admin => "does everything",
    }
}

fn hub(visit: &Visit) -> Markup {
    let hub = &visit.hub;
    let on = |is_on: bool| if is_on { "yes" } else { "no" };
    definitions(&[
        (
            html! { "Version" },
            html! { (env!("CARGO_PKG_VERSION")) " " span.hint { "messages of version " (WIRE_VERSION) } },
        ),
        (
            html! { abbr title="where clients and workers store code and large values" { "Bucket" } },
            html! { @if let Some(bucket) = &hub.bucket { code { (text(bucket)) } } @else { span.hint { "not set: clients and workers need " code { "BUE_BUCKET" } } } },
        ),
        (html! { abbr title="whether the hub itself serves https" { "TLS" } }, html! { (on(hub.tls.is_some())) }),
        (html! { abbr title="whether requests need a token" { "Tokens" } }, html! { (on(!hub.access.is_open())) }),
        (
            html! { "Lease" },
            html! { (hub.store.lease_ms() / 1_000) " s " span.hint { "after which a silent worker's jobs go to another one" } },
        ),
    ])
}

fn settings(settings: &[HubSetting]) -> Markup {
    if settings.is_empty() {
        return empty_state("This hub does not know its settings.", "bue config --all");
    }
    let row = |setting: &HubSetting| {
        vec![
            code(&setting.name),
            html! { code { (short_text(&setting.value)) } },
            short_text(&setting.source),
            short_text(&setting.about),
        ]
    };
    let rows: Vec<_> = settings.iter().map(row).collect();
    let columns = [column("setting"), column("value"), column("set by"), column("meaning")];
    html! {
        (table("Settings in effect", &columns, &rows))
        p.hint { "Secrets are shown as " code { "***" } ". Settings are read when the hub starts; " code { "bue config" } " shows what a command has where you type it." }
    }
}

fn code(name: &str) -> Markup {
    html! { code { (text(name)) } }
}
