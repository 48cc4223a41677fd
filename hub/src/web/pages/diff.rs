//! What two runs differ in, side by side: parameters, steps with their code, results by call, and jobs. `bue diff` compares the same.

use bue_model::RunId;
use bue_model::plan::{Source, Step};
use bue_model::wire::{JobQuery, RunView};
use maud::{Markup, html};
use serde_json::Value;

use crate::api::job_reads::results_as_json;
use crate::api::lists::{list_jobs_of, list_runs};
use crate::api::long_poll::wait_for_run;
use crate::api::reruns::{run_plan, stored_plan};
use crate::http::reply::ErrorReply;
use crate::http::request::parse_parameter;
use crate::reruns::difference::{JobDigests, RunDifference, difference};
use crate::web::layout::{Page, Section};
use crate::web::links::api_query;
use crate::web::parts::badges::run_badge;
use crate::web::parts::difference::{
    InlineCode, call_differences, job_differences, param_differences, step_differences,
};
use crate::web::parts::figures::{card, empty_state};
use crate::web::parts::forms::{copyable, filter_form, notice, text_field};
use crate::web::parts::tables::{column, table};
use crate::web::parts::texts::{grouped, short_text, text};
use crate::web::parts::times::when;
use crate::web::visit::Visit;

/// The word in the address instead of the second run: the page offers runs to choose from.
pub(super) const CHOOSE: &str = "with";
/// Jobs of a run up to which jobs are compared one by one: a page of them is a query.
const MAX_JOBS: u64 = 4_000;
/// Jobs of a query.
const JOB_PAGE: u32 = 200;

pub(in crate::web) async fn page(visit: &Visit, one: &str, other: &str) -> Result<Page, ErrorReply> {
    let run = parse_parameter::<RunId>(one, "run id")?;
    let first = wait_for_run(&visit.hub, None, run).await?;
    let sent = visit.parameter("run");
    if other == CHOOSE && sent.trim().is_empty() {
        return choice(visit, &first, "").await;
    }
    let name = if other == CHOOSE { sent.trim() } else { other };
    match find(visit, name).await? {
        Some(second) => compared(visit, &first, &second).await,
        None => choice(visit, &first, name).await,
    }
}

/// Finds a run by its id or the first digits of it.
async fn find(visit: &Visit, name: &str) -> Result<Option<RunView>, ErrorReply> {
    if let Ok(run) = name.parse::<RunId>() {
        return wait_for_run(&visit.hub, None, run).await.map(Some);
    }
    match list_runs(&visit.hub, Some(&api_query([("id", name), ("limit", "2")]))).await {
        Ok(list) if list.runs.len() == 1 => Ok(list.runs.into_iter().next()),
        Err(error) if !error.status().is_client_error() => Err(error),
        _ => Ok(None),
    }
}

