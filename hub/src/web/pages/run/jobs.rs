//! The jobs of a run: filtered, as a table or on an axis of time.

use bue_model::JobState;
use bue_model::wire::{JobPage, JobView, RunView};
use maud::{Markup, html};

use super::tab::{Tab, path};
use crate::api::lists::list_jobs;
use crate::http::reply::ErrorReply;
use crate::web::form::Form;
use crate::web::links::{api_query, with_query};
use crate::web::parts::badges::job_badge;
use crate::web::parts::figures::empty_state;
use crate::web::parts::forms::{filter_form, hidden, notice, select, text_field};
use crate::web::parts::gantt::{Bar, gantt};
use crate::web::parts::tables::{column, column_help, number, pager, table};
use crate::web::parts::texts::{counted, short_text};
use crate::web::parts::times::{duration, when};
use crate::web::visit::Visit;

/// Jobs on a page.
const LIMIT: &str = "100";

pub(super) async fn jobs(visit: &Visit, view: &RunView, tab: Tab, form: &Form) -> Result<Markup, ErrorReply> {
    let filters = [("step", form.text("step")), ("state", form.text("state")), ("round", form.text("round"))];
    let after = form.text("after");
    let query = api_query(filters.into_iter().chain([("after", after), ("limit", LIMIT)]));
    let (list, problem) = match list_jobs(&visit.hub, Some(&query), view.id).await {
        Ok(list) => (list, None),
        Err(error) if error.status().is_client_error() => (JobPage::default(), Some(error.message().to_owned())),
        Err(error) => return Err(error),
    };
    let to = |after: &str| {
        with_query(&path(view.id), [("tab", tab.name())].into_iter().chain(filters).chain([("after", after)]))
    };
    let first = if after.is_empty() { String::new() } else { to("") };
    let is_filtered = filters.iter().any(|(_, value)| !value.is_empty());
    Ok(html! {
        @if let Some(problem) = &problem { (notice("bad", problem)) }
        (job_filters(view, tab, filters, is_filtered))
        @if list.jobs.is_empty() { (empty_state("No job matches.", "")) } @else if tab == Tab::Timeline { (timeline(visit, &list)) }
        @else { (job_table(visit, &list)) }
        (pager(&first, &list.next.map(|next| to(&next.to_string())).unwrap_or_default()))
    })
}

fn job_filters(view: &RunView, tab: Tab, filters: [(&str, &str); 3], is_filtered: bool) -> Markup {
    let [(_, step), (_, state), (_, round)] = filters;
    let states: Vec<_> =
        [("", "any state")].into_iter().chain(JobState::ALL.map(|state| (state.name(), state.name()))).collect();
    let fields = html! {
        (hidden([("tab", tab.name())]))
        (text_field("step", "Step", step, "name"))
        (select("state", "State", &states, state))
        (text_field("round", "Round", round, "3, or 3.17"))
    };
    filter_form(&path(view.id), is_filtered, &fields)
}

/// When the last attempts of the jobs of a page ran. The pages of the other attempts are those of the jobs.
fn timeline(visit: &Visit, list: &JobPage) -> Markup {
    let bar = |job: &JobView| {
        let from = job.started_at?;
        let to = match (job.state, job.run_ms) {
            (JobState::Running, _) | (_, None) => visit.now.max(from),
            (_, Some(run_ms)) => from.plus_ms(run_ms),
        };
        let is_over = job.state != JobState::Running && job.run_ms.is_none();
        let (label, link) = (format!("{} {}", job.id, job.step), format!("/jobs/{}", job.id));
        Some(Bar { label, link, from, to: if is_over { from } else { to }, class: job.state.name() })
    };
    let bars: Vec<_> = list.jobs.iter().filter_map(bar).collect();
    let waiting = list.jobs.len() - bars.len();
    html! {
        @if bars.is_empty() { (empty_state("None of these jobs has started.", "")) } @else { (gantt(&bars, "The last attempts of the jobs")) }
        @if waiting > 0 { p.hint { (counted(waiting as u64, "job", "jobs")) " of this page have not started." } }
        p.hint { "Each row is the last attempt of a job. Times in which nothing ran for long are folded." }
    }
}

fn job_table(visit: &Visit, list: &JobPage) -> Markup {
    let columns = [
        column("job"),
        column("step"),
        column("state"),
        column("round"),
        number("failures", "Failed attempts since the job last started afresh. `!retries` limits them."),
        number("took", "The last attempt, as its worker measured it."),
        column("worker"),
        column("what happened"),
    ];
    let rows: Vec<_> = list.jobs.iter().map(|job| job_row(visit, job)).collect();
    html! { (table("Jobs", &columns, &rows)) (column_help(&columns)) }
}

fn job_row(visit: &Visit, job: &JobView) -> Vec<Markup> {
    let rounds: Vec<_> = job.rounds.iter().map(|round| round.round.to_string()).collect();
    vec![
        html! { a.row-link href=(format!("/jobs/{}", job.id)) { (job.id) } },
        short_text(&job.step),
        html! { (job_badge(job.state)) @if job.reused { " " span.tag { "reused" } } },
        html! { (rounds.join(".")) },
        html! { (job.attempts) },
        html! { @if let Some(ms) = job.run_ms { (duration(ms)) } },
        html! { @if let Some(worker) = &job.worker { (short_text(worker)) } },
        what_happened(visit, job),
    ]
}

fn what_happened(visit: &Visit, job: &JobView) -> Markup {
    let waits = job.state == JobState::Available && job.available_at > visit.now;
    html! {
        @if let Some(failure) = &job.failure { (short_text(&failure.message)) }
        @else if let Some(failed) = job.blocked_by { "behind failed job " a href=(format!("/jobs/{failed}")) { (failed) } }
        @else if job.state == JobState::Blocked { "waits for " (counted(u64::from(job.waiting_for), "job", "jobs")) }
        @else if waits { "starts " (when(visit.now, job.available_at)) }
    }
}
