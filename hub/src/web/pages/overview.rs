//! The first page: what is running, what failed, and how that was over the last hour, day or week.

use bue_model::failed_jobs::FailureGroupPage;
use bue_model::history::{HistorySample, HistoryView};
use bue_model::wire::{RunView, WorkerView};
use maud::{Markup, html};

use crate::api::lists::{list_error_groups, list_runs, list_workers};
use crate::api::records::history;
use crate::api::schedules;
use crate::http::reply::ErrorReply;
use crate::web::layout::{Page, Section};
use crate::web::pages::overview_past;
use crate::web::pages::schedules::EXAMPLE;
use crate::web::parts::badges::{counts_of, run_badge, state_bar};
use crate::web::parts::charts::{share_bar, sparkline};
use crate::web::parts::due::is_late;
use crate::web::parts::figures::{Figure, card, empty_state, figures};
use crate::web::parts::periods::{period_named, period_tabs};
use crate::web::parts::samples::{SAMPLE_FIGURES, SampleFigure};
use crate::web::parts::tables::{column, number, table};
use crate::web::parts::texts::{bytes, counted, grouped, short_text, text, visible};
use crate::web::parts::times::when;
use crate::web::visit::Visit;

/// Points of a sparkline. It is two hundred pixels wide.
const MAX_POINTS: usize = 120;
/// Rows of the lists of this page.
const ROWS: usize = 8;

pub(in crate::web) async fn page(visit: &Visit) -> Result<Page, ErrorReply> {
    let at = visit.parameter("at");
    if !at.trim().is_empty() {
        return overview_past::page(visit, at.trim()).await;
    }
    let period = period_named(&visit.parameter("period")).value;
    let history = history(&visit.hub, Some(&format!("from={period}"))).await?;
    let workers = list_workers(&visit.hub);
    let errors = list_error_groups(&visit.hub, "group=1&since=24h&limit=8", visit.is_refresh).await?;
    let runs = list_runs(&visit.hub, Some("limit=8")).await?.runs;
    let body = html! {
        (ledger(&history, period))
        div.columns {
            (card("errors", "Errors of the last day", &error_groups(visit, &errors)))
            (card("workers", "Workers", &worker_list(&workers)))
            (card("recent", "Latest runs", &run_list(visit, &runs)))
            (card("schedules", "Next schedules", &schedule_list(visit).await?))
        }
    };
    let tools = html! {
        a.button href="/activity" title="throughput, waiting and failures by pipeline and step" { "Activity" }
        a.button href="/?at=15m" title="the figures of an earlier time" { "Look back" }
    };
    Ok(Page::new(Section::Overview, "Overview", body).with_tools(tools).with_failures(errors.jobs).live())
}

/// The figures of the latest sample, each with its history.
fn ledger(history: &HistoryView, period: &str) -> Markup {
    let now = history.samples.last().copied().unwrap_or_default();
    let figure = |SampleFigure { name, value, explanation, link, class, .. }: SampleFigure| Figure {
        label: name,
        value: grouped(value(&now)),
        explanation,
        link,
        class,
        more: sparkline(&points(history, value), class, name),
    };
    html! {
        section.card #ledger data-live aria-label="Jobs of open runs" {
            header.row {
                h2 { "Jobs of open runs" }
                (period_tabs("/", period))
            }
            @if history.samples.is_empty() { p.hint { "The hub takes a sample every ten seconds; there is none of this period yet." } }
            (figures(&SAMPLE_FIGURES.map(figure)))
            p.hint { "The six states add up to all jobs of the latest thousand open runs: " strong { (grouped(total(&now))) } "." }
        }
    }
}

fn total(sample: &HistorySample) -> u64 {
    sample.blocked + sample.available + sample.running + sample.completed + sample.failed + sample.cancelled
}

/// The values of the period at equal distances. Where no hub was running, there is a gap.
fn points(history: &HistoryView, value: fn(&HistorySample) -> u64) -> Vec<Option<u64>> {
    let Some(first) = history.samples.first() else { return Vec::new() };
    let interval = history.interval_ms.max(1);
    let length = history.to.since_ms(first.at) / interval + 1;
    let step = length.div_ceil(MAX_POINTS as u64).max(1);
    let mut points = vec![None; usize::try_from(length / step + 1).unwrap_or(0).min(MAX_POINTS + 1)];
    for sample in &history.samples {
        let index = usize::try_from(sample.at.since_ms(first.at) / interval / step).unwrap_or(usize::MAX);
        if let Some(point) = points.get_mut(index) {
            *point = (*point).max(Some(value(sample)));
        }
    }
    while points.last() == Some(&None) {
        points.pop();
    }
    points
}

