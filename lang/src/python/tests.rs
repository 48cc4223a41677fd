use super::functions;
use super::module::{Lookup, Module};

fn module(source: &str) -> Module {
    functions(source).expect("Python")
}

fn inputs(source: &str, name: &str) -> (u32, Option<u32>) {
    match module(source).lookup(name) {
        Lookup::Found(function) => (function.min_inputs, function.max_inputs),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn inputs_are_counted() {
    for (source, expected) in [
        ("def f(): pass", (0, Some(0))),
        ("def f(a, b=1): pass", (1, Some(2))),
        ("def f(*a): pass", (0, None)),
        ("async def f(a, /, b, *, c=1): pass", (2, Some(2))),
        ("def f(a, mut): pass", (1, Some(1))),
        ("@cached\ndef f(a): pass", (0, None)),
        ("f = g", (0, None)),
        ("from x import f", (0, None)),
        ("import f.g", (0, None)),
        ("import x as f", (0, None)),
        ("if 1:\n  def f(a): pass\nelse:\n  def f(): pass", (0, Some(1))),
        ("try:\n  pass\nexcept E:\n  def f(a): pass", (1, Some(1))),
        ("with x as f: pass", (0, None)),
        ("a, (f, *c) = x", (0, None)),
    ] {
        assert_eq!(inputs(source, "f"), expected, "{source}");
    }
}

#[test]
fn methods_are_dotted() {
    let source = "class A:\n  def m(self): pass\n  class B:\n    @staticmethod\n    def n(): pass";
    assert_eq!(inputs(source, "A.m"), (1, Some(1)));
    assert_eq!(inputs(source, "A.B.n"), (0, None));
    assert_eq!(module(source).lookup("A.x"), Lookup::Missing);
    assert_eq!(module("class A(B): pass").lookup("A.x"), Lookup::Maybe);
    assert_eq!(module("import a").lookup("a.x"), Lookup::Maybe);
}

#[test]
fn an_undefined_name_is_missing_unless_it_may_be_defined_at_run_time() {
    assert_eq!(module("def f(): pass").lookup("g"), Lookup::Missing);
    assert_eq!(module("def f():\n  g = 1").lookup("g"), Lookup::Missing);
    for source in
        ["from x import *", "exec('g = 1')", "globals().update(g=1)", "globals()['g'] = 1", "def __getattr__(n): pass"]
    {
        assert_eq!(module(source).lookup("g"), Lookup::Maybe, "{source}");
    }
}

#[test]
fn a_syntax_problem_has_its_position() {
    let problem = functions("x = 1\ndef f(:\n    pass\n").expect_err("no Python");
    assert_eq!((problem.line, problem.column), (2, 7));
    assert!(!problem.message.is_empty());
}

#[test]
fn statements_of_python_2_are_named_as_cpython_names_them() {
    for (source, expected) in [
        ("x = 1\nprint \"x\"\n", (2, 1, "Missing parentheses in call to 'print'. Did you mean print(...)?")),
        ("def f(a):\n    print a, 1\n", (2, 5, "Missing parentheses in call to 'print'. Did you mean print(...)?")),
        ("exec code", (1, 1, "Missing parentheses in call to 'exec'. Did you mean exec(...)?")),
    ] {
        let problem = functions(source).expect_err("no Python");
        assert_eq!((problem.line, problem.column, problem.message.as_str()), expected, "{source}");
    }
    for source in ["print (1) 2", "printer 1", "print = = 1"] {
        let message = functions(source).expect_err("no Python").message;
        assert!(!message.contains("Missing parentheses"), "{source}: {message}");
    }
    assert!(functions("print\nexec\nprint (1), 2").is_ok());
}

#[test]
fn hostile_nesting_ends_in_an_answer() {
    let deep: String = (0..5_000).map(|depth| format!("{}if 1:\n", " ".repeat(depth))).collect();
    assert!(module(&deep).open);
    for sign in [
        "(",
        "[",
        "{",
        "not ",
        "-",
        "await ",
        "lambda:",
        "x if y else ",
        "2**",
        "x[",
        "f(",
        "f'{",
        "a.",
        "1+",
        "f()(",
        "~",
        "(-",
        "*",
    ] {
        let source = sign.repeat(20_000);
        assert!(functions(&source).is_ok_and(|module| module.open), "{sign}");
    }
    for sign in ["elif x:\n  pass\n", "x = 1;", "a, ", "class A:\n  pass\n", "a: int\n"] {
        let _ = functions(&format!("if 1:\n  pass\n{}", sign.repeat(20_000)));
    }
}

#[test]
fn long_code_is_not_deep_code() {
    let list = format!("x = [{}]\ndef f(): pass", "(1, -2, {3: 'four'}),\n".repeat(10_000));
    assert_eq!(module(&list).lookup("g"), Lookup::Missing);
    let lines = format!("{}def f(): pass", "x = f(1)(2)[3].a + not_b if c else d\n".repeat(10_000));
    assert_eq!(module(&lines).lookup("g"), Lookup::Missing);
}
