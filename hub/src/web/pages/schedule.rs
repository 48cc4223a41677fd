//! A schedule: when it is due, its settings in words, its runs, and what can be done with it, such as a backfill.

use bue_model::schedule::{RunCounts, ScheduleState, ScheduleView, ScheduledRun};
use http::{Response, StatusCode};
use maud::{Markup, html};

use crate::api::schedules;
use crate::auth::role::Permission;
use crate::http::reply::{Body, ErrorReply, FieldError};
use crate::web::form::Form;
use crate::web::layout::{Page, Section};
use crate::web::pages::schedules::state;
use crate::web::parts::backfill::{backfill_form, backfill_progress};
use crate::web::parts::badges::run_badge;
use crate::web::parts::due::{in_zone, rule};
use crate::web::parts::figures::{Figure, card, definitions, empty_state, figures};
use crate::web::parts::forms::action_button;
use crate::web::parts::run_cells::{RunCell, run_cells};
use crate::web::parts::tables::{column, table};
use crate::web::parts::texts::{grouped, short_text, text};
use crate::web::parts::times::when;
use crate::web::visit::Visit;

/// Runs in the table, and cells above it.
const RUNS: usize = 25;
const CELLS: usize = 60;

pub(in crate::web) async fn page(visit: &Visit, name: &str) -> Result<Page, ErrorReply> {
    filled(visit, name, &Form::default(), &[]).await
}

/// The page again, with what is wrong with the form of the backfill.
pub(in crate::web) async fn again(
    visit: &Visit,
    name: &str,
    form: &Form,
    problems: &[FieldError],
) -> Result<Response<Body>, ErrorReply> {
    let page = filled(visit, name, form, problems).await?;
    Ok(page.with_status(StatusCode::UNPROCESSABLE_ENTITY).into_response(visit))
}

async fn filled(visit: &Visit, name: &str, form: &Form, problems: &[FieldError]) -> Result<Page, ErrorReply> {
    let schedule = schedules::get(&visit.hub, name).await?;
    let runs = schedules::runs(&visit.hub, name, None).await?.runs;
    let body = html! {
        (card("due", "When it is due", &due(visit, &schedule)))
        div.columns {
            (card("settings", "Settings", &settings(&schedule)))
            (backfills(visit, &schedule, form, problems))
        }
        (card("runs", "Runs", &history(visit, &schedule, &runs)))
    };
    let page = Page::new(Section::Schedules, schedule.name.clone(), body).with_tools(tools(visit, &schedule));
    Ok(page.under("Schedules", "/schedules").live())
}

fn tools(visit: &Visit, schedule: &ScheduleView) -> Markup {
    let action = |verb: &str| format!("/schedules/{}/{verb}", schedule.name);
    html! {
        @if visit.may(Permission::Submit) {
            (action_button(&action("run"), "Run now", "primary", "starts one run, whether the schedule is paused or not"))
            @match schedule.state {
                ScheduleState::Active => (action_button(&action("pause"), "Pause", "", "it starts no runs until it is resumed")),
                ScheduleState::Paused => (action_button(&action("resume"), "Resume", "", "it starts runs again when it is next due")),
                ScheduleState::Ended => {},
            }
            (action_button(&action("remove"), "Remove…", "", "removes the schedule; its runs stay"))
        }
    }
}

fn due(visit: &Visit, schedule: &ScheduleView) -> Markup {
    let bound = |at| html! { (in_zone(at, &schedule.timezone)) };
    let mut facts = vec![
        (html! { "State" }, state(visit, schedule)),
        (
            html! { "Pipeline" },
            html! { a href=(format!("/pipelines/{}", schedule.pipeline)) { (text(&schedule.pipeline)) } },
        ),
        (html! { "Due" }, rule(schedule)),
    ];
    facts.extend(schedule.from.map(|at| (html! { "Not before" }, bound(at))));
    facts.extend(schedule.until.map(|at| (html! { "Ends before" }, bound(at))));
    html! {
        (definitions(&facts))
        h3 { "Next times" }
        @if schedule.next.is_empty() { p.hint { (no_next(schedule.state)) } }
        @else {
            ol.next {
                @for due in &schedule.next { li { (in_zone(*due, &schedule.timezone)) " " span.hint { (when(visit.now, *due)) } } }
            }
            p.hint { "Times are those of " (text(&schedule.timezone)) ", with their distance from UTC." }
        }
    }
}

const fn no_next(state: ScheduleState) -> &'static str {
    match state {
        ScheduleState::Paused => "None while it is paused. Resume it, and it is due as before.",
        ScheduleState::Ended => "None any more: its last due time has passed.",
        ScheduleState::Active => "None.",
    }
}

