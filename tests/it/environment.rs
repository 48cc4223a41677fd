//! Environment variables of steps: `!allow env` in the script, and what the worker has.

use crate::project::{CommandOutput, Project, finish, prepare, python};

/// A script that asks for A and B, and returns its environment.
fn script(allow: &str) -> Project {
    Project::script(&format!(
        "{allow}\n{}",
        python("read", "import os\ndef read():\n    return dict(os.environ)", "read()")
    ))
}

fn run(project: &Project, flags: &[&str], variables: &[(&str, &str)]) -> CommandOutput {
    let mut command = project.command(&[&["run", "x.bue", "--json"], flags].concat());
    command.envs(variables.iter().copied());
    finish(command)
}

#[test]
fn a_step_gets_the_variables_that_it_asks_for_from_the_nearest_place() {
    prepare();
    let project = script("!allow env A, env B");
    project.write("bue.toml", "[env]\nA = 'file'\nB = { value = 'file', scopes = ['default'] }\nC = 'file'\n");
    let private = ("A", "of the worker itself");
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case<'_>; 3] = [
        (&[], &[private], r#"{"A":"file","B":"file"}"#),
        (&[], &[private, ("BUE_ENV_A", "environment")], r#"{"A":"environment","B":"file"}"#),
        (&["--env", "A=flag=1", "--env", "B="], &[("BUE_ENV_A", "environment")], r#"{"A":"flag=1","B":""}"#),
    ];
    for (flags, variables, expected) in cases {
        let value = run(&project, flags, variables).expect_code(0).last();
        assert_eq!(value.to_string(), expected, "{flags:?} {variables:?}");
    }
    assert_eq!(run(&script(""), &["--env", "A=1"], &[private]).expect_code(0).last().to_string(), "{}");
}

#[test]
fn a_variable_that_the_worker_does_not_have_fails_the_step_before_it_runs() {
    prepare();
    let project = Project::script(&format!(
        "!allow env A\n{}",
        python("read", "print('it has run')\ndef read():\n    print('it has run')", "read()")
    ));
    let missing =
        "add `A = \"VALUE\"` below `[env]` in its bue.toml, set BUE_ENV_A there, or start it with --env A=VALUE";
    let output = run(&project, &["--logs", "--env", "B=1"], &[("A", "1")]).expect_code(1);
    output.expect_stderr(&["`!allow env A`: this worker has no variable A for steps", missing]);
    assert!(!output.stderr.contains("it has run"), "{}", output.stderr);
    project.write("bue.toml", "[env]\nA = { value = '1', scopes = ['reports'] }\n");
    run(&project, &[], &[]).expect_code(1).expect_stderr(&["add `default` to the scopes of A below `[env]`"]);
    // a value from elsewhere does not lift the restriction
    run(&project, &["--env", "A=2"], &[]).expect_code(1).expect_stderr(&["add `default` to the scopes of A"]);
}

#[test]
fn variables_of_somebody_elses_folder_do_not_count() {
    prepare();
    let project = script("!allow env A");
    project.write_untrusted("bue.toml", "[env]\nA = 'theirs'\n");
    project.write_untrusted(".env", "BUE_ENV_A=theirs\n");
    let output = run(&project, &[], &[]).expect_code(1);
    output.expect_stderr(&["BUE_ENV_A in .env", "env.A in bue.toml", "this worker has no variable A"]);
    let trusted = project.bue(&["trust"]).expect_code(0);
    trusted.expect_stderr(&["bue.toml, which sets env.A", ".env, which sets BUE_ENV_A"]);
    assert_eq!(run(&project, &[], &[]).expect_code(0).last().to_string(), r#"{"A":"theirs"}"#);
}

#[test]
fn invalid_variables_are_refused_with_a_reason() {
    prepare();
    let project = script("");
    for (text, words) in [
        ("[env]\nA = 1", "neither a text nor a table"),
        ("[env]\nA = { values = 'x' }", "the variable A for steps"),
        ("[env]\nA = { scopes = ['a'] }", "it has no value"),
        ("[env]\n'A-B' = 'x'", "a name is made of letters"),
        ("[env]\nA = \"a\\u0000b\"", "NUL byte"),
        (&format!("[env]\nA = '{}'", "x".repeat(32 * 1024 + 1)), "longer than 32 KiB"),
    ] {
        project.write("bue.toml", text);
        run(&project, &[], &[]).expect_code(2).expect_stderr(&[words]);
    }
    project.write("bue.toml", "");
    for (flag, words) in
        [("A", "write --env A=VALUE"), ("=1", "a name is made of letters"), ("1A=1", "a name is made of letters")]
    {
        run(&project, &["--env", flag], &[]).expect_code(2).expect_stderr(&[words]);
    }
}
