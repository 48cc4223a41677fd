//! Scripts against the files their steps name.

use std::cell::RefCell;

use bue_lang::python::SyntaxProblem;
use bue_lang::{
    Diagnostic, FileContents, PackageProblem, PackageProblemKind, Position, Script, check_packages, check_scopes,
    check_sources, check_sql, compile, render,
};

const FILE: &str = "\
import helpers
def none(): pass
def one(a): pass
def two(a, b=1, *, c=2): pass
async def any(*a): pass
class Api:
    def get(self, a): pass
";

#[test]
fn functions_are_looked_up_in_their_file() {
    let items = "none, oen, Api.get as g, Api.put as p, helpers.x as x, Api as api";
    assert_eq!(
        messages(&format!("import python ({items}) steps.py")),
        [
            "E0051 1:22 there is no function `oen` for step `oen`",
            "E0051 1:41 there is no function `Api.put` for step `p`"
        ]
    );
}

#[test]
fn a_missing_file_is_reported_once() {
    let text = "import python (f, g) missing.py\nf()\ng()";
    assert_eq!(messages(text), ["E0050 1:22 there is no file `missing.py`"]);
}

#[test]
fn a_folder_cannot_be_the_source_of_python_or_sql() {
    assert_eq!(messages("import python (f) folder"), ["E0054 1:19 `folder` is not a text file"]);
    assert_eq!(messages("import sqlite3 (f) folder"), ["E0054 1:20 `folder` is not a text file"]);
    assert!(messages("import rust (f) folder").is_empty());
}

