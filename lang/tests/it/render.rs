//! Diagnostics as people read them.

use bue_lang::{Script, compile, render};

fn rendered(text: &str) -> String {
    let script = Script { path: "a.bue", text };
    compile(script).diagnostics.iter().map(|diagnostic| render(diagnostic, script, false) + "\n").collect()
}

/// Asserts that the marks are under the text that they refer to.
fn marked(text: &str, wrong: &str) {
    let shown = rendered(text);
    let lines: Vec<&str> = shown.lines().collect();
    let at = lines.iter().rposition(|line| line.contains('^')).expect("marks");
    let width = |text: &str| text.chars().map(|char| if char > '\u{2e80}' { 2 } else { 1 }).sum::<usize>();
    let above = lines[at - 1];
    let start = width(&above[..above.find(wrong).expect("the line")]);
    assert_eq!(lines[at].find('^'), Some(start), "{shown}");
    assert_eq!(lines[at].matches('^').count(), width(wrong), "{shown}");
}

#[test]
fn marks_stand_under_tabs_wide_letters_and_long_lines() {
    marked("p(zzz)", "zzz");
    marked("x = nothing()\r\n", "nothing");
    marked("x =\tnothing()", "nothing");
    marked("日本 = nothing()", "nothing");
    marked("größe = 日本()", "日本");
    marked(&format!("{}nothing()", " ".repeat(10_000)), "nothing");
    marked(&format!("x = nothing({}", "a, ".repeat(4_000)), "(");
    marked(&format!("x{} = nothing()", "x".repeat(100_000)), "nothing");
}

#[test]
fn a_diagnostic_reads_well_without_colour() {
    let shown = rendered("a:\n    ruby\n    f\n    a.rb\n");
    let expected = "\
error[E0012]: there is no language `ruby`
 --> a.bue:2:5
  |
2 |     ruby
  |     ^^^^
  |
  = help: languages are python, sqlite3, postgres, rust, go, c, cpp, wasm
";
    assert_eq!(shown, expected);
}
