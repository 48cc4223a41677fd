//! The failed jobs of all runs, in groups of the same step and the same first line of the message.

use bue_model::failed_jobs::{FailureGroup, FailureGroupPage};
use maud::{Markup, html};

use crate::api::lists::list_error_groups;
use crate::auth::role::Permission;
use crate::http::reply::ErrorReply;
use crate::web::form::Form;
use crate::web::layout::{Page, Section};
use crate::web::links::{api_query, with_query};
use crate::web::parts::figures::empty_state;
use crate::web::parts::forms::{filter_form, notice, text_field};
use crate::web::parts::tables::{column, column_help, number, pager, table};
use crate::web::parts::texts::{counted, grouped, short_text};
use crate::web::parts::times::when;
use crate::web::visit::Visit;

/// Groups on a page.
const LIMIT: &str = "50";

/// What the groups are filtered by, as it is in the address.
#[derive(Debug, Default)]
pub(super) struct ErrorFilters {
    step: String,
    since: String,
    until: String,
}

impl ErrorFilters {
    pub(super) fn of(form: &Form) -> Self {
        let text = |name| form.text(name).to_owned();
        Self { step: text("step"), since: text("since"), until: text("until") }
    }

    /// The fields of the form and of the address.
    fn pairs(&self) -> [(&'static str, &str); 3] {
        [("step", &self.step), ("since", &self.since), ("until", &self.until)]
    }

    fn is_empty(&self) -> bool {
        self.pairs().iter().all(|(_, value)| value.is_empty())
    }

    /// The address of the page with these filters.
    pub(super) fn path(&self, after: &str) -> String {
        with_query("/errors", self.pairs().into_iter().chain([("after", after)]))
    }

    /// The query of `/v1/errors`.
    fn query(&self, after: &str) -> String {
        let pairs = self.pairs().into_iter().chain([("after", after), ("group", "1"), ("limit", LIMIT)]);
        api_query(pairs)
    }
}

pub(in crate::web) async fn page(visit: &Visit) -> Result<Page, ErrorReply> {
    let form = Form::parse(visit.query().unwrap_or_default().as_bytes());
    let (filters, after) = (ErrorFilters::of(&form), form.text("after"));
    let (list, problem) = match list_error_groups(&visit.hub, &filters.query(after), visit.is_refresh).await {
        Ok(list) => (list, None),
        Err(error) if error.status().is_client_error() => (FailureGroupPage::default(), Some(error)),
        Err(error) => return Err(error),
    };
    let body = html! {
        @if let Some(problem) = &problem { (notice("bad", problem.message())) }
        (filter_fields(&filters))
        section #groups data-live {
            @if problem.is_none() { (groups(visit, &list, &filters)) }
            (pages(&filters, after, list.next.as_deref()))
        }
    };
    let page = Page::new(Section::Errors, "Errors", body).with_failures(list.jobs).live();
    Ok(match problem {
        Some(problem) => page.with_status(problem.status()),
        None => page,
    })
}

fn filter_fields(filters: &ErrorFilters) -> Markup {
    let fields = html! {
        (text_field("step", "Step", &filters.step, "name"))
        (text_field("since", "Failed since", &filters.since, "2h, or 2026-11-01"))
        (text_field("until", "Failed until", &filters.until, "1h, or 2026-11-02"))
    };
    filter_form("/errors", !filters.is_empty(), &fields)
}

fn groups(visit: &Visit, list: &FailureGroupPage, filters: &ErrorFilters) -> Markup {
    if list.groups.is_empty() {
        return match filters.is_empty() {
            true => empty_state("No job has failed. What the jobs of a run print is in its log:", "bue logs last"),
            false => empty_state(
                "No failed job matches. The name of a step is matched as a whole, and times are those at which jobs failed.",
                "",
            ),
        };
    }
    let columns = [
        column("step"),
        column("first line of the message"),
        number("jobs", "Jobs of the step that failed for good, after all their retries, with this message."),
        column("first"),
        column("last"),
        column(""),
    ];
    let may_reset = visit.may(Permission::Operate);
    let columns = if may_reset { &columns[..] } else { &columns[..5] };
    let rows: Vec<_> = list.groups.iter().map(|group| row(visit, group, filters, may_reset)).collect();
    html! {
        (table("Failed jobs by step and message, those that failed last first", columns, &rows))
        p.hint {
            (counted(list.jobs, "failed job", "failed jobs")) " in " (counted(list.groups.len() as u64, "group", "groups"))
            @if list.next.is_some() { " on this page. Further pages may have jobs of the same groups" }
            ". In messages, " code { "#" } " is for any number; a step of another script with the same name counts as the same step."
        }
        (column_help(columns))
    }
}

fn row(visit: &Visit, group: &FailureGroup, filters: &ErrorFilters, may_reset: bool) -> Vec<Markup> {
    let jobs_of_step = with_query("/errors", [("step", group.step.as_str())]);
    let mut cells = vec![
        html! { a href=(jobs_of_step) title="only errors of this step" { (short_text(&group.step)) } },
        html! {
            @if group.message.is_empty() { span.hint { "(no message)" } } @else { (short_text(&group.message)) }
            " " a href=(format!("/jobs/{}", group.newest.job)) { "latest job" }
        },
        html! { (grouped(group.count)) },
        when(visit.now, group.oldest.at),
        when(visit.now, group.newest.at),
    ];
    if may_reset {
        cells.push(reset_link(group, filters));
    }
    cells
}

/// Leads to the page that counts the jobs first.
fn reset_link(group: &FailureGroup, filters: &ErrorFilters) -> Markup {
    let back = filters.path("");
    let query = [("step", group.step.as_str()), ("group", group.message.as_str()), ("from", back.as_str())];
    html! {
        a.button href=(with_query("/errors/reset", query)) title="runs these jobs again, with fresh attempts; asks first" { "Reset…" }
    }
}

fn pages(filters: &ErrorFilters, after: &str, next: Option<&str>) -> Markup {
    let first = if after.is_empty() { String::new() } else { filters.path("") };
    pager(&first, &next.map(|next| filters.path(next)).unwrap_or_default())
}
