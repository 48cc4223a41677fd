//! A run: its counts, its steps, and under tabs its jobs, results, parameters and what people did to it.

use bue_model::wire::{JobPage, JobView, RunView, StepView};
use bue_model::{JobState, RunId, RunState};
use maud::{Markup, html};

use crate::api::dispatch::expect_pipeline;
use crate::api::job_reads::results_as_json;
use crate::api::lists::list_jobs;
use crate::api::long_poll::wait_for_run;
use crate::api::records::run_audit;
use crate::api::reruns::{run_plan, stored_plan};
use crate::api::routes::Operation;
use crate::auth::role::Permission;
use crate::http::reply::ErrorReply;
use crate::http::request::parse_parameter;
use crate::web::form::Form;
use crate::web::layout::{Page, Section};
use crate::web::links::{api_query, with_query};
use crate::web::pages::diff::CHOOSE;
use crate::web::parts::badges::{counts_of, job_badge, meaning, run_badge, state_bar};
use crate::web::parts::figures::{Figure, card, definitions, empty_state, figures};
use crate::web::parts::forms::{action_button, filter_form, hidden, notice, select, text_field};
use crate::web::parts::gantt::{Bar, gantt};
use crate::web::parts::graph::drawing::plan_picture;
use crate::web::parts::graph::plan_graph::PlanGraph;
use crate::web::parts::json_tree::json_tree;
use crate::web::parts::tables::{column, column_help, number, pager, table};
use crate::web::parts::texts::{bytes, counted, grouped, short_text, text, visible};
use crate::web::parts::times::{between, duration, when};
use crate::web::visit::Visit;

/// Jobs on a page.
const LIMIT: &str = "100";
/// Steps in the table. The filter of jobs takes the others by name.
const MAX_STEPS: usize = 200;

pub(in crate::web) async fn page(visit: &Visit, id: &str) -> Result<Page, ErrorReply> {
    let run = parse_parameter::<RunId>(id, "run id")?;
    expect_pipeline(&visit.hub, visit.principal.as_ref(), Operation::GetRun, id).await?;
    let view = wait_for_run(&visit.hub, None, run).await?;
    let form = Form::parse(visit.query().unwrap_or_default().as_bytes());
    let tab = Tab::of(visit, form.text("tab"));
    let body = html! {
        (summary(visit, &view))
        @if visit.may(Permission::Read) { (card("steps", "Steps", &steps(&view))) }
        (tabs(visit, &view, tab))
        section #tab data-live[tab.is_live()] { (tab_body(visit, &view, tab, &form).await?) }
    };
    let page = Page::new(Section::Runs, view.name.clone(), body).under("Runs", "/runs").with_tools(tools(visit, &view));
    Ok(page.with_failures(view.counts.failed).live_for(run))
}

/// A part of the page that is shown one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tab {
    Jobs,
    Timeline,
    Plan,
    Results,
    Parameters,
    Activity,
}

impl Tab {
    const ALL: [Self; 6] = [Self::Jobs, Self::Timeline, Self::Plan, Self::Results, Self::Parameters, Self::Activity];

    const fn name(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Timeline => "timeline",
            Self::Plan => "plan",
            Self::Results => "results",
            Self::Parameters => "parameters",
            Self::Activity => "activity",
        }
    }

    /// Whether the visitor may see it. A visitor who may read only the runs of pipelines sees neither jobs nor steps.
    fn is_for(self, visit: &Visit) -> bool {
        !matches!(self, Self::Jobs | Self::Timeline | Self::Plan) || visit.may(Permission::Read)
    }

    /// Results can be large, and nobody reads them while they change.
    const fn is_live(self) -> bool {
        !matches!(self, Self::Results)
    }

    fn of(visit: &Visit, name: &str) -> Self {
        let all = || Self::ALL.into_iter().filter(|tab| tab.is_for(visit));
        all().find(|tab| tab.name() == name).or_else(|| all().next()).unwrap_or(Self::Results)
    }
}

fn tabs(visit: &Visit, view: &RunView, current: Tab) -> Markup {
    html! {
        nav.tabs aria-label="Parts of the run" {
            @for tab in Tab::ALL.into_iter().filter(|tab| tab.is_for(visit)) {
                a href=(with_query(&path(view.id), [("tab", tab.name())])) aria-current=[(tab == current).then_some("true")] { (tab.name()) }
            }
        }
    }
}

async fn tab_body(visit: &Visit, view: &RunView, tab: Tab, form: &Form) -> Result<Markup, ErrorReply> {
    match tab {
        Tab::Jobs | Tab::Timeline => jobs(visit, view, tab, form).await,
        Tab::Plan => plan(visit, view).await,
        Tab::Results => results(visit, view.id, form).await,
        Tab::Parameters => parameters(visit, view.id).await,
        Tab::Activity => activity(visit, view.id, form).await,
    }
}

fn path(run: RunId) -> String {
    format!("/runs/{run}")
}

