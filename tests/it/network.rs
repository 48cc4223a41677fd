//! What steps can reach: a local server, allowed or not by the script and by the worker.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bue_test_support::process;

use crate::project::{Project, prepare, python};

/// Starts a server that answers with the head of the request. Returns its address and the count of its requests.
pub(crate) fn server() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            counted.fetch_add(1, Ordering::SeqCst);
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                head.push(byte[0]);
            }
            let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", head.len());
            let _ = stream.write_all(&[answer.as_bytes(), &head].concat());
        }
    });
    (address, requests)
}

/// A script with one step that sends a request to the server, below these settings.
fn script(settings: &str, server: SocketAddr, header: &str) -> Project {
    let code = format!(
        "import _bue_net as net\n\
         def ask():\n    \
             [(_, what, value)] = net.wait([net.start('GET', 'http://{server}', '/', [('Authorization', '{header}')])])\n    \
             if what == 'failed':\n        \
                 raise PermissionError(value[1])\n    \
             return value[4].decode()"
    );
    Project::script(&format!("{settings}\n{}", python("ask", &code, "ask()")))
}

fn allowing(server: SocketAddr) -> String {
    format!("!allow net {server}")
}

#[test]
fn a_server_is_reached_if_both_sides_allow_it() {
    prepare();
    let (server, requests) = server();
    let project = script(&allowing(server), server, "none");
    let rule = server.to_string();
    let ways: [&[&str]; 4] = [
        &["run", "x.bue", "--json", "--allow-net", &rule],
        &["run", "--json", "--allow-net", &rule, "--allow-net", "x.bue"],
        &["run", "--allow-net=10.0.0.0/8", "--allow-net", "127.0.0.0/8", "x.bue", "--json"],
        &["run", "x.bue", "--json", "--allow-net", "*,127.0.0.1"],
    ];
    for way in ways {
        let output = project.bue(way).expect_code(0);
        assert!(output.last().as_str().is_some_and(|text| text.contains("GET / HTTP/1.1")), "{way:?}");
    }
    project.write("bue.toml", &format!("[allow]\nnet = ['{rule}']\n"));
    project.run().expect_code(0);
    assert_eq!(requests.load(Ordering::SeqCst), 5);
}

#[test]
fn a_server_is_not_reached_if_only_one_side_allows_it() {
    prepare();
    let (server, requests) = server();
    let (rule, asked) = (server.to_string(), allowing(server));
    let cases: [(&str, &[&str], &[&str]); 5] = [
        (&asked, &[], &["the worker does not allow", "--allow-net 127.0.0.1"]),
        (&asked, &["--allow-net"], &["`--allow-net` allows public addresses only", "--allow-net 127.0.0.1"]),
        ("", &["--allow-net", &rule], &["the script does not allow", "`!allow net 127.0.0.1"]),
        (&asked, &["--allow-net", "api.example.com"], &["the worker does not allow"]),
        ("!allow net POST 127.0.0.1", &["--allow-net"], &["the script does not allow"]),
    ];
    for (settings, flags, words) in cases {
        let project = script(settings, server, "none");
        let arguments: Vec<&str> =
            ["run", "x.bue", "--explain-deny"].into_iter().chain(flags.iter().copied()).collect();
        let output = project.bue(&arguments).expect_code(1);
        output.expect_stderr(words);
        output.expect_stderr(&["PermissionError", "bue: refused: ", "what was refused would be allowed by", &rule]);
    }
    assert_eq!(requests.load(Ordering::SeqCst), 0);
}

