//! Scripts that are refused, or understood, before anything runs.

use super::mistake::Mistake;
use crate::project::{Project, prepare};

const F: (&str, &str) = ("s.py", "def f(x):\n    return x\n");

const SCRIPTS: &[Mistake] = &[
    Mistake {
        what: "a script that does not exist",
        files: &[],
        command: "run no.bue",
        code: 1,
        message: &["error: failed to read no.bue: No such file or directory"],
    },
    Mistake {
        what: "Python instead of a script",
        files: &[("s.py", "import os\n\ndef load():\n    return os.name\n")],
        command: "run s.py",
        code: 1,
        message: &[
            "error: s.py is a Python file, and bue runs scripts that name its functions",
            "pipeline.bue",
            "import python (load) s.py",
            "load()",
            "bue run pipeline.bue",
        ],
    },
    Mistake {
        what: "a folder instead of a script",
        files: &[("folder/a.bue", "")],
        command: "run folder",
        code: 1,
        message: &["error: failed to read folder: it is a folder; name a script in it: folder/a.bue"],
    },
    Mistake { what: "no script", files: &[], command: "run", code: 2, message: &["<FILE>", "Usage: bue run"] },
    Mistake {
        what: "one argument too many",
        files: &[("x.bue", "")],
        command: "run x.bue y.bue",
        code: 2,
        message: &["unexpected argument 'y.bue'", "Usage: bue run"],
    },
    Mistake {
        what: "indentation by two blanks",
        files: &[("x.bue", "f:\n  python\n  f\n  s.py\nf()\n"), ("s.py", "def f(): return 1\n")],
        command: "check x.bue",
        code: 0,
        message: &[
            "warning[W0003]",
            "indented by 2 columns",
            "x.bue:2:3",
            "indent by 4 columns, or write `TAB = '  '`",
        ],
    },
    Mistake {
        what: "indentation by tabs",
        files: &[("x.bue", "f:\n\tpython\n\tf\n\ts.py\nf()\n"), ("s.py", "def f(): return 1\n")],
        command: "check x.bue",
        code: 0,
        message: &[],
    },
    Mistake {
        what: "a misspelt step",
        files: &[("x.bue", "import python (load) s.py\nlaod()\n"), ("s.py", "def load(): return 1\n")],
        command: "check x.bue",
        code: 1,
        message: &["error[E0031]: there is no pipe or step `laod`", "x.bue:2:1", "did you mean `load()`?"],
    },
    Mistake {
        what: "pipes of pipes, in a circle",
        files: &[("x.bue", "import python (f) s.py\na = b | f\nb = a | f\na()\n"), F],
        command: "check x.bue",
        code: 1,
        message: &["error[E0030]: `b` is a pipe, but a pipe consists of steps", "x.bue:2:5", "pass its result on"],
    },
    Mistake {
        what: "a result before its call",
        files: &[("x.bue", "import python (f) s.py\nf(y)\ny = f(y)\n"), F],
        command: "check x.bue",
        code: 1,
        message: &["error[E0033]: `y` has no value yet", "x.bue:2:3", "x.bue:3:1", "move this line below it"],
    },
    Mistake {
        what: "a result that does not exist",
        files: &[("x.bue", "import python (f) s.py\nf(z)\n"), F],
        command: "check x.bue",
        code: 1,
        message: &["error[E0032]: there is no result `z`", "x.bue:2:3", "`z = pipe()`"],
    },
    Mistake {
        what: "steps that are named like words of the language",
        files: &[
            ("x.bue", "import python (f as for, f as in, one) s.py\nr = one()\nfor(r)\nin(r)\n"),
            ("s.py", "def f(x): return x\ndef one(): return 1\n"),
        ],
        command: "check x.bue",
        code: 0,
        message: &[],
    },
    Mistake {
        what: "a misspelt language",
        files: &[("x.bue", "f:\n    pyton\n    f\n    s.py\nf()\n"), F],
        command: "check x.bue",
        code: 1,
        message: &["error[E0012]: there is no language `pyton`", "x.bue:2:5", "did you mean `python`?"],
    },
    Mistake {
        what: "a language that does not exist",
        files: &[("x.bue", "f:\n    cobol\n    f\n    s.py\nf()\n"), F],
        command: "check x.bue",
        code: 1,
        message: &["error[E0012]: there is no language `cobol`", "languages are python, sqlite3, postgres, rust"],
    },
    Mistake {
        what: "a step without its function",
        files: &[("x.bue", "f:\n    python\nf()\n")],
        command: "check x.bue",
        code: 1,
        message: &[
            "error[E0013]: step `f` has no function or table, no path or code",
            "x.bue:1:1",
            "write below the name",
        ],
    },
    Mistake {
        what: "code without its closing fence",
        files: &[("x.bue", "f:\n    python\n    f\n    `\ndef f(): return 1\nf()\n")],
        command: "check x.bue",
        code: 1,
        message: &["error[E0004]: this code is never closed", "x.bue:4:5", "add a line with `"],
    },
    Mistake {
        what: "a date without quotes as an argument",
        files: &[("x.bue", "import python (f) s.py\nf(2026-11-01)\n"), F],
        command: "check x.bue",
        code: 1,
        message: &[
            "error[E0044]: `2026-11-01` is not a number",
            "x.bue:2:3",
            "a date is a text in quotes: `\"2026-11-01\"`",
        ],
    },
    Mistake {
        what: "a condition",
        files: &[("x.bue", "import python (f) s.py\nif f():\n    f()\n"), F],
        command: "check x.bue",
        code: 1,
        message: &[
            "error[E0003]: `if` begins a Python statement",
            "x.bue:2:1",
            "let a step decide",
            "StepStatus.cancel",
        ],
    },
    Mistake {
        what: "a call of print",
        files: &[("x.bue", "import python (f) s.py\nprint(f())\n"), F],
        command: "check x.bue",
        code: 1,
        message: &["error[E0031]: there is no pipe or step `print`", "x.bue:2:1"],
    },
    Mistake {
        what: "a misspelt setting",
        files: &[("x.bue", "import python (f !timout 5) s.py\nf()\n"), ("s.py", "def f(): return 1\n")],
        command: "check x.bue",
        code: 1,
        message: &["error[E0020]: there is no setting `!timout`", "x.bue:1:18", "did you mean `!timeout`?"],
    },
    Mistake {
        what: "a duration in words",
        files: &[("x.bue", "!timeout 5 minutes\nimport python (f) s.py\nf()\n"), ("s.py", "def f(): return 1\n")],
        command: "check x.bue",
        code: 1,
        message: &["error[E0026]: this is not a duration", "x.bue:1:10", "`!timeout 5m`"],
    },
    Mistake {
        what: "a duration without its unit",
        files: &[("x.bue", "!every 5\nimport python (f) s.py\nf()\n"), ("s.py", "def f(): return 1\n")],
        command: "check x.bue",
        code: 1,
        message: &["error[E0026]: this is not a duration", "x.bue:1:8", "a duration needs a unit: `5s`, `5m`"],
    },
    Mistake { what: "an empty script", files: &[("x.bue", "")], command: "run x.bue", code: 0, message: &[] },
    Mistake {
        what: "line ends of Windows and names in Greek",
        files: &[("x.bue", "import python (f as μέτρο) s.py\r\nμέτρο()\r\n"), ("s.py", "def f(): return 1\r\n")],
        command: "check x.bue",
        code: 0,
        message: &[],
    },
    Mistake {
        what: "Python that does not parse",
        files: &[("x.bue", "import python (f) s.py\nf()\n"), ("s.py", "def f(:\n    return 1\n")],
        command: "run x.bue",
        code: 1,
        message: &["error[E0052]", "s.py:1:7", "this file is not valid Python", "x.bue:1:19", "used here"],
    },
    Mistake {
        what: "a function that the file does not define",
        files: &[("x.bue", "import python (g) s.py\ng()\n"), F],
        command: "run x.bue",
        code: 1,
        message: &["error[E0051]: there is no function `g`", "x.bue:1:16", "`def g(…):`; the code defines `f`"],
    },
    Mistake {
        what: "a function that takes more than it gets",
        files: &[("x.bue", "import python (f) s.py\nf()\n"), F],
        command: "run x.bue",
        code: 1,
        message: &["error[E0053]: step `f` gets no input but takes 1", "x.bue:2:1", "x.bue:1:16"],
    },
    Mistake {
        what: "a folder instead of the file of a step",
        files: &[("x.bue", "import python (f) s.py\nf()\n"), ("s.py/x", "")],
        command: "run x.bue",
        code: 1,
        message: &["error[E0054]: `s.py` is not a text file", "x.bue:1:19"],
    },
    Mistake {
        what: "a script on stdin",
        files: &[],
        command: "run -",
        code: 1,
        message: &["a script is read from a file, not from stdin", "`bue run FILE`"],
    },
];

#[test]
fn mistakes_in_scripts_are_reported_before_anything_runs() {
    // an empty script has nothing to print, also on a machine that has no sandbox yet
    prepare();
    SCRIPTS.iter().for_each(Mistake::check);
}

#[test]
fn a_binary_file_is_not_a_script() {
    let project = Project::new(&[]);
    std::fs::write(project.path("x.bue"), b"\x7fELF\x02\xff\xfe\x00").expect("a file");
    project.bue(&["run", "x.bue"]).expect_code(1).expect_stderr(&["error: failed to read x.bue: it is not UTF-8 text"]);
}