fn tools(visit: &Visit, view: &RunView) -> Markup {
    let (path, counts) = (path(view.id), &view.counts);
    let has_ended = view.state != RunState::Running;
    let can_reset = counts.failed > 0 || view.state == RunState::Cancelled;
    html! {
        @if visit.may(Permission::Read) { a.button href=(format!("{path}/diff/{CHOOSE}")) title="what this run and another one differ in" { "Compare…" } }
        @if visit.may(Permission::Operate) {
            @if !has_ended { (action_button(&format!("{path}/cancel"), "Cancel…", "", "stops what has not ended")) }
            @if can_reset { (action_button(&format!("{path}/reset"), "Reset", "", "runs failed jobs again, with fresh attempts")) }
            @if has_ended { (action_button(&format!("{path}/delete"), "Delete…", "", "removes the run with its results")) }
        }
        @if visit.may(Permission::Invoke) && has_ended {
            form.action.rerun method="post" action=(format!("{path}/rerun")) {
                @if visit.may(Permission::Read) && !view.steps.is_empty() {
                    select name="from" aria-label="Run again from this step on" {
                        option value="" { "what is missing" }
                        @for step in view.steps.iter().take(MAX_STEPS) { option value=(step.name) { "from " (visible(&step.name)) } }
                    }
                }
                button type="submit" title="starts a new run that reuses the results of which nothing has changed" { "Rerun" }
            }
        }
    }
}

fn summary(visit: &Visit, view: &RunView) -> Markup {
    let counts = counts_of(&view.counts);
    let figure = |(state, count): &(JobState, u64)| Figure {
        label: state.name(),
        value: grouped(*count),
        explanation: meaning(*state),
        link: "",
        class: state.name(),
        more: html! {},
    };
    let all: Vec<_> = counts.iter().map(figure).collect();
    html! {
        section.card #summary data-live aria-label="The run in short" {
            div.row { (run_badge(view.state)) (state_bar(&counts)) }
            @for idle in &view.unserved {
                (notice("bad", &format!(
                    "No worker serves the scope `{}`, so {} wait. Type `bue worker -s {}`.",
                    idle.scope, counted(idle.jobs, "job", "jobs"), idle.scope
                )))
            }
            (figures(&all))
            (definitions(&facts(visit, view)))
        }
    }
}

fn facts(visit: &Visit, view: &RunView) -> Vec<(Markup, Markup)> {
    let ended = view.finished_at.unwrap_or(view.now);
    let mut facts = vec![
        (html! { "Run" }, html! { code { (view.id) } }),
        (html! { "Started" }, when(visit.now, view.created_at)),
        (
            html! { @if view.finished_at.is_some() { "Took" } @else { "Running for" } },
            html! { (between(view.created_at, ended)) },
        ),
    ];
    if let Some(eta) = view.eta {
        facts.push((html! { abbr title="at the rate of the last minutes" { "Ends about" } }, when(visit.now, eta)));
    }
    if let Some(pipeline) = &view.pipeline {
        let link = html! { a href=(format!("/pipelines/{}", pipeline.name)) { (text(&pipeline.name)) } " version " (pipeline.version) };
        facts.push((html! { "Pipeline" }, link));
    }
    if let Some(original) = view.rerun_of {
        let links = html! { a href=(path(original)) { code { (original) } } " · " a href=(format!("{}/diff/{original}", path(view.id))) { "what differs" } };
        facts.push((html! { "Repeats" }, links));
    }
    facts
}

fn steps(view: &RunView) -> Markup {
    if view.steps.is_empty() {
        return empty_state("This run has no steps.", "");
    }
    let columns = [
        column("step"),
        column("jobs"),
        number("done", "Jobs that have ended, of all that there are so far."),
        number("failed", "Jobs that failed for good."),
        number("retries", "Attempts that failed and were made again."),
        number("pending", "Answers `pending`: the step asked to be called again later."),
        number(
            "p50",
            "Half of the attempts took at most this long, including the time they waited. Accurate to a third.",
        ),
        number("p95", "95 of 100 attempts took at most this long. Accurate to a third."),
        number("CPU", "What all attempts together computed."),
        number("memory", "The most memory that one attempt had, including what it shared."),
    ];
    let rows: Vec<_> = view.steps.iter().take(MAX_STEPS).map(|step| step_row(view.id, step)).collect();
    let hidden = view.step_count.saturating_sub(rows.len() as u64);
    html! {
        (table("Steps in the order of the script", &columns, &rows))
        @if hidden > 0 { p.hint { (counted(hidden, "further step is", "further steps are")) " not shown; filter the jobs by the name of the step." } }
        (column_help(&columns))
    }
}

