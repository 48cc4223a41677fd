//! Large and hostile scripts end in an answer, and in bounded work.

use bue_lang::{MAX_DIAGNOSTICS, MAX_NODES, MAX_SCRIPT};

use crate::common::{codes, compile};

/// Each would take minutes if every character were looked at once for every other one.
const LARGE: usize = 256 * 1024;

#[test]
fn much_of_anything_ends_in_an_answer() {
    for (head, piece) in [
        ("p", "("),
        ("p = ", "("),
        ("", "["),
        ("", "p("),
        ("f(", "x,"),
        ("f(", "("),
        ("p = (", "a |"),
        ("p = ", "a|"),
        ("", "`"),
        ("", "` "),
        ("", "`` ` "),
        ("", "```` ```"),
        ("", "'"),
        ("", "\""),
        ("", "' \""),
        ("", "#"),
        ("", "\n"),
        ("", "\r"),
        ("", " "),
        ("", "\t"),
        ("", " \n"),
        ("", "a:\n"),
        ("", "a:\n    python\n"),
        ("", "a\n"),
        ("a:\n", "    x\n"),
        ("", "!"),
        ("", "!\n"),
        ("", "$\n"),
        ("", "!9\n"),
        ("!timeout ", "("),
        ("!timeout ", "-"),
        ("!timeout ", "2**"),
        ("!timeout ", "9"),
        ("!timeout ", "1+"),
        ("!allow ", "net a,"),
        ("!requires ", "a,"),
        ("", "import python (f) x\n"),
        ("import python (", "f as a,"),
        ("import python (", "f !9 !9"),
        ("import ", "python "),
        ("import python ", "("),
        ("", "for x in p():\n"),
        ("", "for "),
        ("", "r = p()\n"),
        ("", "r = [p(x) for x in p()]\n"),
        ("", "é"),
        ("", "日本 "),
        ("{", "{\"a\":"),
        ("", "-"),
        ("", "."),
        ("", "a.b\n"),
        ("", "TAB = '\t'\n"),
        ("", "f(a\n"),
        ("", "p = (a\n"),
        ("", "x = [f(\n"),
        ("", "\u{0}"),
        ("", ")\n"),
        ("", "import (\n"),
    ] {
        let text = format!("{head}{}", piece.repeat(LARGE / piece.len()));
        let compiled = compile(&text);
        assert!(compiled.diagnostics.len() <= MAX_DIAGNOSTICS + 1, "{head}{piece}");
    }
}

#[test]
fn a_megabyte_of_steps_pipes_and_calls_is_a_plan() {
    let part = |at: usize| {
        format!(
            "!priority {at}\nstep {at}:  # one\n    python\n    f\n    `\n    def f(x):\n        return x\n    `\np{at} = step {at} | step {at}\nr{at} = p{at}()\n"
        )
    };
    let text: String = (0..10_000).map(part).collect();
    assert!(text.len() > 1024 * 1024);
    let plan = compile(&text).plan.expect("no mistake");
    assert_eq!((plan.steps.len(), plan.nodes.len()), (10_000, 20_000));
}

#[test]
fn deeper_and_deeper_loops_end_in_an_error() {
    let line = |depth: usize| format!("{}for x{depth} in l():\n", " ".repeat(depth));
    let text = format!("import python (l) x.py\n{}", (0..1_000).map(line).collect::<String>());
    assert!(codes(&text).contains(&"E0040"));
}

#[test]
fn unknown_names_by_the_thousand_cost_no_more_than_they_are_worth() {
    let known: String = (0..20_000).map(|at| format!("some_known_name_{at} = a\n")).collect();
    let unknown: String = (0..20_000).map(|at| format!("some_unkwown_name_{at}()\n")).collect();
    assert!(compile(&(known + &unknown)).plan.is_none());
}

#[test]
fn after_many_diagnostics_the_rest_is_not_shown() {
    let found = compile(&"?\n".repeat(10 * MAX_DIAGNOSTICS)).diagnostics;
    assert_eq!(found.len(), MAX_DIAGNOSTICS + 1);
    assert_eq!(found.last().map(|diagnostic| diagnostic.code), Some("E0001"));
}

#[test]
fn a_script_too_large_is_not_read() {
    assert_eq!(codes(&" ".repeat(MAX_SCRIPT + 1)), ["E0002"]);
}

#[test]
fn a_plan_of_too_many_jobs_is_refused() {
    let steps = "| a ".repeat(2_000);
    let text = format!("import python (a) x.py\np = {steps}\n{}", "p()\n".repeat(MAX_NODES as usize / 2_000 + 1));
    assert_eq!(codes(&text), ["E0041"]);
}

#[test]
fn the_same_code_said_often_is_refused() {
    let items: String = (0..1_000).map(|at| format!("f as a{at}, ")).collect();
    let calls: String = (0..1_000).map(|at| format!("a{at}()\n")).collect();
    let text = format!("import python ({items}) `{}`\n{calls}", "x = 1\n".repeat(20_000));
    assert_eq!(codes(&text), ["E0041"]);
}

#[test]
fn settings_that_pile_up_are_refused() {
    let lines: String = (0..200).map(|at| format!("!allow net host{at}.example\n")).collect();
    assert!(codes(&lines).contains(&"E0028"));
    let steps: String = (0..20_000)
        .map(|at| format!("!allow net host.example, secret s{}\nimport python (f as a{at}) x\n", at % 100))
        .collect();
    assert!(compile(&steps).diagnostics.len() <= MAX_DIAGNOSTICS + 1);
}
