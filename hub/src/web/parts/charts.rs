//! Small charts, as SVG that is ready when the page is: lines over time, and bars of shares.

use maud::{Markup, html};

/// The size of a sparkline, in its own units.
const WIDTH: u64 = 240;
const HEIGHT: u64 = 40;

/// A line through values at equal distances; a missing value is a gap. Its scale begins at zero. `label` says what it shows.
pub(in crate::web) fn sparkline(values: &[Option<u64>], class: &str, label: &str) -> Markup {
    let top = values.iter().flatten().copied().max().unwrap_or(0).max(1);
    let last = values.iter().rev().flatten().next().copied().unwrap_or(0);
    let label = format!("{label}: now {last}, at most {}", values.iter().flatten().max().unwrap_or(&0));
    let (lines, areas): (Vec<_>, Vec<_>) = segments(values, top).into_iter().map(|points| paths(&points)).unzip();
    html! {
        svg class={ "spark " (class) } viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img"
            aria-label=(label) {
            title { (label) }
            path.area d=(areas.join("")) {}
            path.line d=(lines.join("")) {}
        }
    }
}

/// The points of each part of the line that has no gap.
fn segments(values: &[Option<u64>], top: u64) -> Vec<Vec<(u64, u64)>> {
    let steps = (values.len() as u64).saturating_sub(1).max(1);
    let point = |index: usize, value: u64| {
        let height = u128::from(value) * u128::from(HEIGHT - 2) / u128::from(top);
        (index as u64 * WIDTH / steps, HEIGHT - 1 - u64::try_from(height).unwrap_or(0))
    };
    let mut segments = vec![Vec::new()];
    for (index, value) in values.iter().enumerate() {
        match (value, segments.last_mut()) {
            (Some(value), Some(segment)) => segment.push(point(index, *value)),
            (None, Some(segment)) if !segment.is_empty() => segments.push(Vec::new()),
            _ => {}
        }
    }
    segments
}

/// The line, and the area under it.
fn paths(points: &[(u64, u64)]) -> (String, String) {
    let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) else { return Default::default() };
    let corners: Vec<_> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
    // a single point is a short line, so that it can be seen
    let end = if first == last { "h2" } else { "" };
    let line = format!("M{}{end}", corners.join("L"));
    (line, format!("M{first},{HEIGHT}L{}L{last},{HEIGHT}Z", corners.join("L")))
}

/// A horizontal bar for a share of a limit. `label` says what it shows.
pub(in crate::web) fn share_bar(part: u64, whole: u64, label: &str) -> Markup {
    let width = u128::from(part.min(whole)) * 1_000 / u128::from(whole.max(1));
    let is_high = u128::from(part) * 10 >= u128::from(whole) * 9;
    html! {
        svg class={ "bar" @if is_high { " high" } } viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label=(label) {
            title { (label) }
            rect.running width=(u64::try_from(width).unwrap_or(0)) height="10" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_gaps_and_stays_inside() {
        let markup = sparkline(&[Some(0), Some(10), None, Some(5)], "failed", "failed jobs").into_string();
        assert!(markup.contains("failed jobs: now 5, at most 10"), "{markup}");
        assert!(markup.contains("M0,39L80,1M240,20h2"), "{markup}");
        sparkline(&[], "x", "nothing");
        sparkline(&[Some(u64::MAX)], "x", "much");
        share_bar(u64::MAX, 0, "no limit");
    }
}
