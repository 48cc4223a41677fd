//! A job: its state, why it waits, its failure, log, inputs and result, and what can be done about it.

use bue_model::attempt::{AttemptVerdict, AttemptView};
use bue_model::wire::{ParentView, WhyView};
use bue_model::{Failure, JobId, JobState, ValueRef};
use maud::{Markup, html};
use serde_json::Value;

use crate::api::job_reads;
use crate::api::views::explain_job;
use crate::auth::role::Permission;
use crate::http::reply::ErrorReply;
use crate::http::request::parse_parameter;
use crate::web::layout::{Page, Section};
use crate::web::links::with_query;
use crate::web::parts::badges::job_badge;
use crate::web::parts::figures::{card, definitions, empty_state};
use crate::web::parts::forms::{action_button, copyable};
use crate::web::parts::gantt::{Bar, gantt};
use crate::web::parts::json_tree::json_tree;
use crate::web::parts::tables::{column, column_help, number, table};
use crate::web::parts::texts::{block, bytes, counted, short_text, text};
use crate::web::parts::times::{duration, when};
use crate::web::parts::traceback::traceback;
use crate::web::visit::Visit;

/// Bytes of a log or a traceback on the page.
const MAX_TEXT: usize = 64 * 1024;
/// Bytes of JSON that become a tree. Larger values are downloads.
const MAX_VALUE: usize = 256 * 1024;

pub(in crate::web) async fn page(visit: &Visit, id: &str) -> Result<Page, ErrorReply> {
    let job = JobId(parse_parameter(id, "job id")?);
    let why = explain_job(&visit.hub, job).await?;
    let view = &why.job;
    let body = html! {
        (card("state", "State", &state(visit, &why)))
        @if let Some(failure) = &view.failure { (card("failure", "Failure", &failed(visit, job, failure).await)) }
        @if !view.last_attempts.is_empty() { (card("attempts", "Attempts", &attempts(visit, &view.last_attempts))) }
        (card("log", "Log of the last attempt", &log(visit, &why).await?))
        (card("inputs", "Inputs", &value_card(&job_inputs(visit, job).await, &format!("/jobs/{job}/inputs.json"))))
        @if view.state == JobState::Completed {
            (card("result", "Result", &value_card(&job_result(visit, job).await, &format!("/jobs/{job}/result.json"))))
        }
        (card("local", "Run it on your machine", &html! {
            p { "This runs the job in a sandbox on your machine, with the code and the inputs that the hub has. The run does not change." }
            (copyable(&format!("bue run-job {job}")))
        }))
    };
    let failures = u64::from(view.state == JobState::Failed);
    let page = Page::new(Section::Runs, format!("{} · job {job}", view.step), body).with_failures(failures);
    let page = page.under("Runs", "/runs").under("Run", format!("/runs/{}", view.run)).with_tools(tools(visit, &why));
    Ok(page.live_for(view.run))
}

fn tools(visit: &Visit, why: &WhyView) -> Markup {
    let path = format!("/jobs/{}", why.job.id);
    let is_open = matches!(why.job.state, JobState::Blocked | JobState::Available | JobState::Running);
    let can_reset = matches!(why.job.state, JobState::Failed | JobState::Cancelled);
    html! {
        @if visit.may(Permission::Operate) {
            @if can_reset { (action_button(&format!("{path}/reset"), "Reset", "primary", "runs the job again, with fresh attempts")) }
            @if is_open { (action_button(&format!("{path}/cancel"), "Cancel call", "", "cancels the call of the job, and what depends on it")) }
        }
    }
}

fn state(visit: &Visit, why: &WhyView) -> Markup {
    html! {
        p { (job_badge(why.job.state)) " " (explanation(visit, why)) }
        (definitions(&facts(visit, why)))
    }
}

fn facts(visit: &Visit, why: &WhyView) -> Vec<(Markup, Markup)> {
    let job = &why.job;
    let step_path = with_query(&format!("/runs/{}", job.run), [("tab", "jobs"), ("step", job.step.as_str())]);
    let mut facts = vec![
        (
            html! { "Step" },
            html! { a href=(step_path) { (text(&job.step)) } " " span.hint { "called on line " (job.line) } },
        ),
        (html! { "Run" }, html! { a href=(format!("/runs/{}", job.run)) { code { (job.run) } } }),
        (
            html! { abbr title="since it last started afresh; !retries limits them" { "Failed attempts" } },
            html! { (job.attempts) },
        ),
    ];
    for round in &job.rounds {
        let value = html! { (round.round) " of " (round.rounds) " " span.hint { "for " (text(&round.variable)) ", line " (round.line) } };
        facts.push((html! { "Round" }, value));
    }
    if let Some(worker) = &job.worker {
        facts.push((html! { "Worker" }, text(worker)));
    }
    if why.pendings > 0 {
        facts.push((
            html! { abbr title="answers `pending` since it started afresh" { "Handed back" } },
            html! { (why.pendings) },
        ));
    }
    if why.releases > 0 {
        facts.push((
            html! { abbr title="times that a worker released it or disappeared with it" { "Released" } },
            html! { (why.releases) },
        ));
    }
    if let Some(expires_at) = why.expires_at {
        facts.push((
            html! { abbr title="it fails if it has not started by then, because of its !expires" { "Expires" } },
            when(visit.now, expires_at),
        ));
    }
    for argument in &job.arguments {
        let name = argument.name.as_deref().unwrap_or("argument");
        facts.push((text(name), html! { code { (text(&argument.value)) } }));
    }
    facts
}

