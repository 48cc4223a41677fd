//! Steps of compiled languages, from their source or module to a result, with the real compilers.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::project::{CommandOutput, Project, prepare};

const PROGRAM: &str = "[package]\nname = \"loud\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
const SCRIPT: &str = "words:\n    python\n    words\n    `\n    def words():\n        return ['a', 'b']\n    `\n\
                      loud:\n    rust\n    loud\n    loud\np = words | loud\np()\n";

fn program(source: &str) -> Project {
    Project::new(&[("x.bue", SCRIPT), ("loud/Cargo.toml", PROGRAM), ("loud/src/main.rs", source)])
}

/// A script with one step in this language, from this path.
fn one(language: &str, path: &str) -> String {
    format!("s:\n    {language}\n    s\n    {path}\ns()\n")
}

#[test]
fn a_program_in_rust_is_built_and_run() {
    prepare();
    let project = program(
        "fn main() {\n    let text = std::io::read_to_string(std::io::stdin()).unwrap();\n    eprintln!(\"loud now\");\n    \
         print!(\"{}\", text.to_uppercase());\n}\n",
    );
    let output = project.bue_writes(&["run", "x.bue", "--json"]).expect_code(0);
    output.expect_stderr(&["building step `loud` from loud"]);
    assert_eq!(output.last(), json!([["A", "B"]]));
    // cargo writes a lock file into the package, and nothing else is written there
    let written: Vec<_> = project.files().into_iter().filter(|path| path.starts_with(project.path("loud"))).collect();
    assert_eq!(written.len(), 5, "the folder, the manifest, its lock, src and main.rs: {written:?}");
}

#[test]
fn compiler_errors_are_shown_with_the_step() {
    let project = program("fn main() {\n    let number: u8 = \"text\";\n}\n");
    for verb in ["check", "run"] {
        let output = project.bue_writes(&[verb, "x.bue"]).expect_code(1);
        output.expect_stderr(&[
            "error[E0308]: mismatched types",
            "src/main.rs:2:",
            "E0056",
            "step `loud` needs it",
            "x.bue:11:",
        ]);
    }
}

#[test]
fn a_missing_compiler_is_reported_with_an_install_hint() {
    let files = [("x.go", ""), ("x.c", "int main;"), ("x.cpp", ""), ("r/Cargo.toml", PROGRAM), ("r/src/main.rs", "")];
    let project = Project::new(&files);
    for (language, path, words) in [
        ("go", "x.go", "go.dev"),
        ("c", "x.c", "wasi-libc"),
        ("cpp", "x.cpp", "WASI_SDK_PATH"),
        ("rust", "r", "rustup"),
    ] {
        project.write("y.bue", &one(language, path));
        let mut command = project.command(&["check", "y.bue"]);
        let output =
            crate::project::finish_command(command.env("PATH", project.folder().path()).env_remove("WASI_SDK_PATH"));
        output.expect_code(1).expect_stderr(&["E0056", "step `s` needs", words]);
    }
}

/// Stands in for clang, and reports what it was given.
const REPORTER: &str =
    "#!/bin/sh\nfor argument; do echo \"argument $argument\"; done >&2\nenv | grep -e canary -e XDG_DATA >&2\nexit 1\n";

#[test]
fn a_compiler_gets_no_secrets_and_no_options_from_file_names() {
    // an option, and a file of options
    for name in ["-fplugin=x.c", "@x.c"] {
        let project = Project::new(&[(name, "int main;"), ("sdk/bin/clang", REPORTER)]);
        project.write("y.bue", &format!("import c (s) \"{name}\"\ns()\n"));
        fs::set_permissions(project.path("sdk/bin/clang"), Permissions::from_mode(0o755)).expect("a program");
        let mut command = project.command(&["check", "y.bue"]);
        command.env("WASI_SDK_PATH", project.path("sdk")).env("XDG_DATA_HOME", "seen");
        for secret in [
            "BUE_TOKEN",
            "BUE_SECRET_KEY",
            "POSTGRES_PASSWORD",
            "PGPASSWORD",
            "AWS_SECRET_ACCESS_KEY",
            "GITHUB_TOKEN",
            "CARGO_REGISTRY_TOKEN",
            "CARGO_REGISTRIES_INNER_TOKEN",
            "SSH_AUTH_SOCK",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "ANYTHING",
        ] {
            command.env(secret, "canary-71c2");
        }
        let output = crate::project::finish_command(&mut command).expect_code(1);
        output.expect_stderr(&[&format!("argument ./{name}\n"), "XDG_DATA_HOME=seen"]);
        assert!(!output.stderr.contains("canary-71c2"), "{}", output.stderr);
    }
}

#[test]
fn an_invalid_module_is_refused_before_anything_runs() {
    let project =
        Project::new(&[("empty.wasm", ""), ("text.wasm", "text"), ("lib/Cargo.toml", PROGRAM), ("lib/src/lib.rs", "")]);
    fs::write(project.path("cut.wasm"), b"\0asm\x01\0\0\0\x01\x7f").expect("a file");
    fs::write(project.path("code.cwasm"), b"\x7fELF\x02\x01\x01\0").expect("a file");
    fs::write(project.path("bare.wasm"), b"\0asm\x01\0\0\0").expect("a file");
    for (language, path, words) in [
        ("wasm", "empty.wasm", "it is empty"),
        ("wasm", "text.wasm", "not WebAssembly"),
        ("wasm", "cut.wasm", "not complete and valid WebAssembly"),
        ("wasm", "code.cwasm", "machine code"),
        ("rust", "bare.wasm", "without `_start`"),
        ("rust", "lib", "neither a library of type cdylib nor a program"),
    ] {
        project.write("x.bue", &one(language, path));
        for verb in ["check", "run"] {
            project.bue_writes(&[verb, "x.bue"]).expect_code(1).expect_stderr(&["E0056", words]);
        }
        project
            .bue_writes(&["upload", "-b", "127.0.0.1:1", "-k", "127.0.0.1:1", "-f", "x.bue"])
            .expect_code(1)
            .expect_stderr(&["E0056"]);
    }
}

