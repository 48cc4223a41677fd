//! When things ran: a row for each, on a common axis of time. Where nothing ran for long, the axis is folded, so that a retry after a
//! night does not squeeze everything else.

use bue_model::Timestamp;
use maud::{Markup, html};

use crate::web::parts::texts::visible;
use crate::web::parts::times::{duration, exact};

/// Sizes in pixels.
const LABEL_WIDTH: f64 = 190.0;
const AXIS_WIDTH: f64 = 800.0;
const ROW_HEIGHT: f64 = 20.0;
const GAP_WIDTH: f64 = 46.0;
const TOP: f64 = 22.0;
/// Characters of a label.
const MAX_LABEL: usize = 26;
/// A gap is folded if it is longer than this part of the time in which something ran.
const FOLDED_PART: i64 = 4;
/// Gaps that are folded. Beyond that, gaps are as long as they are.
const MAX_GAPS: usize = 8;

/// Something that ran.
pub(in crate::web) struct Bar {
    pub(in crate::web) label: String,
    /// Empty for nowhere.
    pub(in crate::web) link: String,
    pub(in crate::web) from: Timestamp,
    pub(in crate::web) to: Timestamp,
    /// The class of its colour: a state.
    pub(in crate::web) class: &'static str,
}

/// A time in which something ran, and where it is on the axis.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Segment {
    from: i64,
    to: i64,
    x: f64,
}

/// The axis of time.
struct Axis {
    segments: Vec<Segment>,
    /// Pixels a millisecond.
    scale: f64,
}

