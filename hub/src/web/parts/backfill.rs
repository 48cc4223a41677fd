//! Backfills: the form that starts one, and how far one is.

use bue_model::Timestamp;
use bue_model::schedule::{MAX_AT_MOST, ScheduleView};
use maud::{Markup, html};

use crate::api::backfills::{BackfillState, BackfillStatus};
use crate::http::reply::FieldError;
use crate::web::form::Form;
use crate::web::parts::charts::share_bar;
use crate::web::parts::due::in_zone;
use crate::web::parts::forms::{action_button, problem_notices};
use crate::web::parts::texts::{counted, grouped, text, visible};
use crate::web::parts::times::when;

/// The form. `form` has the values that were sent before.
pub(in crate::web) fn backfill_form(schedule: &ScheduleView, form: &Form, problems: &[FieldError]) -> Markup {
    let problem = |name: &str| problems.iter().find(|problem| problem.field == name);
    let fields = ["from", "to", "at_most"];
    let others = problems.iter().filter(|problem| !fields.contains(&problem.field.as_str()));
    html! {
        form.card.start method="post" action=(format!("/schedules/{}/backfill", schedule.name)) aria-labelledby="backfill-form" {
            h2 #backfill-form { "Run past due times" }
            p.hint { "Every due time in the range that has no run gets one, with the present parameters and version. The hub goes on by itself; sent again, the same range runs nothing twice." }
            (problem_notices(others))
            (field("from", "from", "2026-11-01, or 2026-11-01T06:00", form.text("from"), problem("from")))
            (field("to", "before", "2026-12-01", form.text("to"), problem("to")))
            (field("at_most", &format!("runs at a time, up to {MAX_AT_MOST}"), "4", form.text("at_most"), problem("at_most")))
            button type="submit" { "Start backfill" }
        }
    }
}

fn field(name: &str, label: &str, placeholder: &str, value: &str, problem: Option<&FieldError>) -> Markup {
    html! {
        label.field {
            span { (label) }
            input name=(name) value=(value) placeholder=(placeholder) required[name != "at_most"] spellcheck="false" autocomplete="off"
                maxlength="100" aria-invalid=[problem.map(|_| "true")];
            @if let Some(problem) = problem { span.bad { (visible(&problem.message)) } }
        }
    }
}

/// How far a backfill is, with a button that ends it while it is active.
pub(in crate::web) fn backfill_progress(
    now: Timestamp,
    schedule: &ScheduleView,
    status: &BackfillStatus,
    may_change: bool,
) -> Markup {
    let (progress, request) = (&status.progress, &status.request);
    let ended = progress.runs.ended();
    let more = if progress.rest_from.is_some() { "the first " } else { "" };
    let label = format!("{} of {more}{} have ended", grouped(ended), counted(progress.due, "run", "runs"));
    html! {
        p { (state_text(&status.state)) " From " (text(&request.from)) " to before " (text(&request.to)) ", at most " (request.at_most) " at a time; started " (when(now, status.started_at)) "." }
        (share_bar(ended, progress.due, &label))
        p {
            (label) ": " (grouped(progress.runs.completed)) " completed, "
            span class=[(progress.runs.failed > 0).then_some("bad")] { (grouped(progress.runs.failed)) " failed" } ", "
            (grouped(progress.runs.cancelled)) " cancelled; " (grouped(progress.runs.running)) " running, " (grouped(progress.waiting)) " not started."
        }
        @if let Some(first) = progress.first { p.hint { "The first due time is " (in_zone(first, &schedule.timezone)) "." } }
        @if may_change && status.state == BackfillState::Active {
            (action_button(&format!("/schedules/{}/backfill/stop", schedule.name), "Stop", "", "starts no further runs; those that run go on"))
        }
    }
}

fn state_text(state: &BackfillState) -> Markup {
    html! {
        @match state {
            BackfillState::Active => strong { "It goes on." },
            BackfillState::Done => strong { "It is done." },
            BackfillState::Stopped => strong { "It was stopped; its runs go on." },
            BackfillState::Failed(problem) => strong.bad { "It ended early: " (visible(problem)) ". Send the range again to go on." },
        }
    }
}