#[test]
fn mistakes_in_a_python_file_give_its_line() {
    let script = Script { path: "jobs/x.bue", text: "import python (f) broken.py" };
    let diagnostics = check(script.text);
    let [diagnostic] = diagnostics.as_slice() else { panic!("{diagnostics:?}") };
    assert_eq!((diagnostic.code, diagnostic.file.as_str()), ("E0052", "jobs/broken.py"));
    assert_eq!(diagnostic.position(), Position { line: 2, column: 7 });
    assert_eq!(diagnostic.used_at.as_ref().map(|label| label.start), Some(Position { line: 1, column: 19 }));
    let text = render(diagnostic, script, false);
    for part in ["jobs/broken.py:2:7", "2 | def f(:", "jobs/x.bue:1:19", "1 | import python (f) broken.py", "used here"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn mistakes_in_inline_python_are_shown_in_the_script() {
    for text in [
        "a:\n    python\n    f\n    `\n    def f():\n        return (\n    `\n",
        "a:\r\n    python\r\n    f\r\n    `\r\n    def f():\r\n        x = = 1\r\n    `\r\n",
    ] {
        let message = &messages(text)[0];
        let line: u32 = message
            .strip_prefix("E0052 ")
            .and_then(|rest| rest.split(':').next())
            .expect("a line")
            .parse()
            .expect("a number");
        assert!((6..=7).contains(&line), "{message}");
    }
    let message = &messages("a:\n    python\n    f\n    `\n    ü = 1; x = = 1\n    `\n")[0];
    assert!(message.starts_with("E0052 5:16 "), "{message}");
}

#[test]
fn the_number_of_inputs_must_fit_the_function() {
    let calls = "import python (none, one, two, any, Api.get as get) steps.py\n";
    let wrong = |call: &str| messages(&format!("{calls}{call}"));
    for valid in [
        "none()",
        "x = none()\none(x)\ntwo(x)\ntwo(x, x)\nany()\nany(x, x, x)\nget(x, x)",
        "p = none | one | two | any\np()",
        "for x in any():\n    one(x)",
    ] {
        assert!(wrong(valid).is_empty(), "{valid}: {:?}", wrong(valid));
    }
    assert_eq!(wrong("one()"), ["E0053 2:1 step `one` gets no input but takes 1"]);
    assert_eq!(wrong("x = any()\nnone(x)"), ["E0053 3:1 step `none` gets 1 input but takes none"]);
    assert_eq!(wrong("x = any()\ntwo(x, x, x)\ntwo(x, x, x)"), ["E0053 3:1 step `two` gets 3 inputs but takes 1 to 2"]);
    assert_eq!(wrong("p = any | none\np()"), ["E0053 3:1 step `none` gets 1 input but takes none"]);
    assert_eq!(wrong("for x in any():\n    get(x)"), ["E0053 3:5 step `get` gets 1 input but takes 2"]);
}

/// A step whose function has this signature, its `!with`, and a call of it.
fn keyword_messages(signature: &str, with: &str, call: &str) -> Vec<String> {
    let text = format!(
        "!scope a\nx:\n    python\n    f\n    `\n    {signature}\n        pass\n    `\n    !with {with}\n\
                        import python (any) steps.py\ni = any()\n{call}\n"
    );
    messages(&text)
}

#[test]
fn the_function_must_take_the_keyword_arguments() {
    for (signature, with, call) in [
        ("def f(a, b):", "b=1", "x(i)"),
        ("def f(a, b):", "a=1, b=2", "x()"),
        ("def f(a, *, size=1, mode):", "mode=\"fast\"", "x(i)"),
        ("def f(a, mut, size=1):", "size=2", "x(i)"),
        ("def f(*a, **options):", "anything=1", "x(i, i)"),
        ("@wraps\n    def f():", "anything=1", "x(i)"),
        ("f = g\n    def g():", "anything=1", "x(i)"),
    ] {
        let found = keyword_messages(signature, with, call);
        assert!(found.is_empty(), "{signature} {with} {call}: {found:?}");
    }
    for (signature, with, call, expected) in [
        ("def f(a, size=1):", "sise=2", "x(i)", "E0059 4:5 step `x` passes `sise`, which `f` does not take"),
        ("def f(a, b, /):", "b=1", "x(i, i)", "E0059 4:5 step `x` passes `b`, which `f` does not take"),
        ("def f(a, mut):", "mut=1", "x(i)", "E0059 4:5 step `x` passes `mut`, which `f` does not take"),
        ("def f(a, b=1):", "a=1", "x(i)", "E0059 12:1 step `x` gets `a` as an input and from its `!with`"),
        ("def f(a, b, c):", "b=1", "x(i)", "E0053 12:1 step `x` gets 1 input but takes 3"),
        ("def f(a, b):", "a=1", "x()", "E0053 12:1 step `x` gets no input but takes 2"),
    ] {
        assert_eq!(keyword_messages(signature, with, call), [expected], "{signature} {with} {call}");
    }
}

#[test]
fn every_path_is_read_once() {
    let text =
        "import python (one, two) steps.py\nimport python (any) steps.py\na:\n    python\n    none\n    steps.py\n";
    let paths = RefCell::new(Vec::new());
    let script = Script { path: "x.bue", text };
    let diagnostics = check_sources(script, &compile(script), |path| {
        paths.borrow_mut().push(path.to_owned());
        FileContents::Missing
    });
    assert_eq!(paths.into_inner(), ["steps.py"]);
    assert_eq!(diagnostics.len(), 1, "a missing file is reported once");
}

#[test]
fn mistakes_in_sql_are_shown_where_they_stand() {
    let text = "import sqlite3 (t as a, t as b) x.sql\nc:\n    sqlite3\n    t\n    `\n    select 1;\n    selct 2\n    `\n\
                import sqlite3 (t as d) x.sql\nimport python (f) steps.py\n";
    // any parser will do: this one rejects the word `selct`
    let parse = |sql: &str| match sql.find("selct") {
        None => Ok(()),
        Some(at) => Err(SyntaxProblem {
            line: u32::try_from(sql[..at].matches('\n').count() + 1).expect("few lines"),
            column: 1,
            message: "near \"selct\"".into(),
        }),
    };
    let script = Script { path: "jobs/x.bue", text };
    let files = |path: &str| if path == "x.sql" { FileContents::Text("selct 1".into()) } else { FileContents::Missing };
    let diagnostics = check_sql(script, &compile(script), files, parse);
    let positions: Vec<String> = diagnostics
        .iter()
        .map(|one| format!("{} {}:{}:{}", one.code, one.file, one.position().line, one.position().column))
        .collect();
    assert_eq!(positions, ["E0055 jobs/x.sql:1:1", "E0055 jobs/x.bue:7:5"]);
}

fn check(text: &str) -> Vec<Diagnostic> {
    let script = Script { path: "jobs/x.bue", text };
    check_sources(script, &compile(script), |path| match path {
        "steps.py" => FileContents::Text(FILE.into()),
        "broken.py" => FileContents::Text("x = 1\ndef f(:\n".into()),
        "folder" => FileContents::Opaque,
        _ => FileContents::Missing,
    })
}

fn messages(text: &str) -> Vec<String> {
    let line =
        |one: &Diagnostic| format!("{} {}:{} {}", one.code, one.position().line, one.position().column, one.message);
    check(text).iter().map(line).collect()
}

#[test]
fn a_scope_that_no_worker_serves_is_reported_once_with_the_nearest_one() {
    let text = "import python (a !scope prodution, b !scope prodution, c !scope gpu, d, unused !scope other) x.py\n\
                a()\nb()\nc()\nd()\n";
    let script = Script { path: "x.bue", text };
    let served = ["production".to_owned(), "default".to_owned()];
    let diagnostics = check_scopes(script, &compile(script), &served);
    let reported: Vec<_> =
        diagnostics.iter().map(|one| (one.code, one.position().column, one.hint.as_deref())).collect();
    assert_eq!(
        reported,
        [
            ("W0012", 16, Some("did you mean `!scope production`?")),
            ("W0012", 56, Some("start a worker that does, `bue worker -s gpu`, or use one of `production`, `default`")),
        ]
    );
}

#[test]
fn problems_with_packages_are_reported_once_at_the_first_step_that_has_them() {
    let text = "import python (f, g) a.py\nimport sqlite3 (q) b.sql\nimport python (unused) a.py\nf()\ng()\nq()";
    let script = Script { path: "x.bue", text };
    let compiled = compile(script);
    let reported_code = |kind: PackageProblemKind| {
        let problem = PackageProblem { kind, message: "problem".to_owned(), hint: "type this".to_owned() };
        let diagnostics = check_packages(script, &compiled, |step| {
            assert!(["f", "g"].contains(&step.name.as_str()), "{}", step.name);
            vec![problem.clone()]
        });
        let [diagnostic] = diagnostics.as_slice() else { panic!("{diagnostics:?}") };
        let position = diagnostic.position();
        assert_eq!((position.line, position.column, diagnostic.hint.as_deref()), (1, 16, Some("type this")));
        diagnostic.code
    };
    assert_eq!(reported_code(PackageProblemKind::NotLocked), "E0060");
    assert_eq!(reported_code(PackageProblemKind::CannotRun), "E0061");
    assert_eq!(reported_code(PackageProblemKind::InvalidRequirements), "E0062");
}
