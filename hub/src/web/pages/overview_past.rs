//! The overview as it was: a recorded sample of the history, beside the next one and the present.

use bue_model::Timestamp;
use bue_model::history::{HistorySample, HistoryView};
use maud::{Markup, html};

use crate::api::records::history;
use crate::http::reply::ErrorReply;
use crate::web::layout::{Page, Section};
use crate::web::links::api_query;
use crate::web::parts::figures::empty_state;
use crate::web::parts::forms::notice;
use crate::web::parts::samples::{SAMPLE_FIGURES, change};
use crate::web::parts::tables::{Column, column, number, table};
use crate::web::parts::texts::grouped;
use crate::web::parts::times::{exact, relative};
use crate::web::visit::Visit;

const MINUTE: i64 = 60_000;
/// Up to these ages, the time around a sample that is read: some hundred samples, whose distance grows with their age.
const WINDOWS: [(i64, i64); 2] = [(60 * MINUTE, 30 * MINUTE), (24 * 60 * MINUTE, 120 * MINUTE)];
/// The same for older ones.
const WIDEST: i64 = 12 * 60 * MINUTE;
/// Samples in the table, before and after the one that is shown.
const AROUND: usize = 20;

/// Shows the sample of a time: milliseconds since 1970, a date and time, or an age such as `2h`.
pub(in crate::web) async fn page(visit: &Visit, at: &str) -> Result<Page, ErrorReply> {
    let (around, problem) = match time_of(visit, at).await {
        Ok(at) => (read_around(visit, at).await?, None),
        Err(error) if error.status().is_client_error() => (None, Some(error)),
        Err(error) => return Err(error),
    };
    let live = history(&visit.hub, Some("from=2m")).await?.samples.last().copied();
    let body = html! {
        @if let Some(problem) = &problem { (notice("bad", problem.message())) }
        @match &around {
            Some(around) => (shown(visit, around, live)),
            None => (empty_state("There is no sample of this time: no hub was running, or it is more than a week ago.", "")),
        }
        (time_form(at))
    };
    let page = Page::new(Section::Overview, "Overview, as it was", body).under("Overview, now", "/");
    Ok(match problem {
        Some(problem) => page.with_status(problem.status()),
        None => page,
    })
}

/// The samples around one of them.
struct Around {
    samples: Vec<HistorySample>,
    /// The position of the sample that is shown.
    chosen: usize,
}

impl Around {
    /// Chooses the last sample that is not later than a time, else the first one.
    fn of(history: HistoryView, at: Timestamp) -> Option<Self> {
        let chosen = history.samples.partition_point(|sample| sample.at <= at).saturating_sub(1);
        (!history.samples.is_empty()).then_some(Self { samples: history.samples, chosen })
    }

    fn sample(&self, distance: isize) -> Option<&HistorySample> {
        self.samples.get(self.chosen.checked_add_signed(distance)?)
    }
}

/// Reads a time as `/v1/history` does.
async fn time_of(visit: &Visit, at: &str) -> Result<Timestamp, ErrorReply> {
    Ok(history(&visit.hub, Some(&api_query([("from", at)]))).await?.from)
}

async fn read_around(visit: &Visit, at: Timestamp) -> Result<Option<Around>, ErrorReply> {
    let age = visit.now.0.saturating_sub(at.0);
    let window = WINDOWS.iter().find(|(limit, _)| age <= *limit).map_or(WIDEST, |(_, window)| *window);
    let to = at.0.saturating_add(window).min(visit.now.0);
    let from = at.0.saturating_sub(window).min(to);
    let samples = history(&visit.hub, Some(&format!("from={from}&to={to}"))).await?;
    Ok(Around::of(samples, at))
}

fn path_at(at: Timestamp) -> String {
    format!("/?at={}", at.0)
}