#[test]
fn a_secret_reaches_only_its_server() {
    const CANARY: &str = "canary-81c2";
    // the server speaks http
    const INSECURE: &str = "[secrets]\nKEY = { insecure = true }\n";
    prepare();
    let (server, _) = server();
    let settings = format!("{}\n!allow secret KEY", allowing(server));
    let project = script(&settings, server, "Bearer secret:KEY");
    let named = server.to_string();
    project.write("bue.toml", INSECURE);
    let mut command = project.command(&["run", "x.bue", "--json", "--allow-net", &named]);
    let output = process::output(command.env("BUE_SECRET_KEY", CANARY)).expect("bue starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&format!("authorization: Bearer {CANARY}")), "{text}");
    let reading = python("read", "import bue\ndef read():\n    return bue.secret('KEY')", "read()");
    let unasked = script(&allowing(server), server, "secret:KEY");
    unasked.write("bue.toml", INSECURE);
    let reader = Project::script(&format!("!allow secret KEY\n{reading}"));
    let hosts = "[secrets]\nKEY = { env = 'ELSEWHERE', insecure = true, hosts = ['api.example.com'] }\n";
    let scopes = "[secrets]\nKEY = { insecure = true, scopes = ['reports'] }\n";
    // not to a host that `hosts` does not name, not in the clear, not in another scope; not returned by `bue.secret`, and not used
    // without `!allow secret`
    for (project, settings) in [
        (&project, hosts),
        (&project, "[secrets]\nKEY = { }\n"),
        (&project, scopes),
        (&reader, INSECURE),
        (&unasked, INSECURE),
    ] {
        project.write("bue.toml", settings);
        let mut command = project.command(&["run", "x.bue", "--json", "--allow-net", &named]);
        let output =
            process::output(command.env("BUE_SECRET_KEY", CANARY).env("ELSEWHERE", CANARY)).expect("bue starts");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{settings}: {text}");
        assert!(text.contains("secret KEY") && !text.contains(CANARY), "{settings}: {text}");
    }
    reader.write("secret.txt", &format!("{CANARY}\n"));
    reader.write("bue.toml", "[secrets]\nKEY = { file = 'secret.txt', readable = true }\n");
    assert_eq!(reader.run().expect_code(0).last(), CANARY);
}

#[test]
fn invalid_settings_are_refused_with_a_reason() {
    prepare();
    let project = Project::script(&python("one", "def one():\n    return 1", "one()"));
    for (text, words) in [
        ("[allow]\nnet = ['http://a']", "no host"),
        ("[secrets]\nKEY = { env = 'NOT_SET' }", "the secret KEY in bue.toml has no value"),
        ("[secrets]\nKEY = { file = 'not-there' }", "failed to read the secret KEY from not-there"),
        ("[secrets]\nKEY = { file = 'a', env = 'b' }", "both `env` and `file`"),
        ("[secrets]\nKEY = { value = 'x' }", "invalid `[secrets] KEY`"),
        ("[worker]\nca_file = 'not-there'", "BUE_CA_FILE"),
        ("[limits]\nnet_exchanges = 0", "not a number greater than 0"),
        ("[limits]\nnet = 1", "not a limit"),
    ] {
        project.write("bue.toml", text);
        project.bue(&["run", "x.bue"]).expect_code(2).expect_stderr(&[words]);
    }
}

/// A script with a step that sends bytes to a server over TCP, below these settings.
fn tcp_script(settings: &str, server: SocketAddr) -> Project {
    let code = format!(
        "import socket\n\
         def ask():\n    \
             with socket.create_connection(('127.0.0.1', {})) as sock:\n        \
                 sock.sendall(b'*1\\r\\n\\r\\n')\n        \
                 return sock.makefile('rb').read().decode()",
        server.port()
    );
    Project::script(&format!("{settings}\n{}", python("ask", &code, "ask()")))
}

#[test]
fn a_tcp_connection_is_opened_if_both_sides_allow_it() {
    prepare();
    let (server, connections) = server();
    let rule = server.to_string();
    let project = tcp_script(&format!("!allow tcp {rule}"), server);
    let ways: [&[&str]; 3] = [
        &["run", "x.bue", "--json", "--allow-tcp", &rule],
        &["run", "x.bue", "--json", "--allow-tcp", "10.0.0.0/8:5432", "--allow-tcp", "127.0.0.0/8:1-65535"],
        &["run", "x.bue", "--json", "--allow-tcp", &format!("redis.example.com:6379,{rule}")],
    ];
    for way in ways {
        let output = project.bue(way).expect_code(0);
        assert!(output.last().as_str().is_some_and(|text| text.ends_with("*1\r\n\r\n")), "{way:?}");
    }
    let output = process::output(project.command(&["run", "x.bue"]).env("BUE_ALLOW_TCP", &rule)).expect("bue starts");
    assert!(output.status.success(), "{output:?}");
    project.write("bue.toml", &format!("[allow]\ntcp = ['{rule}']\n"));
    project.run().expect_code(0);
    assert_eq!(connections.load(Ordering::SeqCst), 5);
}

#[test]
fn a_tcp_connection_is_not_opened_if_only_one_side_allows_it() {
    prepare();
    let (server, connections) = server();
    let rule = server.to_string();
    let asked = format!("!allow tcp {rule}");
    let net = format!("!allow net {rule}");
    let cases: [(&str, &[&str], &[&str]); 5] = [
        (&asked, &[], &["the worker does not allow", "--allow-tcp 127.0.0.1"]),
        (&asked, &["--allow-net", &rule], &["the worker does not allow", "--allow-tcp 127.0.0.1"]),
        (&asked, &["--allow-tcp", "*.example.com:1-65535"], &["the worker does not allow"]),
        ("", &["--allow-tcp", &rule], &["the script does not allow", "`!allow tcp 127.0.0.1"]),
        (&net, &["--allow-tcp", &rule, "--allow-net", &rule], &["the script does not allow", "`!allow tcp 127.0.0.1"]),
    ];
    for (settings, flags, words) in cases {
        let project = tcp_script(settings, server);
        let arguments: Vec<&str> =
            ["run", "x.bue", "--explain-deny"].into_iter().chain(flags.iter().copied()).collect();
        let output = project.bue(&arguments).expect_code(1);
        output.expect_stderr(words);
        output.expect_stderr(&["PermissionError", "bue: refused: ", "what was refused would be allowed by", &rule]);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    let project = tcp_script(&asked, server);
    for (flag, words) in [("redis", "has no port"), ("*", "no host"), ("GET redis:1", "names methods")] {
        project.bue(&["run", "x.bue", "--allow-tcp", flag]).expect_code(2).expect_stderr(&[words, "--allow-tcp redis"]);
    }
}
