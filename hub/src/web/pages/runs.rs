//! The list of runs, with filters that the hub answers from its indexes, and buttons for all runs that match.

use bue_model::wire::{RunPage, RunView};
use maud::{Markup, html};

use crate::api::lists::list_runs;
use crate::auth::role::Permission;
use crate::http::reply::ErrorReply;
use crate::web::form::Form;
use crate::web::layout::{Page, Section};
use crate::web::links::{api_query, with_query};
use crate::web::parts::badges::{counts_of, run_badge, state_bar};
use crate::web::parts::figures::empty_state;
use crate::web::parts::forms::{filter_form, hidden, notice, select, text_field};
use crate::web::parts::tables::{column, column_help, number, pager, table};
use crate::web::parts::texts::{grouped, short_text, text};
use crate::web::parts::times::{between, relative, when};
use crate::web::visit::Visit;

/// Runs on a page.
const LIMIT: &str = "50";
/// The states to choose from.
pub(super) const STATES: [(&str, &str); 5] = [
    ("", "any state"),
    ("running", "running"),
    ("failed", "failed"),
    ("completed", "completed"),
    ("cancelled", "cancelled"),
];

/// What the list is filtered by, as it is in the address.
#[derive(Debug, Default)]
pub(super) struct RunFilters {
    pub(super) state: String,
    pub(super) pipeline: String,
    pub(super) name: String,
    pub(super) since: String,
    pub(super) until: String,
    /// `NAME=VALUE`
    pub(super) param: String,
}

impl RunFilters {
    pub(super) fn of(form: &Form) -> Self {
        let text = |name| form.text(name).to_owned();
        Self {
            state: text("state"),
            pipeline: text("pipeline"),
            name: text("name"),
            since: text("since"),
            until: text("until"),
            param: text("param"),
        }
    }

    /// The fields of the form and of the address.
    pub(super) fn pairs(&self) -> [(&'static str, &str); 6] {
        [
            ("state", &self.state),
            ("pipeline", &self.pipeline),
            ("name", &self.name),
            ("since", &self.since),
            ("until", &self.until),
            ("param", &self.param),
        ]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pairs().iter().all(|(_, value)| value.is_empty())
    }

    /// The name and the value of the parameter.
    pub(super) fn parameter(&self) -> Option<(String, &str)> {
        let (name, value) = self.param.split_once('=')?;
        Some((name.trim().to_owned(), value.trim()))
    }

    /// The query of `/v1/runs`. Texts in the middle of a name are not searched for: no index could answer that.
    fn query(&self, after: &str) -> String {
        let param = self.parameter().map(|(name, value)| (format!("param.{name}"), value));
        let param = param.as_ref().map(|(name, value)| (name.as_str(), *value));
        let [state, pipeline, name, since, until, _] = self.pairs();
        let pairs = [state, pipeline, name, since, until, ("after", after), ("limit", LIMIT)];
        api_query(pairs.into_iter().chain(param))
    }
}

pub(in crate::web) async fn page(visit: &Visit) -> Result<Page, ErrorReply> {
    let form = Form::parse(visit.query().unwrap_or_default().as_bytes());
    let filters = RunFilters::of(&form);
    let after = form.text("after");
    let (list, problem) = match list_runs(&visit.hub, Some(&filters.query(after))).await {
        Ok(list) => (list, None),
        Err(error) if error.status().is_client_error() => (RunPage::default(), Some(error)),
        Err(error) => return Err(error),
    };
    let status = problem.as_ref().map(ErrorReply::status);
    let body = html! {
        @if let Some(problem) = &problem { (notice("bad", problem.message())) }
        (filter_fields(&filters))
        section #runs data-live {
            @if problem.is_none() { (run_table(visit, &list, &filters)) }
            (pages(&filters, after, list.next.as_deref()))
        }
        @if visit.may(Permission::Operate) && problem.is_none() { (bulk_buttons(&filters)) }
    };
    let page = Page::new(Section::Runs, "Runs", body).with_tools(tools(visit)).live();
    Ok(match status {
        Some(status) => page.with_status(status),
        None => page,
    })
}