fn error_groups(visit: &Visit, page: &FailureGroupPage) -> Markup {
    if page.groups.is_empty() {
        return empty_state("No job failed in the last day.", "");
    }
    let rows = page.groups.iter().map(|group| {
        vec![
            html! { a href=(format!("/jobs/{}", group.newest.job)) { (text(&group.step)) } },
            short_text(&group.message),
            html! { (grouped(group.count)) },
            when(visit.now, group.newest.at),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let columns = [column("step"), column("message"), number("jobs", "Jobs that failed like this."), column("last")];
    html! { (table("Failures by step and message", &columns, &rows)) p { a href="/errors" { "All errors" } } }
}

fn worker_list(workers: &[WorkerView]) -> Markup {
    if workers.is_empty() {
        return empty_state("No worker has asked for jobs in the last minute, so nothing runs.", "bue worker");
    }
    let mut busiest: Vec<_> = workers.iter().collect();
    busiest.sort_by_key(|worker| std::cmp::Reverse(worker.jobs_held));
    let rows: Vec<_> = busiest.iter().take(ROWS).map(|worker| worker_row(worker)).collect();
    let columns = [
        column("worker"),
        column("scopes"),
        number(
            "held",
            "Jobs that the worker has leases of: those that run, wait for their turn, or are being reported.",
        ),
        column("memory"),
    ];
    html! {
        (table("Workers, busiest first", &columns, &rows))
        @if workers.len() > ROWS { p { a href="/workers" { "All " (workers.len()) " workers" } } }
    }
}

fn worker_row(worker: &WorkerView) -> Vec<Markup> {
    let used = worker.memory_used.unwrap_or(0);
    let memory = format!("{} of {}", bytes(used), bytes(worker.memory_limit));
    vec![
        html! { a href="/workers" { (short_text(&worker.name)) } },
        scopes(&worker.scopes),
        html! { (grouped(worker.jobs_held)) },
        html! { (share_bar(used, worker.memory_limit, &memory)) span.hint { (memory) } },
    ]
}

/// The first scopes of a worker; all of them are the tooltip.
fn scopes(all: &[String]) -> Markup {
    let first = all.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(", ");
    html! { (short_text(&first)) @if all.len() > 2 { " " abbr title=(visible(&all.join(", "))) { "and " (all.len() - 2) " more" } } }
}

fn run_list(visit: &Visit, runs: &[RunView]) -> Markup {
    if runs.is_empty() {
        return empty_state("There are no runs yet.", "bue upload -f pipeline.bue");
    }
    let row = |run: &RunView| {
        vec![
            html! { a href=(format!("/runs/{}", run.id)) { (short_text(&run.name)) } },
            run_badge(run.state),
            state_bar(&counts_of(&run.counts)),
            when(visit.now, run.created_at),
        ]
    };
    let rows: Vec<_> = runs.iter().take(ROWS).map(row).collect();
    let columns = [column("run"), column("state"), column("jobs"), column("started")];
    html! { (table("Latest runs", &columns, &rows)) p { a href="/runs" { "All runs" } } }
}

/// The schedules that are due next. One that is late by more than a minute is marked.
async fn schedule_list(visit: &Visit) -> Result<Markup, ErrorReply> {
    let page = schedules::list(&visit.hub, Some("limit=100")).await?;
    let mut due: Vec<_> = page.schedules.iter().filter_map(|one| Some((*one.next.first()?, one))).collect();
    due.sort_by_key(|(at, _)| *at);
    if due.is_empty() {
        return Ok(empty_state("Nothing is due.", EXAMPLE));
    }
    let row = |(at, schedule): &(bue_model::Timestamp, &bue_model::schedule::ScheduleView)| {
        vec![
            html! { a href=(format!("/schedules/{}", schedule.name)) { (text(&schedule.name)) } },
            html! { (when(visit.now, *at)) @if is_late(schedule, visit.now) { " " strong.bad { "late" } } },
            html! { @if let Some(last) = &schedule.last_run { a href=(format!("/runs/{}", last.run)) { (run_badge(last.state)) } } },
        ]
    };
    let rows: Vec<_> = due.iter().take(ROWS).map(row).collect();
    let columns = [column("schedule"), column("next"), column("last run")];
    let more = page.next.is_some().then(|| counted(due.len() as u64, "schedule", "schedules"));
    Ok(html! {
        (table("Schedules that are due next", &columns, &rows))
        @if let Some(more) = more { p.hint { "The first " (more) " by name are considered." } }
    })
}

#[cfg(test)]
mod tests {
    use bue_model::Timestamp;

    use super::*;

    #[test]
    fn a_period_has_gaps_and_a_limited_number_of_points() {
        let sample = |at, running| HistorySample { at: Timestamp(at), running, ..HistorySample::default() };
        let samples = vec![sample(0, 1), sample(10_000, 2), sample(40_000, 5)];
        let history = HistoryView { from: Timestamp(0), to: Timestamp(41_000), interval_ms: 10_000, samples };
        assert_eq!(points(&history, |sample| sample.running), [Some(1), Some(2), None, None, Some(5)]);
        let samples = (0..10_000).map(|index| sample(index * 10_000, 1)).collect();
        let history = HistoryView { to: Timestamp(100_000_000), samples, ..history };
        assert!(points(&history, |sample| sample.running).len() <= MAX_POINTS + 1);
        assert!(points(&HistoryView::default(), |sample| sample.running).is_empty());
    }
}