/// The SDK is compiled once for all of these, because they are in one folder; compiling it takes longer than the rest.
#[test]
fn steps_that_use_the_sdk_work_as_the_documentation_says() {
    prepare();
    let project = Project::new(&[]);
    the_page_on_compiled_steps_works_as_written(&project);
    new_steps_filter_rows_as_they_are_printed_and_overwrite_nothing(&project);
    project.add_example("team");
    the_team_of_several_languages_works_together(&project);
}

#[test]
fn the_sdk_is_written_where_the_team_names_it_and_never_overwritten() {
    let project = Project::example("team");
    project.bue_writes(&["new", "sdk"]).expect_code(0);
    let manifest = "bue-sdk/guest-sdk/rust/Cargo.toml";
    assert!(project.path("rank").join("..").join(manifest).is_file());
    project.write(manifest, "mine");
    project.bue(&["new", "sdk"]).expect_code(0);
    assert_eq!(fs::read_to_string(project.path(manifest)).expect("a file"), "mine");
}

fn the_team_of_several_languages_works_together(project: &Project) {
    project.bue(&["new", "sdk"]).expect_code(0);
    let output = project.bue_writes(&["run", "pipeline.bue", "--json"]).expect_code(0);
    let letter = output.last();
    assert_eq!(letter["subject"], "Porto leads by 7.0");
    assert_eq!(letter["lines"][0], "1. Porto: 198.0");
    assert_eq!(letter["lines"].as_array().map(Vec::len), Some(4));
}

/// Returns the code blocks of the page in this language.
fn blocks(kind: &str) -> Vec<&'static str> {
    let page = include_str!("../../docs/compiled-steps.md");
    let parts = page.split("```").skip(1).step_by(2);
    parts.filter_map(|part| part.strip_prefix(kind)?.strip_prefix('\n')).collect()
}

fn typed(project: &Project, command: &str) -> CommandOutput {
    let words: Vec<&str> = command.trim().split(' ').skip(1).collect();
    project.bue_writes(&words)
}

fn the_page_on_compiled_steps_works_as_written(project: &Project) {
    let commands = blocks("sh");
    let [new, run] = commands[..] else { panic!("{commands:?}") };
    let printed = typed(project, new).expect_code(0).stdout;
    let script = blocks("bue pipeline.bue");
    assert!(script[0].contains(printed.trim_end()), "{printed}");
    project.write("pipeline.bue", script[0]);
    assert_eq!(typed(project, run).expect_code(0).stdout.trim(), r#"[{"city":"Ghent","amount":12.5}]"#);
    project.write("large/src/lib.rs", blocks("rust")[0]);
    typed(project, "bue check pipeline.bue").expect_code(0);
}

fn new_steps_filter_rows_as_they_are_printed_and_overwrite_nothing(project: &Project) {
    let rows =
        json!([{"amount": 1, "city": "Ghent"}, {"city": "Lyon", "amount": -1}, {"amount": 0.5, "tags": ["]", "\""]}]);
    let source = format!("rows:\n    python\n    rows\n    `\n    def rows():\n        return {rows}\n    `\n");
    for (language, name, path) in [
        ("python", "keep", "keep.py"),
        ("sqlite3", "chosen", "chosen.sql"),
        ("rust", "picked", "picked"),
        ("c", "counted", "counted.c"),
        ("c++", "sifted", "sifted.cpp"),
        ("go", "sent", "sent"),
    ] {
        let new = ["new", "step", "--lang", language, name];
        let lines = project.bue_writes(&new).expect_code(0).stdout;
        assert_eq!(lines, format!("{name}:\n    {language}\n    {name}\n    {path}\n"));
        assert!(project.path(path).exists());
        let before = project.files();
        project.bue(&new).expect_code(1).expect_stderr(&["already exists"]);
        assert_eq!(project.files(), before);
        project.write("x.bue", &format!("{source}{lines}p = rows | {name}\np()\n"));
        let result = project.bue_writes(&["run", "x.bue", "--json"]).expect_code(0).last();
        let amounts: Vec<_> = result.as_array().expect("rows").iter().map(|row| row["amount"].clone()).collect();
        assert_eq!(amounts, [json!(1), json!(0.5)], "{language}");
    }
    project
        .bue(&["new", "step", "--lang", "python", "../up"])
        .expect_code(2)
        .expect_stderr(&["not a valid name of a step"]);
    project.bue(&["new", "step", "--lang", "cobol", "x"]).expect_code(2);
}

#[test]
fn an_integer_that_json_would_round_is_refused() {
    prepare();
    let program = |text: &str| {
        let source = format!("#include <stdio.h>\nint main(void) {{ puts(\"{text}\"); return 0; }}\n");
        let project = Project::new(&[("x.bue", &one("c", "x.c")), ("x.c", &source)]);
        project.bue_writes(&["run", "x.bue", "--json"])
    };
    assert_eq!(
        program("[18446744073709551615, -9223372036854775808]").expect_code(0).last().to_string(),
        "[18446744073709551615,-9223372036854775808]"
    );
    program("[18446744073709551616]").expect_code(1).expect_stderr(&["18446744073709551616", "write it as text"]);
}
