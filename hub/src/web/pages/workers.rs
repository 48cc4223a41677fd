//! The workers that asked for jobs in the last minute: what they serve, how busy they are, and which jobs they hold.

use std::collections::HashMap;

use bue_model::wire::{JobView, WorkerView};
use maud::{Markup, html};

use crate::api::lists::{list_running_jobs, list_workers};
use crate::http::reply::ErrorReply;
use crate::web::layout::{Page, Section};
use crate::web::links::with_query;
use crate::web::parts::charts::share_bar;
use crate::web::parts::figures::{definitions, empty_state};
use crate::web::parts::forms::{filter_form, text_field};
use crate::web::parts::tables::pager;
use crate::web::parts::texts::{bytes, counted, grouped, short_text, text, visible};
use crate::web::parts::times::when;
use crate::web::visit::Visit;

/// Workers on a page.
const LIMIT: usize = 50;
/// Running jobs that are looked up for all workers of the page.
const MAX_JOBS: u32 = 200;
/// Jobs that one worker names.
const MAX_LINKS: usize = 10;

pub(in crate::web) async fn page(visit: &Visit) -> Result<Page, ErrorReply> {
    let (scope, after) = (visit.parameter("scope").trim().to_owned(), visit.parameter("after"));
    let all = list_workers(&visit.hub);
    let matching = all.iter().filter(|worker| scope.is_empty() || worker.scopes.contains(&scope));
    let matching: Vec<&WorkerView> = matching.filter(|worker| worker.name.as_str() > after.as_str()).collect();
    let shown = matching.get(..LIMIT).unwrap_or(&matching);
    let jobs = if shown.is_empty() { Vec::new() } else { list_running_jobs(&visit.hub, MAX_JOBS).await? };
    let jobs = by_worker(&jobs);
    let to = |after: &str| with_query("/workers", [("scope", scope.as_str()), ("after", after)]);
    let next = shown.last().filter(|_| matching.len() > shown.len()).map(|last| to(&last.name)).unwrap_or_default();
    let body = html! {
        @if !all.is_empty() { (filter_form("/workers", !scope.is_empty(), &text_field("scope", "Scope", &scope, "default"))) }
        section #workers data-live {
            @if !all.is_empty() { p.hint { (summary(&all)) } }
            @if shown.is_empty() { (nothing(&scope)) }
            div.columns { @for worker in shown { (card(visit, worker, jobs.get(worker.name.as_str()))) } }
        }
        (pager(&if after.is_empty() { String::new() } else { to("") }, &next))
    };
    Ok(Page::new(Section::Workers, "Workers", body).live())
}

fn summary(all: &[WorkerView]) -> String {
    let (held, running) = (all.iter().map(|one| one.jobs_held).sum(), all.iter().map(|one| one.jobs_running).sum());
    format!(
        "{} asked for jobs in the last minute, with {} and {}.",
        counted(all.len() as u64, "worker has", "workers have"),
        counted(held, "job held", "jobs held"),
        counted(running, "step in a sandbox", "steps in sandboxes")
    )
}

fn nothing(scope: &str) -> Markup {
    match scope {
        "" => empty_state("No worker has asked for jobs in the last minute, so nothing runs.", "bue worker"),
        _ => empty_state("No worker serves this scope.", &format!("bue worker -s {}", visible(scope))),
    }
}

fn by_worker(jobs: &[JobView]) -> HashMap<&str, Vec<&JobView>> {
    let mut all: HashMap<&str, Vec<&JobView>> = HashMap::new();
    for job in jobs {
        if let Some(worker) = &job.worker {
            all.entry(worker).or_default().push(job);
        }
    }
    all
}

fn card(visit: &Visit, worker: &WorkerView, jobs: Option<&Vec<&JobView>>) -> Markup {
    html! {
        section.card.worker {
            h2 { (short_text(&worker.name)) }
            (definitions(&facts(visit, worker)))
            @if !abilities(worker).is_empty() {
                details { summary { "What its steps may use" } (definitions(&abilities(worker))) }
            }
            (held(worker, jobs.map(Vec::as_slice).unwrap_or_default()))
        }
    }
}

fn facts(visit: &Visit, worker: &WorkerView) -> Vec<(Markup, Markup)> {
    let term = |name: &str, explanation: &str| html! { abbr title=(explanation) { (name) } };
    vec![
        (term("Scopes", "It takes jobs of these scopes, the first ones first."), scopes(worker)),
        (term("Host", "The name of its machine."), text(&worker.host)),
        (term("Version", "The release of bue that it runs."), text(&worker.abilities.version)),
        (term("Started", "When its process started, by the hub's clock."), when(visit.now, worker.since)),
        (
            term("Last heard", "Its last request for jobs, or sign of life for those that it holds."),
            when(visit.now, worker.heard_at),
        ),
        (term("Memory", "What its steps use, of the memory up to which it takes more jobs."), memory(worker)),
        (
            term(
                "Cores",
                "Steps in its sandboxes, of those that it can compute at the same time. Steps that wait for an answer take no core.",
            ),
            cores(worker),
        ),
    ]
}

fn scopes(worker: &WorkerView) -> Markup {
    html! {
        @for (index, scope) in worker.scopes.iter().take(20).enumerate() {
            @if index > 0 { " " }
            a.tag href=(with_query("/workers", [("scope", scope.as_str())])) { (short_text(scope)) }
        }
        @if worker.scopes.len() > 20 { " and " (worker.scopes.len() - 20) " more" }
    }
}

fn memory(worker: &WorkerView) -> Markup {
    let Some(used) = worker.memory_used else {
        return html! { span.hint { "its system does not tell; the limit is " (bytes(worker.memory_limit)) } };
    };
    let label = format!("{} of {}", bytes(used), bytes(worker.memory_limit));
    html! { (share_bar(used, worker.memory_limit, &label)) span.hint { (label) } }
}

fn cores(worker: &WorkerView) -> Markup {
    let label = format!(
        "{} on {}",
        counted(worker.jobs_running, "step", "steps"),
        counted(u64::from(worker.cores), "core", "cores")
    );
    html! { (share_bar(worker.jobs_running, u64::from(worker.cores), &label)) span.hint { (label) } }
}

/// What is set for its steps, without what is not.
fn abilities(worker: &WorkerView) -> Vec<(Markup, Markup)> {
    let abilities = &worker.abilities;
    let all = [
        ("Languages", &abilities.languages),
        ("Hosts", &abilities.net),
        ("TCP", &abilities.tcp),
        ("Secrets", &abilities.secrets),
        ("Databases", &abilities.databases),
        ("Environment", &abilities.environment),
        ("Wall", &abilities.wall),
    ];
    let set = all.into_iter().filter(|(_, names)| !names.is_empty());
    set.map(|(name, names)| (html! { (name) }, short_text(&names.join(", ")))).collect()
}

fn held(worker: &WorkerView, jobs: &[&JobView]) -> Markup {
    let named = jobs.len().min(MAX_LINKS);
    let more = worker.jobs_held.saturating_sub(named as u64);
    html! {
        p.held {
            abbr title="Jobs that it has leases of: those that run, wait for their turn, or are being reported." { (counted(worker.jobs_held, "job", "jobs")) " held" }
            @for (index, job) in jobs.iter().take(MAX_LINKS).enumerate() {
                @if index == 0 { ": " } @else { ", " }
                a href=(format!("/jobs/{}", job.id)) { (short_text(&job.step)) " " (job.id) }
            }
            @if named > 0 && more > 0 { ", and " (grouped(more)) " more" }
        }
    }
}