fn shown(visit: &Visit, around: &Around, live: Option<HistorySample>) -> Markup {
    let Some(then) = around.sample(0) else { return html! {} };
    html! {
        section.card.past aria-label="The time that is shown" {
            p { strong { "Viewing " (exact(then.at)) } ", " (relative(visit.now, then.at)) }
            nav.buttons aria-label="Samples" {
                @if let Some(before) = around.sample(-1) { a.button rel="prev" href=(path_at(before.at)) { "« earlier" } }
                @if let Some(after) = around.sample(1) { a.button rel="next" href=(path_at(after.at)) { "later »" } }
                a.button.primary href="/" { "Back to now" }
            }
        }
        (figures_table(then, around.sample(1), live.as_ref()))
        section #samples { h2 { "Samples around it" } (samples_table(around)) }
    }
}

fn figures_table(then: &HistorySample, next: Option<&HistorySample>, live: Option<&HistorySample>) -> Markup {
    let columns = [
        column("figure"),
        number("then", "At the time that is shown."),
        number("until the next sample", "The change to the sample after it."),
        number("now", "In the latest sample."),
        number("until now", "The change to the latest sample."),
    ];
    let rows: Vec<_> = SAMPLE_FIGURES
        .iter()
        .map(|figure| {
            let value = |sample: &HistorySample| (figure.value)(sample);
            let to = |other: Option<&HistorySample>| match other {
                Some(other) => change(value(then), value(other), figure.meaning),
                None => html! { span.hint { "none" } },
            };
            vec![
                html! { (figure.name) },
                html! { strong { (grouped(value(then))) } },
                to(next),
                html! { @if let Some(live) = live { (grouped(value(live))) } },
                to(live),
            ]
        })
        .collect();
    html! { section #then { (table("Figures then and now", &columns, &rows)) } }
}

fn samples_table(around: &Around) -> Markup {
    let (first, last) = (around.chosen.saturating_sub(AROUND), around.chosen.saturating_add(AROUND));
    let columns: Vec<Column> = std::iter::once(column("time"))
        .chain(SAMPLE_FIGURES.iter().map(|figure| number(figure.name, figure.explanation)))
        .collect();
    let shown = around.samples.iter().enumerate().filter(|(index, _)| (first..=last).contains(index));
    let rows: Vec<_> = shown
        .map(|(index, sample)| {
            let time = html! {
                a.row-link href=(path_at(sample.at)) aria-current=[(index == around.chosen).then_some("true")] { (exact(sample.at)) }
            };
            let cells = SAMPLE_FIGURES.iter().map(|figure| html! { (grouped((figure.value)(sample))) });
            std::iter::once(time).chain(cells).collect()
        })
        .collect();
    let period = around.samples.first().zip(around.samples.last());
    html! {
        (table("Samples, the oldest first", &columns, &rows))
        @if let Some((from, to)) = period {
            p.hint { a href=(format!("/v1/history?from={}&to={}", from.at.0, to.at.0)) download="history.json" { "All samples around it as JSON" } }
        }
    }
}

fn time_form(at: &str) -> Markup {
    html! {
        form.filters method="get" action="/" {
            label.field { span { "Go to a time" } input name="at" value=(at) placeholder="2h, or 2026-11-01T06:00:00Z" maxlength="100" spellcheck="false" autocomplete="off"; }
            div.field { button type="submit" { "Show" } }
        }
        p.hint { "The hub keeps a sample every ten seconds for an hour, every minute for a day, and every ten minutes for a week. Jobs and logs are always those of now." }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_of_a_time_is_the_last_one_before_it() {
        let samples = [10, 20, 30].map(|at| HistorySample { at: Timestamp(at), ..HistorySample::default() });
        let history = HistoryView { samples: samples.to_vec(), ..HistoryView::default() };
        let times = |at| {
            let around = Around::of(history.clone(), Timestamp(at)).expect("samples");
            [-1, 0, 1].map(|distance| around.sample(distance).map_or(0, |sample| sample.at.0))
        };
        assert_eq!(times(5), [0, 10, 20]);
        assert_eq!(times(20), [10, 20, 30]);
        assert_eq!(times(29), [10, 20, 30]);
        assert_eq!(times(i64::MAX), [20, 30, 0]);
        assert!(Around::of(HistoryView::default(), Timestamp(1)).is_none());
    }
}
