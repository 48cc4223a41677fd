//! Tokens from the outside: the production recipe as documented, and refused requests.

use bue_test_support::process;
use bue_test_support::wait::wait_until;
use serde_json::Value;
use tempfile::TempDir;

use crate::project::{Project, bue, prepare, step};
use crate::services::Server;

/// Creates a token of a role, and returns what `bue token new` prints.
fn token(project: &Project, role: &str) -> String {
    let output = project.bue_writes(&["token", "new", "--role", role, "--name", role]).expect_code(0);
    let token = output.stdout.trim().to_owned();
    assert!(token.starts_with("bue_") && token.len() == 68 && !token.contains('\n'), "{output:?}");
    output.expect_stderr(&["BUE_TOKEN", role, "bue.tokens"]);
    token
}

/// Returns two ports that no program on this machine uses at the moment.
fn free_ports() -> (u16, u16) {
    let listen = || std::net::TcpListener::bind("0.0.0.0:0").expect("a port");
    let (one, two) = (listen(), listen());
    let port = |listener: &std::net::TcpListener| listener.local_addr().expect("an address").port();
    (port(&one), port(&two))
}

/// The commands of the production recipe, after a token was created: only the hub's `-k` says where the bucket is.
#[test]
fn the_production_recipe_works_as_it_is_printed() {
    prepare();
    let script = [
        "$ production-small\n!0\n".to_owned(),
        step("one", "def one():\n    return 'x' * 100000"),
        step("two", "def two(text):\n    return len(text)"),
        "p = one | two\np()\n".to_owned(),
    ];
    let project = Project::new(&[("example.bue", &script.concat())]);
    let token = token(&project, "admin");
    project.write(".env", &format!("BUE_TOKEN={token}\n"));
    let (hub_port, bucket_port) = free_ports();
    let (hub_at, bucket_at) = (format!("localhost:{hub_port}"), format!("localhost:{bucket_port}"));

    let bucket = Server::start(project.folder(), &["bucket", "-b", &format!("0.0.0.0:{bucket_port}")]);
    let hub = Server::start(project.folder(), &["hub", "-b", &format!("0.0.0.0:{hub_port}"), "-k", &bucket_at]);
    let worker = Server::start(project.folder(), &["worker", "-b", &hub_at, "-k", &bucket_at]);
    let output = project.bue_writes(&["upload", "-b", &hub_at, "-f", "./example.bue"]).expect_code(0);
    let run = output.stdout.trim().to_owned();
    project.bue_writes(&["wait", "-b", &hub_at, &run]).expect_code(0);
    assert_eq!(project.bue_writes(&["result", "-b", &hub_at, &run]).expect_code(0).stdout, "100000\n");

    // from another folder, without the token and with a wrong one
    let stranger = Project::new(&[]);
    stranger.bue(&["status", "-b", &hub_at]).expect_code(3).expect_stderr(&["token", "BUE_TOKEN"]);
    stranger.write(".env", "BUE_TOKEN=bue_0000\n");
    stranger.bue(&["status", "-b", &hub_at]).expect_code(3).expect_stderr(&["does not know the token", "BUE_TOKEN"]);
    stranger
        .bue(&["bucket-get", "a", "-b", &hub_at, "-k", &bucket_at])
        .expect_code(3)
        .expect_stderr(&["does not know the token"]);
    stranger.write("token", &format!("{token}\n"));
    stranger.bue(&["status", "-b", &hub_at, "--token-file", "token"]).expect_code(0);
    for server in [worker, hub, bucket] {
        server.stop();
    }
}