/// Offers the runs of the same script.
async fn choice(visit: &Visit, first: &RunView, wrong: &str) -> Result<Page, ErrorReply> {
    let query = api_query([("name", first.name.trim_end_matches('*')), ("limit", "25")]);
    let list = list_runs(&visit.hub, Some(&query)).await?;
    let others: Vec<_> = list.runs.iter().filter(|run| run.id != first.id).collect();
    let row = |run: &&RunView| {
        vec![
            html! { a.row-link href=(format!("/runs/{}/diff/{}", first.id, run.id)) { code { (run.id) } } },
            run_badge(run.state),
            when(visit.now, run.created_at),
        ]
    };
    let rows: Vec<_> = others.iter().map(row).collect();
    let path = format!("/runs/{}/diff/{CHOOSE}", first.id);
    let body = html! {
        @if !wrong.is_empty() { (notice("bad", &format!("No run, or more than one, has an id that begins with `{wrong}`."))) }
        (filter_form(&path, false, &text_field("run", "Id of a run, or its beginning", wrong, "0199a0b1")))
        @if rows.is_empty() { (empty_state("There is no other run of this script.", "")) }
        @else { section #choice { (table("Runs of the same script, newest first", &[column("compare with"), column("state"), column("started")], &rows)) } }
    };
    Ok(under(Page::new(Section::Runs, "Compare with", body), first))
}

fn under(page: Page, first: &RunView) -> Page {
    page.under("Runs", "/runs").under("Run", format!("/runs/{}", first.id))
}

async fn compared(visit: &Visit, first: &RunView, second: &RunView) -> Result<Page, ErrorReply> {
    let sizes = [first, second].map(|run| run.counts.open() + run.counts.finished());
    let has_jobs = sizes.iter().all(|jobs| *jobs <= MAX_JOBS);
    let (jobs1, jobs2) = match has_jobs {
        true => (digests(visit, first.id).await?, digests(visit, second.id).await?),
        false => Default::default(),
    };
    let plan1 = run_plan(&visit.hub, visit.principal.as_ref(), first.id).await?;
    let plan2 = run_plan(&visit.hub, visit.principal.as_ref(), second.id).await?;
    let found = difference(&(plan1, jobs1), &(plan2, jobs2));
    let code = [inline_code(visit, first.id).await?, inline_code(visit, second.id).await?];
    let calls = [results(visit, first.id).await?, results(visit, second.id).await?];
    let body = html! {
        (heads(visit, first, second))
        (verdict(&found, has_jobs))
        (card("params", "Parameters", &param_differences(&found.params)))
        (card("steps", "Steps and their code", &step_differences(&found.steps, &code)))
        (card("calls", "Results by call", &call_differences(&calls)))
        (card("jobs", "Jobs", &jobs_card(&found, has_jobs, &format!("bue diff {} {}", first.id, second.id))))
    };
    Ok(under(Page::new(Section::Runs, "What two runs differ in", body), first))
}

/// The two runs, with a link that changes sides.
fn heads(visit: &Visit, first: &RunView, second: &RunView) -> Markup {
    let head = |title: &str, run: &RunView| {
        html! {
            section.card {
                h2 { (title) }
                p { a href=(format!("/runs/{}", run.id)) { (short_text(&run.name)) } " " (run_badge(run.state)) }
                @if let Some(pipeline) = &run.pipeline { p { (text(&pipeline.name)) " version " (pipeline.version) } }
                p.hint { code { (run.id) } ", started " (when(visit.now, run.created_at)) }
            }
        }
    };
    html! {
        div.columns { (head("First run", first)) (head("Second run", second)) }
        p.buttons {
            a.button href=(format!("/runs/{}/diff/{}", second.id, first.id)) { "Swap" }
            a.button href=(format!("/runs/{}/diff/{CHOOSE}", first.id)) { "Compare with another run" }
        }
    }
}

fn verdict(found: &RunDifference, has_jobs: bool) -> Markup {
    match (found.same, has_jobs, &found.pipeline) {
        (true, true, _) => {
            notice("good", "The runs are the same: parameters, steps, code, and the results of all jobs.")
        }
        (true, false, _) => notice("", "Parameters, steps and code are the same. Jobs were not compared."),
        (false, _, Some([first, second])) => notice("", &format!("They were started from {first} and from {second}.")),
        (false, ..) => html! {},
    }
}

fn jobs_card(found: &RunDifference, has_jobs: bool, command: &str) -> Markup {
    if has_jobs {
        return job_differences(&found.jobs);
    }
    let limit = grouped(MAX_JOBS);
    html! {
        p { "A run has more than " (limit) " jobs, too many to compare for a page. In a terminal:" }
        (copyable(command))
    }
}

/// Reads the jobs of a run, which has a limited number.
async fn digests(visit: &Visit, run: RunId) -> Result<JobDigests, ErrorReply> {
    let mut digests = JobDigests::default();
    let mut query = JobQuery { limit: JOB_PAGE, digests: true, ..JobQuery::default() };
    // loops may have added jobs meanwhile
    for _ in 0..=MAX_JOBS.div_ceil(u64::from(JOB_PAGE)) * 2 {
        let page = list_jobs_of(&visit.hub, run, query.clone()).await?;
        page.jobs.into_iter().for_each(|job| digests.add(job));
        if page.next.is_none() {
            break;
        }
        query.after = page.next;
    }
    Ok(digests)
}

/// The code of the steps that is in the script itself; other code is in the bucket.
async fn inline_code(visit: &Visit, run: RunId) -> Result<InlineCode, ErrorReply> {
    let steps = stored_plan(&visit.hub, run).await?.plan.steps;
    let inline = steps.into_iter().filter_map(|Step { name, source, .. }| match source {
        Source::Inline { text, .. } => Some((name, text.to_string())),
        Source::File(_) | Source::Fused(_) => None,
    });
    Ok(inline.collect())
}

/// The first page of the results of a run.
async fn results(visit: &Visit, run: RunId) -> Result<Vec<Value>, ErrorReply> {
    let page = results_as_json(&visit.hub, None, run).await?;
    // values that are nested deeper than JSON readers go are not compared here
    let value = serde_json::to_value(&page).unwrap_or_default();
    Ok(value.get("results").and_then(Value::as_array).cloned().unwrap_or_default())
}
