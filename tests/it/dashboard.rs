//! `bue web`, and where servers say that the dashboard is.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use bue_test_support::wait::wait_until;
use tempfile::TempDir;

use crate::project::{Project, finish};
use crate::services::Server;

/// The reply to a request of a browser, head and body.
fn get(address: &str, path: &str, cookie: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    reply
}

#[test]
fn a_hub_says_where_its_dashboard_is_and_bue_web_logs_in() {
    let folder = TempDir::new().expect("a folder");
    let project = Project::new(&[]);
    let tokens = folder.path().join("bue.tokens").display().to_string();
    let new_token = ["token", "new", "--role", "operator", "--name", "ada", "--tokens", &tokens];
    let token = project.bue(&new_token).expect_code(0).stdout;
    let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "--store", "sqlite:hub.db"]);
    let announced = format!("the dashboard is at http://{}/; `bue web`", hub.address);
    wait_until("the dashboard is announced", || hub.stderr().contains(&announced));
    let mut command = project.command(&["web", "-b", &hub.address]);
    command.env("BUE_TOKEN", token.trim());
    let link = finish(command).expect_code(0).stdout;
    let path = link.trim().strip_prefix(&format!("http://{}", hub.address)).expect("the hub's address").to_owned();
    let reply = get(&hub.address, &path, "");
    assert!(reply.starts_with("HTTP/1.1 303"), "{reply}");
    let cookie = reply.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a session");
    let page = get(&hub.address, "/", cookie.split(';').next().unwrap_or_default());
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("ada") && page.contains("operator"), "{page}");
    assert!(get(&hub.address, "/", "").starts_with("HTTP/1.1 303"), "without a session");
}

#[test]
fn a_hub_without_a_dashboard_says_so() {
    let folder = TempDir::new().expect("a folder");
    let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "--store", "sqlite:hub.db", "--no-web"]);
    Project::new(&[]).bue(&["web", "-b", &hub.address]).expect_code(3).expect_stderr(&["--no-web"]);
    assert!(!hub.stderr().contains("dashboard"), "{}", hub.stderr());
}

#[test]
fn the_browser_opens_if_there_is_one() {
    let folder = TempDir::new().expect("a folder");
    let hub = Server::start(&folder, &["hub", "-b", "127.0.0.1:0", "--store", "sqlite:hub.db"]);
    let project = Project::new(&[("bin/xdg-open", "#!/bin/sh\necho \"$1\" > opened\n")]);
    let program = project.folder().path().join("bin/xdg-open");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let mut command = project.command(&["web", "-o", "-b", &hub.address]);
    command.env("PATH", format!("{}:/bin:/usr/bin", program.parent().expect("a folder").display()));
    let link = format!("http://{}/\n", hub.address);
    assert_eq!(finish(command).expect_code(0).stdout, link);
    let opened = project.folder().path().join("opened");
    wait_until("the browser has the address", || std::fs::read_to_string(&opened).is_ok_and(|text| text == link));
    let mut command = project.command(&["web", "-o", "-b", &hub.address]);
    command.env("PATH", "/nowhere");
    finish(command).expect_code(0).expect_stderr(&["no program that opens a browser"]);
}
