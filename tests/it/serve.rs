//! `bue serve`: hub, bucket and worker in one process, with pipelines.

use bue_test_support::wait::wait_until;
use serde_json::json;

use crate::project::{Project, bue, finish, prepare};
use crate::services::Server;

fn script(answer: u32) -> String {
    format!(
        "param name: text = \"you\"\ngreet:\n    python\n    greet\n    `\n    def greet(name):\n        return [name, {answer}]\n    `\ngreet(name)\n"
    )
}

fn serve(project: &Project, more: &[&str]) -> Server {
    let arguments = ["serve", "hello.bue", "-b", "127.0.0.1:0", "--bucket-bind", "127.0.0.1:0", "--data", "state"];
    let server = Server::start(project.folder(), &[&arguments, more].concat());
    wait_until("the worker serves", || server.stderr().contains(" serves "));
    server
}

fn invoke(project: &Project, server: &Server, name: &str) -> serde_json::Value {
    let arguments = ["invoke", "hello", &format!("name={name}"), "--wait", "-b", &server.address];
    project.bue_writes(&arguments).expect_code(0).json()
}

#[test]
fn scripts_are_served_and_published_again_when_they_change() {
    prepare();
    let project = Project::new(&[("hello.bue", &script(1))]);
    let server = serve(&project, &["--watch"]);
    assert!(server.stderr().contains("pipeline hello version 1\n"), "{}", server.stderr());
    assert_eq!(invoke(&project, &server, "ada"), json!(["ada", 1]));
    project.write("hello.bue", "greet(\n");
    wait_until("the mistake is shown", || server.stderr().contains("hello.bue:1"));
    assert_eq!(invoke(&project, &server, "bob"), json!(["bob", 1]), "the last version without mistakes is kept");
    project.write("hello.bue", &script(2));
    wait_until("it is published again", || server.stderr().contains("pipeline hello version 2\n"));
    assert_eq!(invoke(&project, &server, "eve"), json!(["eve", 2]));
    server.stop();

    let server = serve(&project, &[]);
    assert!(server.stderr().contains("pipeline hello version 2 (unchanged)"), "{}", server.stderr());
    let view = project.bue_writes(&["pipeline", "hello", "--json", "-b", &server.address]).expect_code(0).json();
    assert_eq!(view["runs"].as_array().map(Vec::len), Some(3), "{view}");
    server.stop();
}

#[test]
fn its_own_worker_needs_no_token_and_everyone_else_does() {
    prepare();
    let project = Project::new(&[("hello.bue", &script(1))]);
    let token =
        project.bue_writes(&["token", "new", "--role", "invoker", "--pipelines", "hello"]).expect_code(0).stdout;
    let server = serve(&project, &[]);
    let invoke = ["invoke", "hello", "--wait", "-b", &server.address];
    project.bue_writes(&invoke).expect_code(3).expect_stderr(&["BUE_TOKEN"]);
    let mut command = project.command(&invoke);
    command.env("BUE_TOKEN", token.trim());
    assert_eq!(finish(command).expect_code(0).json(), json!(["you", 1]));
    server.stop();
}

#[test]
fn its_own_worker_stays_when_a_tokens_file_is_made() {
    prepare();
    let project = Project::new(&[("hello.bue", &script(1))]);
    let server = serve(&project, &[]);
    assert_eq!(invoke(&project, &server, "ada"), json!(["ada", 1]));
    let token = project.bue_writes(&["token", "new", "--role", "admin"]).expect_code(0).stdout;
    let mut command = project.command(&["invoke", "hello", "--wait", "-b", &server.address]);
    command.env("BUE_TOKEN", token.trim());
    assert_eq!(finish(command).expect_code(0).json(), json!(["you", 1]));
    server.stop();
}

#[test]
fn a_script_with_mistakes_is_not_served() {
    let project = Project::new(&[("hello.bue", "greet(\n")]);
    let mut command = bue();
    command.args(["serve", "hello.bue", "-b", "127.0.0.1:0", "--bucket-bind", "127.0.0.1:0"]);
    command.current_dir(project.folder().path());
    finish(command).expect_code(1).expect_stderr(&["hello.bue:1"]);
    let public = project.bue_writes(&["serve", "-b", "0.0.0.0:0"]);
    public.expect_code(2).expect_stderr(&["without tokens"]);
}