/// Draws bars in their order.
pub(in crate::web) fn gantt(bars: &[Bar], label: &str) -> Markup {
    let axis = Axis::of(bars);
    let height = TOP + float(bars.len()) * ROW_HEIGHT + 8.0;
    let width = LABEL_WIDTH + AXIS_WIDTH + 10.0;
    html! {
        div.scroll.picture tabindex="0" role="region" aria-label=(label) {
            svg.gantt width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) role="group" aria-label=(label) {
                (axis.drawn(height))
                @for (row, bar) in bars.iter().enumerate() { (drawn(bar, &axis, TOP + float(row) * ROW_HEIGHT)) }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a chart has at most some hundred rows")]
fn float(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a chart, rounded to pixels")]
fn ms(number: i64) -> f64 {
    number as f64
}

fn drawn(bar: &Bar, axis: &Axis, y: f64) -> Markup {
    let (from, to) = (axis.x_of(bar.from.0), axis.x_of(bar.to.0));
    let took = duration(bar.to.since_ms(bar.from));
    let title = format!("{}: {} from {}, {took}", bar.label, bar.class, exact(bar.from));
    let label: String = bar.label.chars().take(MAX_LABEL).collect();
    // a bar that is thinner than a pixel cannot be seen
    let width = f64::max(to - from, 2.0);
    let shape = html! {
        title { (visible(&title)) }
        text x="4" y=(y + 14.0) { (visible(&label)) }
        rect class={ "attempt " (bar.class) } x=(from) y=(y + 3.0) width=(width) height="13" rx="2" {}
    };
    html! {
        @if bar.link.is_empty() { g { (shape) } }
        @else { a href=(bar.link) aria-label=(visible(&title)) { (shape) } }
    }
}

impl Axis {
    fn of(bars: &[Bar]) -> Self {
        let mut spans: Vec<(i64, i64)> = bars.iter().map(|bar| (bar.from.0, bar.to.0.max(bar.from.0))).collect();
        spans.sort_unstable();
        let busy = merged(&spans, 0);
        let total: i64 = busy.iter().map(|(from, to)| to.saturating_sub(*from)).fold(0, i64::saturating_add);
        let longest = (total / FOLDED_PART).max(1_000);
        let mut parts = merged(&spans, longest);
        if parts.len() > MAX_GAPS + 1 {
            parts = merged(&spans, i64::MAX);
        }
        let shown: i64 = parts.iter().map(|(from, to)| to.saturating_sub(*from)).fold(0, i64::saturating_add);
        let gaps = float(parts.len().saturating_sub(1));
        let scale = (AXIS_WIDTH - gaps * GAP_WIDTH) / f64::max(ms(shown), 1.0);
        let mut x = LABEL_WIDTH;
        let segment = |(from, to): (i64, i64)| {
            let segment = Segment { from, to, x };
            x += ms(to.saturating_sub(from)) * scale + GAP_WIDTH;
            segment
        };
        Self { segments: parts.into_iter().map(segment).collect(), scale }
    }

    /// Where a time is. A time in a gap is at its beginning.
    fn x_of(&self, at: i64) -> f64 {
        let segment = self.segments.iter().rev().find(|segment| segment.from <= at).or(self.segments.first());
        segment.map_or(LABEL_WIDTH, |one| one.x + ms(at.clamp(one.from, one.to).saturating_sub(one.from)) * self.scale)
    }

    /// The times at which segments begin, and the gaps between them.
    fn drawn(&self, height: f64) -> Markup {
        let gaps = self.segments.iter().zip(self.segments.iter().skip(1));
        let gaps = gaps.map(|(one, next)| {
            (one.x + ms(one.to.saturating_sub(one.from)) * self.scale, next.from.saturating_sub(one.to))
        });
        let first = self.segments.first().map(|segment| exact(Timestamp(segment.from)));
        html! {
            @if let Some(first) = first { text.axis x=(LABEL_WIDTH) y="13" { (first) } }
            @for (x, length) in gaps {
                g {
                    title { "nothing ran for " (duration(u64::try_from(length).unwrap_or(0))) }
                    rect.gap x=(x + 3.0) y="0" width=(GAP_WIDTH - 6.0) height=(height) {}
                    text.axis x=(x + 5.0) y="13" { "// " (short(length)) }
                }
            }
        }
    }
}

/// The first unit of a duration: `2 h`.
fn short(length: i64) -> String {
    let text = duration(u64::try_from(length).unwrap_or(0));
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Joins spans that overlap, or are at most `gap` apart. The spans are sorted.
fn merged(spans: &[(i64, i64)], gap: i64) -> Vec<(i64, i64)> {
    let mut parts: Vec<(i64, i64)> = Vec::new();
    for (from, to) in spans {
        match parts.last_mut() {
            Some((_, end)) if *from <= end.saturating_add(gap) => *end = (*end).max(*to),
            _ => parts.push((*from, *to)),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(from: i64, to: i64) -> Bar {
        Bar {
            label: "<b>\u{202e}".to_owned(),
            link: String::new(),
            from: Timestamp(from),
            to: Timestamp(to),
            class: "failed",
        }
    }

    #[test]
    fn long_gaps_are_folded_and_short_ones_are_not() {
        let hour = 3_600_000;
        let bars = [bar(0, 2_000), bar(2_500, 4_000), bar(9 * hour, 9 * hour + 4_000)];
        let axis = Axis::of(&bars);
        assert_eq!(axis.segments.len(), 2);
        assert!(axis.x_of(4_000) > LABEL_WIDTH + 300.0, "the first part has its half: {}", axis.x_of(4_000));
        assert!((axis.x_of(9 * hour + 4_000) - LABEL_WIDTH - AXIS_WIDTH).abs() < 1.0);
        let markup = gantt(&bars, "jobs").into_string();
        assert!(markup.contains("nothing ran for 8 h 59 min") && markup.contains("// 8 h"), "{markup}");
        assert!(!markup.contains("<b>") && !markup.contains('\u{202e}'), "{markup}");
    }

    #[test]
    fn any_times_can_be_drawn() {
        for bars in [vec![], vec![bar(0, 0)], vec![bar(i64::MIN, i64::MAX)], vec![bar(5, 1)]] {
            let markup = gantt(&bars, "jobs").into_string();
            assert!(!markup.contains("NaN") && !markup.contains("inf"), "{markup}");
        }
        let many: Vec<_> = (0..200).map(|index| bar(index * 1_000_000, index * 1_000_000 + 10)).collect();
        assert_eq!(Axis::of(&many).segments.len(), 1, "too many gaps to fold");
    }
}
