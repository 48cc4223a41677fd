//! The schedules by name: when each is due, and how its last run ended. Those that are late come first in a notice.

use bue_model::schedule::ScheduleView;
use maud::{Markup, html};

use crate::api::schedules;
use crate::http::reply::ErrorReply;
use crate::web::layout::{Page, Section};
use crate::web::links::{api_query, with_query};
use crate::web::parts::badges::{badge, run_badge};
use crate::web::parts::due::{in_zone, is_late, rule};
use crate::web::parts::figures::empty_state;
use crate::web::parts::tables::{column, column_help, number, pager, table};
use crate::web::parts::texts::{counted, grouped, short_text, text};
use crate::web::parts::times::when;
use crate::web::visit::Visit;

/// Schedules on a page.
const LIMIT: &str = "50";
/// What a page without schedules says to type.
pub(super) const EXAMPLE: &str = "bue schedule add nightly --pipeline report --cron \"0 6 * * *\"";

pub(in crate::web) async fn page(visit: &Visit) -> Result<Page, ErrorReply> {
    let after = visit.parameter("after");
    let query = api_query([("after", after.as_str()), ("limit", LIMIT)]);
    let list = schedules::list(&visit.hub, Some(&query)).await?;
    let late = list.schedules.iter().filter(|one| is_late(one, visit.now)).count() as u64;
    let next = list.next.as_deref().map(|after| with_query("/schedules", [("after", after)])).unwrap_or_default();
    let body = html! {
        section #schedules data-live {
            @if late > 0 {
                p.notice.bad role="status" { (counted(late, "schedule is", "schedules are")) " late: due for more than a minute, without a run. The hub may be busy, or was not running." }
            }
            @if !list.schedules.is_empty() { (schedule_table(visit, &list.schedules)) }
            @else if after.is_empty() { (empty_state("A schedule starts runs of a published pipeline by itself. There is none.", EXAMPLE)) }
            @else { (empty_state("There are no further schedules.", "")) }
            (pager(if after.is_empty() { "" } else { "/schedules" }, &next))
        }
    };
    Ok(Page::new(Section::Schedules, "Schedules", body).live())
}

fn schedule_table(visit: &Visit, schedules: &[ScheduleView]) -> Markup {
    let columns = [
        column("schedule"),
        column("state"),
        column("pipeline"),
        column("due"),
        column("next"),
        column("last run"),
        number("started", "Runs that the schedule has started, also those that were deleted."),
        number("skipped", "Due times that were left out because the run before had not ended."),
        number("missed", "Due times at which no hub was running, and that were not caught up."),
    ];
    let rows: Vec<_> = schedules.iter().map(|one| row(visit, one)).collect();
    html! { (table("Schedules by name", &columns, &rows)) (column_help(&columns)) }
}

fn row(visit: &Visit, one: &ScheduleView) -> Vec<Markup> {
    vec![
        html! { a.row-link href=(format!("/schedules/{}", one.name)) { (text(&one.name)) } },
        state(visit, one),
        html! { a href=(format!("/pipelines/{}", one.pipeline)) { (text(&one.pipeline)) } },
        rule(one),
        next(visit, one),
        html! {
            @if let Some(last) = &one.last_run {
                a href=(format!("/runs/{}", last.run)) { (run_badge(last.state)) } " " (when(visit.now, last.due))
            }
        },
        html! { (grouped(one.started)) },
        html! { (grouped(one.skipped)) },
        html! { (grouped(one.missed)) },
    ]
}

/// Whether it starts runs, and if not, why.
pub(super) fn state(visit: &Visit, one: &ScheduleView) -> Markup {
    html! {
        (badge(one.state.name()))
        @if visit.hub.backfills.is_active(&one.name) { " " span.tag { "backfill" } }
        @if is_late(one, visit.now) { " " strong.bad { "late" } }
        @if let Some(problem) = &one.problem { " " span.bad { (short_text(problem)) } }
    }
}

fn next(visit: &Visit, one: &ScheduleView) -> Markup {
    html! {
        @if let Some(due) = one.next.first() {
            (when(visit.now, *due)) " " span.hint { (in_zone(*due, &one.timezone)) }
        }
    }
}