fn settings(schedule: &ScheduleView) -> Markup {
    definitions(&[
        (html! { "Parameters" }, html! { code { (text(&schedule.params)) } }),
        (html! { "Overlap" }, html! { code { (schedule.overlap) } " " span.hint { (overlap(&schedule.overlap)) } }),
        (html! { "Catch-up" }, html! { code { (schedule.catch_up) } " " span.hint { (catch_up(&schedule.catch_up)) } }),
        (
            html! { "Jitter" },
            html! { (schedule.jitter) " " span.hint { "Each run starts later by a random time up to this." } },
        ),
        (html! { "Priority" }, html! { (schedule.priority) " " span.hint { "Added to that of every step." } }),
    ])
}

/// What happens when it is due while its previous run has not ended.
fn overlap(policy: &str) -> &'static str {
    match policy {
        "skip" => "If the previous run has not ended, the due time is left out, and counted as skipped.",
        "queue" => "If the previous run has not ended, the due time waits for it; at most a hundred wait.",
        "cancel" => "If the previous run has not ended, it is cancelled, and the new one starts.",
        "allow" => "Runs may overlap.",
        _ => "",
    }
}

/// Which of the due times that no hub handled start runs later.
fn catch_up(policy: &str) -> &'static str {
    match policy {
        "none" => "Due times at which no hub was running are left out, and counted as missed.",
        "last" => "Of the due times at which no hub was running, the last one runs later.",
        _ => "Of the due times at which no hub was running, so many of the last ones run later.",
    }
}

fn backfills(visit: &Visit, schedule: &ScheduleView, form: &Form, problems: &[FieldError]) -> Markup {
    let status = visit.hub.backfills.of(&schedule.name);
    let may_change = visit.may(Permission::Submit);
    html! {
        div.stack {
            @if let Some(status) = &status {
                (card("backfill", "Backfill", &backfill_progress(visit.now, schedule, status, may_change)))
            }
            @if may_change { (backfill_form(schedule, form, problems)) }
        }
    }
}

fn history(visit: &Visit, schedule: &ScheduleView, runs: &[ScheduledRun]) -> Markup {
    let cell = |run: &ScheduledRun| RunCell { run: run.run, state: run.state, at: run.due };
    let cells: Vec<_> = runs.iter().take(CELLS).map(cell).collect();
    html! {
        (counts(schedule))
        @if runs.is_empty() { (empty_state("No run of it is kept. One starts when it is next due.", &format!("bue schedule run {}", schedule.name))) }
        @else {
            p { (run_cells(visit.now, &cells)) }
            (run_table(visit, schedule, runs))
            @if runs.len() > RUNS { p.hint { "The table has the latest " (RUNS) " runs. Runs that have ended are deleted after a while: the hub's " code { "--keep" } "." } }
        }
    }
}

fn counts(schedule: &ScheduleView) -> Markup {
    let RunCounts { running, completed, failed, cancelled } = schedule.recent.unwrap_or_default();
    let one = |label, count: u64, explanation, class| Figure {
        label,
        value: grouped(count),
        explanation,
        link: "",
        class,
        more: html! {},
    };
    figures(&[
        one(
            "started",
            schedule.started,
            "Runs that it has started since it was added, also those that were deleted.",
            "",
        ),
        one("skipped", schedule.skipped, "Due times that were left out because of its overlap setting.", ""),
        one("missed", schedule.missed, "Due times that were left out because of its catch-up setting.", ""),
        one("waiting", schedule.waiting, "Due times that wait for the previous run to end.", ""),
        one("running", running, "Of the latest hundred runs, those that have not ended.", "running"),
        one("completed", completed, "Of the latest hundred runs, those that ended without a failure.", "completed"),
        one("failed", failed, "Of the latest hundred runs, those with a failed job.", "failed"),
        one("cancelled", cancelled, "Of the latest hundred runs, those that were cancelled.", "cancelled"),
    ])
}

fn run_table(visit: &Visit, schedule: &ScheduleView, runs: &[ScheduledRun]) -> Markup {
    let row = |run: &ScheduledRun| {
        let id = run.run.to_string();
        vec![
            html! { a.row-link href=(format!("/runs/{id}")) title=(id) { (short_text(id.get(..8).unwrap_or(&id))) } },
            run_badge(run.state),
            html! { (in_zone(run.due, &schedule.timezone)) " " span.hint { (when(visit.now, run.due)) } },
        ]
    };
    let rows: Vec<_> = runs.iter().take(RUNS).map(row).collect();
    table("Runs, the last due time first", &[column("run"), column("state"), column("due")], &rows)
}
