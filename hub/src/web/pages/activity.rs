//! Throughput, waiting and failures by pipeline and by step, over an hour, a day or a week: as far as the runs that are kept tell.

use std::collections::BTreeMap;

use bue_model::RunState;
use bue_model::wire::{RunView, StepView};
use maud::{Markup, html};

use crate::api::lists::{find_run, list_error_groups, list_runs};
use crate::http::reply::ErrorReply;
use crate::web::layout::{Page, Section};
use crate::web::links::with_query;
use crate::web::parts::figures::{card, empty_state};
use crate::web::parts::periods::{Period, period_named, period_tabs};
use crate::web::parts::tables::{column, column_help, number, table};
use crate::web::parts::texts::{counted, grouped, short_text};
use crate::web::parts::times::duration;
use crate::web::visit::Visit;

/// Runs that are added up, the latest ones.
const RUNS: &str = "100";
/// Of these, those whose steps are added up: each is a query.
const RUNS_WITH_STEPS: usize = 20;
/// Rows of a table.
const ROWS: usize = 50;

pub(in crate::web) async fn page(visit: &Visit) -> Result<Page, ErrorReply> {
    let Period { value: period, ms, .. } = period_named(&visit.parameter("period"));
    let list = list_runs(&visit.hub, Some(&format!("since={period}&limit={RUNS}"))).await?;
    // if there are more runs, the figures are those of the time since the first one that is counted
    let is_cut = list.next.is_some();
    let first = list.runs.last().filter(|_| is_cut);
    let ms = first.map_or(ms, |first| visit.now.since_ms(first.created_at).max(1));
    let steps = steps_of(visit, &list.runs, period).await?;
    let body = html! {
        (period_tabs("/activity", period))
        @if list.runs.is_empty() { (empty_state("No run was started in this time.", "bue upload -f pipeline.bue")) }
        @else {
            p.hint {
                (counted(list.runs.len() as u64, "run", "runs")) " that were started in the last " (duration(ms))
                @if is_cut { "; there are more in this period, and the latest " (RUNS) " are counted" } "."
            }
            (card("pipelines", "By pipeline or script", &pipelines(&list.runs, ms)))
            (card("steps", "By step", &step_table(&steps, list.runs.len())))
        }
    };
    Ok(Page::new(Section::Overview, "Activity", body).under("Overview", "/"))
}

/// What the runs of a pipeline or script did.
#[derive(Debug, Default)]
struct Totals {
    runs: u64,
    failed_runs: u64,
    done: u64,
    waiting: u64,
    running: u64,
    failed: u64,
    /// Of runs that have ended.
    took_ms: u64,
    ended: u64,
}

impl Totals {
    fn add(&mut self, run: &RunView) {
        let counts = &run.counts;
        self.runs += 1;
        self.failed_runs += u64::from(run.state == RunState::Failed);
        self.done += counts.completed + counts.failed;
        self.waiting += counts.blocked + counts.available;
        self.running += counts.running;
        self.failed += counts.failed;
        if let Some(finished_at) = run.finished_at {
            self.took_ms += finished_at.since_ms(run.created_at);
            self.ended += 1;
        }
    }
}

fn pipelines(runs: &[RunView], ms: u64) -> Markup {
    let mut by_name: BTreeMap<(bool, &str), Totals> = BTreeMap::new();
    for run in runs {
        let key = match &run.pipeline {
            Some(pipeline) => (true, pipeline.name.as_str()),
            None => (false, run.name.as_str()),
        };
        by_name.entry(key).or_default().add(run);
    }
    let mut all: Vec<_> = by_name.into_iter().collect();
    all.sort_by_key(|(_, totals)| std::cmp::Reverse(totals.done));
    let columns = [
        column("pipeline or script"),
        number("runs", "Runs that were started in this time."),
        number("failed runs", "Of these, those that have ended with a failed job."),
        number("took", "The mean time of those that have ended, from their start to their end."),
        number("jobs done", "Jobs of these runs that have a result or failed for good."),
        number("a minute", "Jobs done, divided by the minutes of this time: the throughput."),
        number("waiting", "Jobs of these runs that have not started."),
        number("running", "Jobs of these runs that a worker has."),
        number("failed", "Jobs of these runs that failed for good."),
    ];
    let rows: Vec<_> =
        all.iter().take(ROWS).map(|((is_pipeline, name), totals)| row(*is_pipeline, name, totals, ms)).collect();
    html! { (table("Runs by pipeline or script, the busiest first", &columns, &rows)) (left_out(all.len())) (column_help(&columns)) }
}

