//! Tokens from the outside: the seeds' production recipe as it is printed, and who is not let in.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::project::{Project, bue, prepare, step};
use crate::services::Server;

/// A new token of a role, as `bue token new` prints it.
fn token(project: &Project, role: &str) -> String {
    let ran = project.bue_writes(&["token", "new", "--role", role, "--name", role]).expect(0);
    let token = ran.stdout.trim().to_owned();
    assert!(token.starts_with("bue_") && token.len() == 68 && !token.contains('\n'), "{ran:?}");
    ran.says(&["BUE_TOKEN", role, "bue.tokens"]);
    token
}

/// The ports of a recipe that other programs of this machine do not use just now.
fn free_ports() -> (u16, u16) {
    let listen = || std::net::TcpListener::bind("0.0.0.0:0").expect("a port");
    let (one, two) = (listen(), listen());
    let port = |listener: &std::net::TcpListener| listener.local_addr().expect("an address").port();
    (port(&one), port(&two))
}

/// The four commands of seeds/buelon.md, with one made before them: nothing says where the bucket is but the hub's `-k`.
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
    let ran = project.bue_writes(&["upload", "-b", &hub_at, "-f", "./example.bue"]).expect(0);
    let run = ran.stdout.trim().to_owned();
    project.bue_writes(&["wait", "-b", &hub_at, &run]).expect(0);
    assert_eq!(project.bue_writes(&["result", "-b", &hub_at, &run]).expect(0).stdout, "100000\n");

    // from elsewhere, without the token and with another one
    let stranger = Project::new(&[]);
    stranger.bue(&["status", "-b", &hub_at]).expect(3).says(&["token", "BUE_TOKEN"]);
    stranger.write(".env", "BUE_TOKEN=bue_0000\n");
    stranger.bue(&["status", "-b", &hub_at]).expect(3).says(&["does not know the token", "BUE_TOKEN"]);
    stranger.bue(&["bucket-get", "a", "-b", &hub_at, "-k", &bucket_at]).expect(3).says(&["does not know the token"]);
    stranger.write("token", &format!("{token}\n"));
    stranger.bue(&["status", "-b", &hub_at, "--token-file", "token"]).expect(0);
    for server in [worker, hub, bucket] {
        server.stop();
    }
}

