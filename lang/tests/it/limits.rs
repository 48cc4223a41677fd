//! Large and hostile scripts get an answer with a bounded amount of work.

use bue_lang::{MAX_DIAGNOSTICS, MAX_NODES, MAX_SCRIPT};

use crate::common::{codes, compile};

/// Bytes of a text: with quadratic work, each would take minutes.
const LARGE: usize = 256 * 1024;

#[test]
fn any_repeated_text_gets_an_answer() {
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
    let plan = compile(&text).plan.expect("a plan");
    assert_eq!((plan.steps.len(), plan.nodes.len()), (10_000, 20_000));
}

#[test]
fn too_deeply_nested_loops_are_an_error() {
    let line = |depth: usize| format!("{}for x{depth} in l():\n", " ".repeat(depth));
    let text = format!("import python (l) x.py\n{}", (0..1_000).map(line).collect::<String>());
    assert!(codes(&text).contains(&"E0040"));
}

#[test]
fn thousands_of_unknown_names_take_bounded_time() {
    let known: String = (0..20_000).map(|at| format!("some_known_name_{at} = a\n")).collect();
    let unknown: String = (0..20_000).map(|at| format!("some_unkwown_name_{at}()\n")).collect();
    assert!(compile(&(known + &unknown)).plan.is_none());
}

#[test]
fn the_number_of_diagnostics_is_limited() {
    let diagnostics = compile(&"?\n".repeat(10 * MAX_DIAGNOSTICS)).diagnostics;
    assert_eq!(diagnostics.len(), MAX_DIAGNOSTICS + 1);
    assert_eq!(diagnostics.last().map(|diagnostic| diagnostic.code), Some("E0001"));
}

#[test]
fn a_script_that_is_too_large_is_refused() {
    assert_eq!(codes(&" ".repeat(MAX_SCRIPT + 1)), ["E0002"]);
}

#[test]
fn a_plan_of_too_many_jobs_is_refused() {
    let steps = "| a ".repeat(2_000);
    let text = format!("import python (a) x.py\np = {steps}\n{}", "p()\n".repeat(MAX_NODES as usize / 2_000 + 1));
    assert_eq!(codes(&text), ["E0041"]);
}

#[test]
fn repeated_code_that_makes_the_plan_too_large_is_refused() {
    let items: String = (0..1_000).map(|at| format!("f as a{at}, ")).collect();
    let calls: String = (0..1_000).map(|at| format!("a{at}()\n")).collect();
    let text = format!("import python ({items}) `{}`\n{calls}", "x = 1\n".repeat(20_000));
    assert_eq!(codes(&text), ["E0041"]);
}

#[test]
fn too_many_inherited_permissions_are_refused() {
    let lines: String = (0..200).map(|at| format!("!allow net host{at}.example\n")).collect();
    assert!(codes(&lines).contains(&"E0028"));
    let steps: String = (0..20_000)
        .map(|at| format!("!allow net host.example, secret s{}\nimport python (f as a{at}) x\n", at % 100))
        .collect();
    assert!(compile(&steps).diagnostics.len() <= MAX_DIAGNOSTICS + 1);
}