fn row(is_pipeline: bool, name: &str, totals: &Totals, ms: u64) -> Vec<Markup> {
    let link = if is_pipeline { format!("/pipelines/{name}") } else { with_query("/runs", [("name", name)]) };
    let bad = |count: u64| html! { @if count > 0 { span.bad { (grouped(count)) } } @else { "0" } };
    vec![
        html! { a.row-link href=(link) { (short_text(name)) } },
        html! { (grouped(totals.runs)) },
        bad(totals.failed_runs),
        html! { @if let Some(mean) = totals.took_ms.checked_div(totals.ended) { (duration(mean)) } },
        html! { (grouped(totals.done)) },
        html! { (per_minute(totals.done, ms)) },
        html! { (grouped(totals.waiting)) },
        html! { (grouped(totals.running)) },
        bad(totals.failed),
    ]
}

/// `2.5`, with one digit after the point.
fn per_minute(count: u64, ms: u64) -> String {
    let tenths = u128::from(count) * 600_000 / u128::from(ms.max(1));
    let tenths = u64::try_from(tenths).unwrap_or(u64::MAX);
    format!("{}.{}", grouped(tenths / 10), tenths % 10)
}

/// A step of the latest runs, and the failures of its name in the period.
#[derive(Debug, Default)]
struct StepTotals {
    step: StepView,
    failures: u64,
}

async fn steps_of(visit: &Visit, runs: &[RunView], period: &str) -> Result<Vec<(String, StepTotals)>, ErrorReply> {
    let mut all: BTreeMap<String, StepTotals> = BTreeMap::new();
    for run in runs.iter().take(RUNS_WITH_STEPS) {
        // it may have been deleted since the list was read
        let steps = find_run(&visit.hub, run.id).await?.map(|run| run.steps).unwrap_or_default();
        steps.into_iter().for_each(|step| add_step(&mut all, &step));
    }
    let query = format!("group=1&since={period}&limit=100");
    for group in list_error_groups(&visit.hub, &query, visit.is_refresh).await?.groups {
        all.entry(group.step).or_default().failures += group.count;
    }
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_key(|(_, totals)| std::cmp::Reverse((totals.failures, totals.step.open(), totals.step.finished())));
    Ok(all)
}

fn add_step(all: &mut BTreeMap<String, StepTotals>, step: &StepView) {
    let sum = &mut all.entry(step.name.clone()).or_default().step;
    sum.blocked += step.blocked;
    sum.available += step.available;
    sum.running += step.running;
    sum.completed += step.completed;
    sum.failed += step.failed;
    sum.cancelled += step.cancelled;
    sum.attempts += step.attempts;
    sum.retries += step.retries;
    sum.pendings += step.pendings;
    sum.run_ms += step.run_ms;
}

fn step_table(steps: &[(String, StepTotals)], runs: usize) -> Markup {
    let columns = [
        column("step"),
        number("failures", "Jobs of steps with this name that failed for good in this time, in any run."),
        number("waiting", "Jobs that have not started, of the runs that are counted here."),
        number("running", "Jobs that a worker has."),
        number("done", "Jobs that have a result."),
        number("retries", "Attempts that failed and were made again."),
        number("pending", "Answers `pending`: the step asked to be called again later."),
        number("mean", "The mean time of an attempt, including the time it waited for others."),
    ];
    let rows: Vec<_> = steps.iter().take(ROWS).map(|(name, totals)| step_row(name, totals)).collect();
    html! {
        (table("Steps, those with the most failures first", &columns, &rows))
        (left_out(steps.len()))
        p.hint { "Apart from failures, these are the figures of the latest " (counted(runs.min(RUNS_WITH_STEPS) as u64, "run", "runs")) ". Steps of different scripts with the same name are added up." }
        (column_help(&columns))
    }
}

fn step_row(name: &str, StepTotals { step, failures }: &StepTotals) -> Vec<Markup> {
    let errors = with_query("/errors", [("step", name)]);
    vec![
        short_text(name),
        html! { @if *failures > 0 { a.bad href=(errors) { (grouped(*failures)) } } @else { "0" } },
        html! { (grouped(step.blocked + step.available)) },
        html! { (grouped(step.running)) },
        html! { (grouped(step.completed)) },
        html! { (grouped(step.retries)) },
        html! { (grouped(step.pendings)) },
        html! { @if let Some(mean) = step.run_ms.checked_div(step.attempts) { (duration(mean)) } },
    ]
}

fn left_out(count: usize) -> Markup {
    let hidden = count.saturating_sub(ROWS) as u64;
    html! { @if hidden > 0 { p.hint { (counted(hidden, "further row is", "further rows are")) " not shown." } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_one_digit_after_the_point() {
        assert_eq!([per_minute(5, 120_000), per_minute(0, 0), per_minute(1, 3_600_000)], ["2.5", "0.0", "0.0"]);
        assert!(per_minute(u64::MAX, 1).len() > 10);
    }
}
