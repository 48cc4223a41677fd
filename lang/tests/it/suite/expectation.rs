//! What a program gets, as the suite's files write it.

use std::fmt::Write as _;

use bue_lang::{Compiled, Diagnostic, Label, Script, compile, plan_text};

use super::case::{ANNOTATION, Case, PLAN};

/// The text that the case should have in its file.
pub(crate) fn case_text(case: &Case) -> String {
    let program = case.program();
    let compiled = compile(Script { path: "x.bue", text: &program });
    let mut text = format!("{}\n", case.header());
    for (at, line) in case.lines.iter().enumerate() {
        text.push_str(line);
        text.push('\n');
        annotations(&mut text, &compiled, |label| label.start.line as usize == at + 1, at + 1);
    }
    annotations(&mut text, &compiled, |label| label.start.line as usize > case.lines.len(), 0);
    if let Some(plan) = &compiled.plan {
        let _ = write!(text, "{PLAN}\n{}", plan_text(plan));
    }
    text
}

/// The diagnostics whose first label is chosen, below line `above`.
fn annotations(text: &mut String, compiled: &Compiled, chosen: impl Fn(&Label) -> bool, above: usize) {
    for diagnostic in &compiled.diagnostics {
        if diagnostic.labels.first().is_some_and(&chosen) {
            annotation(text, diagnostic, above);
        }
    }
}

/// The diagnostic, then its further labels and its hint.
fn annotation(text: &mut String, diagnostic: &Diagnostic, above: usize) {
    for (at, label) in diagnostic.labels.iter().enumerate() {
        let _ = match at {
            0 if label.text.is_empty() => {
                writeln!(text, "{ANNOTATION} {} {} {}", diagnostic.code, range(label, above), diagnostic.message)
            }
            0 => writeln!(
                text,
                "{ANNOTATION} {} {} {} ({})",
                diagnostic.code,
                range(label, above),
                diagnostic.message,
                label.text
            ),
            _ => writeln!(text, "{ANNOTATION}   {} {}", range(label, 0), label.text),
        };
    }
    if let Some(hint) = &diagnostic.hint {
        let _ = writeln!(text, "{ANNOTATION}   = {hint}");
    }
}

/// `3-5` for columns of the line above, `2:3-5` for those of another line, `2:3-4:1` for several lines.
fn range(label: &Label, above: usize) -> String {
    let (start, end) = (label.start, label.end);
    let from = if start.line as usize == above { String::new() } else { format!("{}:", start.line) };
    let to = if start.line == end.line { String::new() } else { format!("{}:", end.line) };
    format!("{from}{}-{to}{}", start.column, end.column)
}