#[test]
fn a_role_is_as_much_as_it_says() {
    let project = Project::new(&[("x.bue", &[step("one", "def one():\n    return 1"), "one()\n".to_owned()].concat())]);
    let (viewer, operator) = (token(&project, "viewer"), token(&project, "operator"));
    let bucket = Server::start(project.folder(), &["bucket", "-b", "127.0.0.1:0"]);
    let hub = Server::start(project.folder(), &["hub", "-b", "127.0.0.1:0", "-k", &bucket.address]);
    let run = |token: &str, arguments: &[&str]| {
        let output = project.command(arguments).env("BUE_HUB", &hub.address).env("BUE_TOKEN", token).output();
        let output = output.expect("bue");
        (output.status.code().expect("a code"), format!("{}{}", text(&output.stdout), text(&output.stderr)))
    };
    let (code, said) = run(&viewer, &["upload", "-f", "x.bue"]);
    assert!(code == 3 && said.contains("viewer") && said.contains("submitter"), "{said}");
    let (code, said) = run(&operator, &["upload", "-f", "x.bue"]);
    assert_eq!(code, 0, "{said}");
    let id = said.trim();
    let (code, said) = run(&viewer, &["cancel", id]);
    assert!(code == 3 && said.contains("operator"), "{said}");
    let (code, said) = run(&viewer, &["status", id]);
    assert!(code == 0 && said.contains("one"), "{said}");
    for token in [&viewer, "bue_wrong"] {
        let (code, said) = run(token, &["worker"]);
        assert!(code == 3 && said.contains("refused this worker") && said.contains("BUE_TOKEN"), "{said}");
    }
    let (code, said) = run(&operator, &["delete", id]);
    assert!(code == 3 && said.contains("still running") && said.contains("--force"), "{said}");
    assert_eq!(run(&operator, &["delete", id, "--force"]).0, 0);
    let (code, said) = run(&viewer, &["status", id]);
    assert!(code == 3 && said.contains("there is no run"), "{said}");
    // deleted while the servers run: at once of no use
    project.bue_writes(&["token", "delete", "operator"]).expect(0);
    assert_eq!(run(&operator, &["status"]).0, 3);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn tokens_are_made_listed_and_deleted() {
    let project = Project::new(&[]);
    assert_eq!(project.bue(&["token", "list", "--json"]).expect(0).json(), serde_json::json!([]));
    let (one, two) = (token(&project, "worker"), token(&project, "viewer"));
    assert_ne!(one, two);
    let kept = std::fs::read_to_string(project.path("bue.tokens")).expect("the file");
    assert!(!kept.contains(&one) && !kept.contains(one.trim_start_matches("bue_")), "{kept}");
    project.bue(&["token", "new", "--role", "admin", "--name", "worker"]).expect(2).says(&["`worker`", "delete"]);
    project.bue(&["token", "new", "--role", "king"]).expect(2).says(&["submitter"]);
    project.bue(&["token", "new", "--role", "admin", "--name", "a b"]).expect(2).says(&["`a b`"]);
    let list = project.bue(&["token", "list"]).expect(0).stdout;
    assert!(list.contains("worker") && list.contains("viewer") && !list.contains("bue_"), "{list}");
    project.bue_writes(&["token", "revoke", "worker"]).expect(0);
    project.bue(&["token", "delete", "worker"]).expect(2).says(&["`worker`"]);
    assert_eq!(project.bue(&["token", "list", "--json"]).expect(0).json()[0]["role"], "viewer");
    project.write("bue.tokens", "nonsense\n");
    project.bue(&["token", "list"]).expect(3).says(&["line 1", "bue.tokens"]);
    project.bue(&["hub", "-b", "127.0.0.1:0"]).expect(3).says(&["line 1", "bue.tokens"]);
}

/// Without a tokens file a server is open, so it must not be reached from outside.
#[test]
fn an_open_door_without_tokens_is_refused() {
    let folder = TempDir::new().expect("a folder");
    for verb in ["hub", "bucket"] {
        let output = bue().args([verb, "-b", "0.0.0.0:0"]).current_dir(folder.path()).stdin(Stdio::null()).output();
        let output = output.expect("bue");
        assert_eq!(output.status.code(), Some(2));
        let said = text(&output.stderr);
        assert!(said.contains("bue token new --role admin") && said.contains("-b 127.0.0.1:0"), "{said}");
    }
}

/// Who, what, and why not; never the token, whatever it is.
#[test]
fn a_refusal_is_one_line_of_the_log() {
    let project = Project::new(&[]);
    let viewer = token(&project, "viewer");
    let hub = Server::start(project.folder(), &["hub", "-b", "127.0.0.1:0", "--log-format", "json"]);
    let run = |token: &str, arguments: &[&str]| {
        let output = project.command(arguments).env("BUE_HUB", &hub.address).env("BUE_TOKEN", token).output();
        assert_eq!(output.expect("bue").status.code(), Some(3));
    };
    run("bue_canary4711", &["status"]);
    run(&viewer, &["cancel", "01900000-0000-7000-8000-000000000000"]);
    let line = |code: &str| loop {
        let said = hub.said();
        let lines: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        match lines.iter().filter(|line| line["code"] == code).collect::<Vec<_>>()[..] {
            [] => std::thread::sleep(Duration::from_millis(10)),
            [line] => break line.clone(),
            _ => panic!("said more than once: {said}"),
        }
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
    assert!(!hub.said().contains("canary4711") && !hub.said().contains(&viewer), "{}", hub.said());
    hub.stop();
    project.bue(&["hub", "-b", "127.0.0.1:0", "--log-format", "xml"]).expect(2).says(&["json"]);
}