#[test]
fn a_token_permits_what_its_role_permits() {
    let project = Project::new(&[("x.bue", &[step("one", "def one():\n    return 1"), "one()\n".to_owned()].concat())]);
    let (viewer, operator) = (token(&project, "viewer"), token(&project, "operator"));
    let bucket = Server::start(project.folder(), &["bucket", "-b", "127.0.0.1:0"]);
    let hub = Server::start(project.folder(), &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address]);
    let run = |token: &str, arguments: &[&str]| {
        let output = process::output(project.command(arguments).env("BUE_HUB", &hub.address).env("BUE_TOKEN", token));
        let output = output.expect("bue");
        (output.status.code().expect("a code"), format!("{}{}", text(&output.stdout), text(&output.stderr)))
    };
    let (code, output) = run(&viewer, &["upload", "-f", "x.bue"]);
    assert!(code == 3 && output.contains("viewer") && output.contains("submitter"), "{output}");
    let (code, output) = run(&operator, &["upload", "-f", "x.bue"]);
    assert_eq!(code, 0, "{output}");
    let id = output.trim();
    let (code, output) = run(&viewer, &["cancel", id]);
    assert!(code == 3 && output.contains("operator"), "{output}");
    let (code, output) = run(&viewer, &["status", id]);
    assert!(code == 0 && output.contains("one"), "{output}");
    for token in [&viewer, "bue_wrong"] {
        let (code, output) = run(token, &["worker"]);
        assert!(code == 3 && output.contains("refused this worker") && output.contains("BUE_TOKEN"), "{output}");
    }
    let (code, output) = run(&operator, &["delete", id]);
    assert!(code == 3 && output.contains("still running") && output.contains("--force"), "{output}");
    assert_eq!(run(&operator, &["delete", id, "--force"]).0, 0);
    let (code, output) = run(&viewer, &["status", id]);
    assert!(code == 3 && output.contains("there is no run"), "{output}");
    // a token deleted while the servers run is refused at once
    project.bue_writes(&["token", "delete", "operator"]).expect_code(0);
    assert_eq!(run(&operator, &["status"]).0, 3);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn tokens_are_created_listed_and_deleted() {
    let project = Project::new(&[]);
    assert_eq!(project.bue(&["token", "list", "--json"]).expect_code(0).json(), serde_json::json!([]));
    let (one, two) = (token(&project, "worker"), token(&project, "viewer"));
    assert_ne!(one, two);
    let kept = std::fs::read_to_string(project.path("bue.tokens")).expect("the file");
    assert!(!kept.contains(&one) && !kept.contains(one.trim_start_matches("bue_")), "{kept}");
    project
        .bue(&["token", "new", "--role", "admin", "--name", "worker"])
        .expect_code(2)
        .expect_stderr(&["`worker`", "delete"]);
    project.bue(&["token", "new", "--role", "king"]).expect_code(2).expect_stderr(&["submitter"]);
    project.bue(&["token", "new", "--role", "admin", "--name", "a b"]).expect_code(2).expect_stderr(&["`a b`"]);
    let list = project.bue(&["token", "list"]).expect_code(0).stdout;
    assert!(list.contains("worker") && list.contains("viewer") && !list.contains("bue_"), "{list}");
    project.bue_writes(&["token", "revoke", "worker"]).expect_code(0);
    project.bue(&["token", "delete", "worker"]).expect_code(2).expect_stderr(&["`worker`"]);
    assert_eq!(project.bue(&["token", "list", "--json"]).expect_code(0).json()[0]["role"], "viewer");
    project.write("bue.tokens", "nonsense\n");
    project.bue(&["token", "list"]).expect_code(3).expect_stderr(&["line 1", "bue.tokens"]);
    project.bue(&["hub", "-b", "127.0.0.1:0"]).expect_code(3).expect_stderr(&["line 1", "bue.tokens"]);
}

/// Without a tokens file a server is open to everyone who can reach it.
#[test]
fn without_tokens_a_server_listens_on_loopback_only() {
    let folder = TempDir::new().expect("a folder");
    for verb in ["hub", "bucket"] {
        let output = process::output(bue().args([verb, "-b", "0.0.0.0:0"]).current_dir(folder.path()));
        let output = output.expect("bue");
        assert_eq!(output.status.code(), Some(2));
        let output = text(&output.stderr);
        assert!(output.contains("bue token new --role admin") && output.contains("-b 127.0.0.1:0"), "{output}");
    }
}

/// It has who, what, and why not; never the token.
#[test]
fn each_refused_request_is_one_log_line() {
    let project = Project::new(&[]);
    let viewer = token(&project, "viewer");
    let hub = Server::start(project.folder(), &["hub", "-b", "127.0.0.1:0", "--log-format", "json"]);
    let run = |token: &str, arguments: &[&str]| {
        let output = process::output(project.command(arguments).env("BUE_HUB", &hub.address).env("BUE_TOKEN", token));
        assert_eq!(output.expect("bue").status.code(), Some(3));
    };
    run("bue_canary4711", &["status"]);
    run(&viewer, &["cancel", "01900000-0000-7000-8000-000000000000"]);
    let lines = |code: &str| -> Vec<Value> {
        let log = hub.stderr();
        let lines = log.lines().filter_map(|line| serde_json::from_str(line).ok());
        lines.filter(|line: &Value| line["code"] == code).collect()
    };
    let line = |code: &str| {
        wait_until("the refusal is logged", || !lines(code).is_empty());
        let [line] = &lines(code)[..] else { panic!("logged more than once: {}", hub.stderr()) };
        line.clone()
    };
    let unknown = line("token_unknown");
    assert_eq!(unknown["peer"], "127.0.0.1");
    assert_eq!(
        (&unknown["method"], &unknown["path"], &unknown["status"]),
        (&"GET".into(), &"/v1/runs".into(), &401.into())
    );
    let role = line("role");
    assert_eq!((&role["principal"], &role["status"]), (&"viewer".into(), &403.into()));
    assert!(role["message"].as_str().is_some_and(|text| text.contains("operator")), "{role}");
    assert!(role["took_ms"].is_number(), "{role}");
    assert!(!hub.stderr().contains("canary4711") && !hub.stderr().contains(&viewer), "{}", hub.stderr());
    hub.stop();
    project.bue(&["hub", "-b", "127.0.0.1:0", "--log-format", "xml"]).expect_code(2).expect_stderr(&["json"]);
}