fn tools(visit: &Visit) -> Markup {
    html! { @if visit.may(Permission::Invoke) { a.button.primary href="/runs/new" { "Start a run" } } }
}

fn filter_fields(filters: &RunFilters) -> Markup {
    let fields = html! {
        (select("state", "State", &STATES, &filters.state))
        (text_field("name", "Script", &filters.name, "path, or its beginning and *"))
        (text_field("pipeline", "Pipeline", &filters.pipeline, "name"))
        (text_field("param", "Parameter", &filters.param, "name=value"))
        (text_field("since", "Since", &filters.since, "2h, or 2026-11-01"))
        (text_field("until", "Until", &filters.until, "1h, or 2026-11-02"))
    };
    filter_form("/runs", !filters.is_empty(), &fields)
}

fn run_table(visit: &Visit, list: &RunPage, filters: &RunFilters) -> Markup {
    if list.runs.is_empty() {
        return match filters.is_empty() {
            true => empty_state("There are no runs yet.", "bue upload -f pipeline.bue"),
            false => empty_state(
                "No run matches. Names are matched from their beginning: write `reports/*`, for example.",
                "",
            ),
        };
    }
    let columns = [
        column("run"),
        column("state"),
        column("jobs"),
        number("done", "Jobs that have ended, of all that there are so far. Loops add jobs while a run goes on."),
        number("failed", "Jobs that failed for good, after all their retries."),
        column("started"),
        number("took", "From the start of the run to its end, or until now."),
    ];
    let rows: Vec<_> = list.runs.iter().map(|run| row(visit, run)).collect();
    html! { (table("Runs, newest first", &columns, &rows)) (column_help(&columns)) }
}

fn row(visit: &Visit, run: &RunView) -> Vec<Markup> {
    let (counts, id) = (&run.counts, run.id.to_string());
    let all = counts.open() + counts.finished();
    vec![
        html! {
            a.row-link href=(format!("/runs/{id}")) { (short_text(&run.name)) }
            " " code.id title=(id) { (id.get(..8).unwrap_or(&id)) }
            @if let Some(pipeline) = &run.pipeline { " " span.tag { (text(&pipeline.name)) " v" (pipeline.version) } }
            @if run.rerun_of.is_some() { " " span.tag { "rerun" } }
        },
        run_badge(run.state),
        state_bar(&counts_of(counts)),
        html! { (grouped(counts.finished())) " / " (grouped(all)) },
        html! { @if counts.failed > 0 { span.bad { (grouped(counts.failed)) } } @else { "0" } },
        when(visit.now, run.created_at),
        html! {
            (between(run.created_at, run.finished_at.unwrap_or(run.now)))
            @if let Some(eta) = run.eta { " " span.hint { "ends " (relative(run.now, eta)) } }
        },
    ]
}

fn pages(filters: &RunFilters, after: &str, next: Option<&str>) -> Markup {
    let to = |after| with_query("/runs", filters.pairs().into_iter().chain([("after", after)]));
    let first = if after.is_empty() { String::new() } else { to("") };
    pager(&first, &next.map(to).unwrap_or_default())
}

/// Buttons for all runs that match, on this page or not. What they change is shown before it is done.
fn bulk_buttons(filters: &RunFilters) -> Markup {
    let all = if filters.is_empty() { "all runs" } else { "all runs that match" };
    html! {
        form.bulk.card method="post" action="/runs/change" {
            (hidden(filters.pairs()))
            p { "With " strong { (all) } ", also those on other pages:" }
            div.buttons {
                button type="submit" name="action" value="reset" title="runs failed jobs again, with fresh attempts" { "Reset failed jobs…" }
                button type="submit" name="action" value="cancel" title="stops what has not ended" { "Cancel…" }
                button type="submit" name="action" value="delete" title="removes runs that have ended, with their results" { "Delete…" }
            }
        }
    }
}