fn step_row(run: RunId, step: &StepView) -> Vec<Markup> {
    let link = |state: &str| with_query(&path(run), [("tab", "jobs"), ("step", step.name.as_str()), ("state", state)]);
    vec![
        html! { a href=(link("")) { (short_text(&step.name)) } @if step.scope != "default" { " " span.tag title="scope" { (text(&step.scope)) } } },
        state_bar(&step.by_state()),
        html! { (grouped(step.finished())) " / " (grouped(step.finished() + step.open())) },
        html! { @if step.failed > 0 { a.bad href=(link("failed")) { (grouped(step.failed)) } } @else { "0" } },
        html! { (grouped(step.retries)) },
        html! { (grouped(step.pendings)) },
        html! { @if let Some(ms) = step.usage.p50_ms { (duration(ms)) } },
        html! { @if let Some(ms) = step.usage.p95_ms { (duration(ms)) } },
        html! { @if step.usage.attempts > 0 { (duration(step.usage.cpu_ms)) } },
        html! { @if let Some(peak) = step.usage.peak_memory { (bytes(peak)) } },
    ]
}

async fn jobs(visit: &Visit, view: &RunView, tab: Tab, form: &Form) -> Result<Markup, ErrorReply> {
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

async fn plan(visit: &Visit, view: &RunView) -> Result<Markup, ErrorReply> {
    let stored = stored_plan(&visit.hub, view.id).await?;
    let graph = PlanGraph::of(&stored.plan);
    let link = |step: &str| with_query(&path(view.id), [("tab", "jobs"), ("step", step)]);
    Ok(html! {
        @if graph.nodes.is_empty() { (empty_state("The script of this run calls nothing.", "")) }
        @else { (plan_picture(&graph, &view.steps, link)) }
        @if graph.is_folded { p.hint { "The plan is large, so each pipe is one box." } }
        @if graph.left_out > 0 { p.hint { (grouped(graph.left_out as u64)) " further boxes are not drawn; the table of steps has them." } }
        p.hint { "Each box is a step of a call, or a loop. Its bar shows the states of all jobs of the step, also of those in other boxes." }
    })
}

async fn results(visit: &Visit, run: RunId, form: &Form) -> Result<Markup, ErrorReply> {
    let query = api_query([("after", form.text("after"))]);
    let page = results_as_json(&visit.hub, Some(&query), run).await?;
    // values that are nested deeper than JSON readers go are only there as a download
    let value = serde_json::to_value(&page).unwrap_or_default();
    let calls = value.get("results").and_then(|calls| calls.as_array()).cloned().unwrap_or_default();
    let next = value.get("next").and_then(|next| next.as_str()).unwrap_or_default();
    let file = |ending: &str| with_query(&format!("{}/results.{ending}", path(run)), [("after", form.text("after"))]);
    Ok(html! {
        p.buttons { a.button href=(file("json")) download { "JSON" } " " a.button href=(file("csv")) download { "CSV" } }
        @if calls.is_empty() { (empty_state("There are no results.", "")) }
        @for call in &calls { (call_result(call)) }
        (pager("", &if next.is_empty() { String::new() } else { with_query(&path(run), [("tab", "results"), ("after", next)]) }))
    })
}

fn call_result(call: &serde_json::Value) -> Markup {
    let field = |name: &str| call.get(name).cloned().unwrap_or_default();
    let (name, line, state) = (field("name"), field("line"), field("state"));
    html! {
        section.card.result {
            h3 {
                @if let Some(name) = name.as_str() { (text(name)) " " } span.hint { "line " (line) }
                " " span.hint { (state.as_str().unwrap_or_default()) }
            }
            (json_tree(&field("value")))
        }
    }
}

async fn parameters(visit: &Visit, run: RunId) -> Result<Markup, ErrorReply> {
    let plan = run_plan(&visit.hub, visit.principal.as_ref(), run).await?;
    if plan.params.is_empty() {
        return Ok(empty_state("The script of this run has no parameters.", ""));
    }
    let row = |param: &bue_model::param::ParamView| {
        vec![
            text(&param.name),
            html! { (param.kind) },
            json_tree(param.default.as_ref().unwrap_or(&serde_json::Value::Null)),
        ]
    };
    let rows: Vec<_> = plan.params.iter().map(row).collect();
    Ok(table("Parameters", &[column("parameter"), column("type"), column("value")], &rows))
}

async fn activity(visit: &Visit, run: RunId, form: &Form) -> Result<Markup, ErrorReply> {
    let query = api_query([("after", form.text("after")), ("limit", "50")]);
    let page = run_audit(&visit.hub, Some(&query), run).await?;
    if page.entries.is_empty() {
        return Ok(empty_state("No changes of this run are recorded.", ""));
    }
    let row = |entry: &bue_model::audit::AuditView| {
        vec![
            when(visit.now, entry.at),
            html! { (entry.action) },
            html! { (text(&entry.actor)) @if let Some(role) = &entry.role { " " span.tag { (role) } } },
            short_text(&entry.detail.to_string()),
        ]
    };
    let rows: Vec<_> = page.entries.iter().map(row).collect();
    let next = page
        .next
        .map(|next| with_query(&path(run), [("tab", "activity"), ("after", next.as_str())]))
        .unwrap_or_default();
    let columns = [column("when"), column("what"), column("who"), column("more")];
    Ok(html! { (table("What people did to this run", &columns, &rows)) (pager("", &next)) })
}
