//! Settings, flags and files that cannot be used.

use super::mistake::Mistake;
use crate::project::{Project, finish};

const ONE: (&str, &str) = ("x.bue", "one:\n    python\n    one\n    `\ndef one(): return 1\n`\none()\n");

const SETTINGS: &[Mistake] = &[
    Mistake {
        what: "no address",
        files: &[],
        command: "status -b nonsense",
        code: 2,
        message: &["`nonsense` is not an address", "`-b HOST:PORT`", "127.0.0.1:65432"],
    },
    Mistake {
        what: "no port",
        files: &[],
        command: "hub -b 127.0.0.1:99999",
        code: 2,
        message: &["`127.0.0.1:99999` is not an address", "`-b HOST:PORT`"],
    },
    Mistake {
        what: "bue.toml is not TOML",
        files: &[("bue.toml", "not toml")],
        command: "status",
        code: 2,
        message: &["failed to parse bue.toml", "line 1"],
    },
    Mistake {
        what: "a setting of a wrong type",
        files: &[("bue.toml", "[client]\nhub = 5\n")],
        command: "status",
        code: 2,
        message: &["`client.hub` in bue.toml is of type integer; it must be text, in quotes"],
    },
    Mistake {
        what: "a setting of a wrong type that `bue run` does not use",
        files: &[ONE, ("bue.toml", "[client]\nhub = 5\n")],
        command: "run x.bue",
        code: 2,
        message: &["`client.hub` in bue.toml is of type integer; it must be text, in quotes"],
    },
    Mistake {
        what: "a number in a list of scopes",
        files: &[ONE, ("bue.toml", "[worker]\nscopes = ['a', 1]\n")],
        command: "run x.bue",
        code: 2,
        message: &["`worker.scopes` in bue.toml is of type array; it must be a list of texts"],
    },
    Mistake {
        what: "a number instead of a switch",
        files: &[ONE, ("bue.toml", "[worker]\nreverse = 1\n")],
        command: "run x.bue",
        code: 2,
        message: &["`worker.reverse` in bue.toml is of type integer; it must be true or false"],
    },
    Mistake {
        what: "text instead of a limit",
        files: &[ONE, ("bue.toml", "[limits]\nlog_bytes = 'many'\n")],
        command: "run x.bue",
        code: 2,
        message: &["`[limits] log_bytes` in bue.toml is not a number greater than 0"],
    },
    Mistake {
        what: "a value instead of a table",
        files: &[ONE, ("bue.toml", "worker = 'heavy'\n")],
        command: "run x.bue",
        code: 2,
        message: &["`worker` in bue.toml is of type string; it must be a table, `[worker]`"],
    },
    Mistake {
        what: "a line of .env that is none",
        files: &[ONE, (".env", "A=1\nSECRET hunter2=\n")],
        command: "run x.bue",
        code: 2,
        message: &["failed to parse .env: line 2, from character ", "NAME=VALUE"],
    },
    Mistake {
        what: "a setting that does not exist",
        files: &[("bue.toml", "[client]\nhubb = 'x:1'\nhub = '127.0.0.1:1'\n")],
        command: "status",
        code: 3,
        message: &["warning: `client.hubb` in bue.toml is not a setting", "docs/settings.md"],
    },
    Mistake {
        what: "a verb that does not exist",
        files: &[],
        command: "upliad",
        code: 2,
        message: &["unrecognized subcommand 'upliad'", "'upload'"],
    },
    Mistake {
        what: "a state folder that is a file",
        files: &[ONE],
        command: "run x.bue --data x.bue",
        code: 3,
        message: &["x.bue"],
    },
];

#[test]
fn mistakes_in_settings_are_reported() {
    SETTINGS.iter().for_each(Mistake::check);
}

#[test]
fn a_cache_that_cannot_be_written_is_reported() {
    let project = Project::new(&[ONE]);
    let mut command = project.command(&["run", "x.bue"]);
    command.env("BUE_CACHE_DIR", "/proc/none");
    finish(command).expect_code(3).expect_stderr(&["/proc/none"]);
}
