//! Joins lines: indentation by depth, comments with the lines they belong to.

/// A line without its indentation.
pub(super) struct Line {
    /// Blank lines in front.
    pub(super) blank: usize,
    pub(super) kind: LineKind,
    pub(super) text: String,
}

/// What a line is.
#[derive(Clone, Copy)]
pub(super) enum LineKind {
    /// Tokens; `width` is the number of bytes they were indented by.
    Code { depth: usize, width: usize },
    /// A comment alone on its line.
    Comment { width: usize },
}

/// The text of all lines.
pub(super) fn joined(lines: &[Line], unit: &str) -> String {
    let mut text = String::new();
    for (line, depth) in lines.iter().zip(depths(lines)) {
        text.push_str(&"\n".repeat(line.blank));
        text.push_str(&unit.repeat(depth));
        text.push_str(line.text.trim_end());
        text.push('\n');
    }
    text
}

fn depths(lines: &[Line]) -> Vec<usize> {
    let next = depths_after(lines);
    let mut before = (0, 0);
    lines
        .iter()
        .zip(next)
        .map(|(line, next)| match line.kind {
            LineKind::Code { depth, width } => {
                before = (depth, width);
                depth
            }
            LineKind::Comment { width } => depth_of_comment(width, before, next),
        })
        .collect()
}

/// A comment belongs to the line below it; after the last line of a block, and indented like it, to that line.
fn depth_of_comment(width: usize, (depth, line_width): (usize, usize), next: usize) -> usize {
    if depth > next && width >= line_width { depth } else { next }
}

/// For each line, the depth of the next line of code; 0 for the last one.
fn depths_after(lines: &[Line]) -> Vec<usize> {
    let mut next = 0;
    let mut depths: Vec<usize> = lines
        .iter()
        .rev()
        .map(|line| {
            let after = next;
            if let LineKind::Code { depth, .. } = line.kind {
                next = depth;
            }
            after
        })
        .collect();
    depths.reverse();
    depths
}