/// Why the job is in its state, in one sentence with links.
fn explanation(visit: &Visit, why: &WhyView) -> Markup {
    let job = &why.job;
    match job.state {
        JobState::Completed if job.reused => {
            html! { "It did not run: its run repeats another one, and has the result of that." }
        }
        JobState::Completed => html! { "It has a result." },
        JobState::Cancelled => html! { "It was cancelled, by the answer of a step or by a person." },
        JobState::Failed => {
            html! { "It failed for good after " (counted(u64::from(job.attempts), "attempt", "attempts")) "." }
        }
        JobState::Running => html! {
            @if let Some(worker) = &job.worker { (text(worker)) " runs it." } @else { "A worker runs it." }
            @if let Some(ends_at) = why.lease_ends_at { " Without a heartbeat within " (duration(ends_at.since_ms(why.now))) ", it goes to another worker." }
        },
        JobState::Blocked => blocked(why),
        JobState::Available => available(visit, why),
    }
}

fn blocked(why: &WhyView) -> Markup {
    let more = u64::from(why.job.waiting_for).saturating_sub(why.parents.len() as u64);
    html! {
        @if let Some(failed) = why.job.blocked_by {
            "It cannot run because " a href=(format!("/jobs/{failed}")) { "job " (failed) } " failed; reset that job. "
        }
        @if !why.parents.is_empty() {
            "It waits for "
            @for (index, parent) in why.parents.iter().enumerate() { @if index > 0 { ", " } (parent_link(parent)) }
            @if more > 0 { " and " (more) " more" }
            "."
        }
    }
}

fn parent_link(parent: &ParentView) -> Markup {
    html! {
        @match parent.rounds {
            Some((finished, all)) => { "all rounds of " (text(&parent.name)) " (" (finished) " of " (all) " have ended)" },
            None => { a href=(format!("/jobs/{}", parent.job)) { (text(&parent.name)) } " (" (parent.state.name()) ")" },
        }
    }
}

fn available(visit: &Visit, why: &WhyView) -> Markup {
    if why.job.available_at > why.now {
        return html! { "It may start " (when(visit.now, why.job.available_at)) ", because " (delay(why)) "." };
    }
    if let Some(opens_at) = why.rate_opens_at.filter(|opens_at| *opens_at > why.now) {
        return html! { "Its " code { "!rate" } " allows the next start " (when(visit.now, opens_at)) "." };
    }
    if let Some(at_most) = why.at_most.filter(|at_most| at_most.running >= at_most.limit) {
        return html! { "It waits because " (at_most.running) " of " (at_most.limit) " are running, as its " code { "!at_most" } " allows." };
    }
    match why.served_by.is_empty() {
        true => html! {
            "No worker has asked for jobs of the scope " (text(&why.scope)) " lately. Type "
            code { "bue worker -s " (text(&why.scope)) } "."
        },
        false => html! {
            "It waits for a free place at " a href="/workers" { (counted(why.served_by.len() as u64, "worker", "workers")) }
            " of the scope " (text(&why.scope)) "."
        },
    }
}

fn delay(why: &WhyView) -> Markup {
    match &why.job.failure {
        Some(_) if why.job.attempts > 0 => html! { "attempt " (why.job.attempts) " failed" },
        _ if why.pendings > 0 => {
            html! { "it has answered " code { "pending" } " " (counted(u64::from(why.pendings), "time", "times")) }
        }
        _ if why.releases > 0 => {
            html! { "workers have released it " (counted(u64::from(why.releases), "time", "times")) }
        }
        _ => html! { "its call was reset with a delay" },
    }
}

async fn failed(visit: &Visit, job: JobId, failure: &Failure) -> Markup {
    let code = if failure.trace.is_some() { job_reads::code_of(&visit.hub, job).await } else { None };
    html! {
        div.message { (block(&failure.message, MAX_TEXT)) }
        p.hint { "Kind: " (failure.kind.name()) }
        @if let Some(trace) = &failure.trace { details.trace open { summary { "Traceback" } (traceback(trace, code.as_deref(), MAX_TEXT)) } }
    }
}

/// The last attempts, on a common axis of time and as a table.
fn attempts(visit: &Visit, all: &[AttemptView]) -> Markup {
    let name = |attempt: &AttemptView| attempt.verdict.map_or("running", AttemptVerdict::name);
    let class = |attempt: &AttemptView| match attempt.verdict {
        None => "running",
        Some(AttemptVerdict::Completed) => "completed",
        Some(AttemptVerdict::Failed) => "failed",
        Some(AttemptVerdict::Cancelled) => "cancelled",
        Some(AttemptVerdict::Pending | AttemptVerdict::Reset) => "available",
        Some(AttemptVerdict::Released | AttemptVerdict::Lost) => "blocked",
    };
    let bar = |attempt: &AttemptView| Bar {
        label: format!("{} {}", name(attempt), attempt.worker.as_deref().unwrap_or_default()),
        link: String::new(),
        from: attempt.started_at,
        to: attempt.ended_at.unwrap_or(visit.now).max(attempt.started_at),
        class: class(attempt),
    };
    let row = |attempt: &AttemptView| {
        vec![
            when(visit.now, attempt.started_at),
            html! { span class={ "state " (class(attempt)) } { (name(attempt)) } },
            html! { @if let Some(worker) = &attempt.worker { (short_text(worker)) } },
            html! { @if let Some(ms) = attempt.run_ms { (duration(ms)) } },
            html! { @if let Some(ms) = attempt.cpu_ms { (duration(ms)) } },
            html! { @if let Some(peak) = attempt.peak_memory { (bytes(peak)) } },
        ]
    };
    let (bars, rows): (Vec<_>, Vec<_>) = all.iter().map(|attempt| (bar(attempt), row(attempt))).unzip();
    let columns = [
        column("started"),
        column("ended as"),
        column("worker"),
        number("took", "From the lease to the outcome, including the time that the step waited."),
        number("CPU", "What a sandbox host computed."),
        number("memory", "The most memory that the step had, including what it shared."),
    ];
    html! {
        @if all.len() > 1 { (gantt(&bars, "Attempts over time")) }
        (table("The last attempts, at most ten", &columns, &rows))
        (column_help(&columns))
    }
}

async fn log(visit: &Visit, why: &WhyView) -> Result<Markup, ErrorReply> {
    let id = why.job.id;
    if why.job.state == JobState::Running {
        return Ok(html! {
            pre #tail data-log=(format!("/v1/jobs/{id}/log?follow=1")) data-keep tabindex="0" aria-live="off" {}
            p.hint { "Live while it runs. Without scripts: " code { "bue logs " (id) " --follow" } }
        });
    }
    Ok(match job_reads::stored_log(&visit.hub, id).await? {
        None => empty_state("It printed nothing.", ""),
        Some(ValueRef::Inline(content)) => block(&String::from_utf8_lossy(&content), MAX_TEXT),
        Some(_) => html! { p { "The log is large, and in the bucket: " code { "bue logs " (id) } } },
    })
}

async fn job_inputs(visit: &Visit, job: JobId) -> Result<Value, String> {
    let inputs = job_reads::inputs(&visit.hub, None, job).await.map_err(|error| error.message().to_owned())?;
    shown(&inputs, &["inputs", "keywords", "env"])
}

async fn job_result(visit: &Visit, job: JobId) -> Result<Value, String> {
    let result = job_reads::result(&visit.hub, None, job).await.map_err(|error| error.message().to_owned())?;
    shown(&result, &["value"])
}

/// The fields of an answer that are not null; of one, its value.
fn shown(answer: &impl serde::Serialize, names: &[&str]) -> Result<Value, String> {
    let text = serde_json::to_string(answer).map_err(|error| error.to_string())?;
    if text.len() > MAX_VALUE {
        return Err(format!("It is too large for this page ({}).", bytes(text.len() as u64)));
    }
    let answer: Value = serde_json::from_str(&text).map_err(|_| "It is nested too deeply for this page.".to_owned())?;
    let fields = names.iter().filter_map(|name| Some(((*name).to_owned(), answer.get(*name)?.clone())));
    let mut fields = fields.filter(|(_, value)| !value.is_null());
    match names {
        [_] => Ok(fields.next().map(|(_, value)| value).unwrap_or_default()),
        _ => Ok(Value::Object(fields.collect())),
    }
}

fn value_card(value: &Result<Value, String>, path: &str) -> Markup {
    html! {
        @match value {
            Ok(value) => { (json_tree(value)) p { a href=(path) download { "Download as JSON" } } },
            Err(reason) => { p.hint { (reason) } },
        }
    }
}
