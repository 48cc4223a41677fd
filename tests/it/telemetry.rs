//! Traces and metrics of real services: which requests of steps name their span, and which settings are refused.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bue_test_support::wait::wait_until;
use serde_json::Value;

use crate::network::server;
use crate::project::{Project, finish, prepare, python};
use crate::services::Server;

/// A collector that takes everything. Returns its address and the bodies that it got.
fn collector() -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let received = Arc::<Mutex<Vec<u8>>>::default();
    let bodies = Arc::clone(&received);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, bodies) = (stream.expect("a connection"), Arc::clone(&bodies));
            thread::spawn(move || {
                let mut buffer = [0; 65_536];
                while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
                    let end = buffer[..bytes].ends_with(b"\r\n\r\n");
                    bodies.lock().unwrap_or_else(PoisonError::into_inner).extend(&buffer[..bytes]);
                    // each request has one body, whose first part is all that a test needs
                    if !end
                        && stream
                            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                            .is_err()
                    {
                        break;
                    }
                }
            });
        }
    });
    (address, received)
}

/// A project with a pipeline whose step returns the heads of its requests: one without a header of its own, one with one.
fn project(server: SocketAddr) -> Project {
    let code = format!(
        "import _bue_net as net\n\
         def ask():\n    \
             heads = []\n    \
             for headers in ([], [('TraceParent', 'mine')]):\n        \
                 [(_, what, value)] = net.wait([net.start('GET', 'http://{server}', '/', headers)])\n        \
                 heads.append(value[4].decode() if what != 'failed' else value[1])\n    \
             return heads"
    );
    Project::new(&[("hello.bue", &format!("!allow net {server}\n{}", python("ask", &code, "ask()")))])
}

fn serve(project: &Project, server: SocketAddr, variables: &[(&str, &str)]) -> Server {
    let mut command = project.command(&["serve", "hello.bue", "-b", "127.0.0.1:0", "--bucket-bind", "127.0.0.1:0"]);
    command.args(["--allow-net", &server.to_string()]).envs(variables.iter().copied());
    let served = Server::from_command(command);
    wait_until("the worker serves", || served.stderr().contains(" serves "));
    served
}

fn heads(project: &Project, served: &Server) -> Vec<String> {
    let arguments = ["invoke", "hello", "--wait", "-b", &served.address];
    let value = project.bue_writes(&arguments).expect_code(0).json();
    let heads = value.as_array().expect("a list").iter();
    heads.map(|head| head.as_str().unwrap_or_default().to_lowercase()).collect()
}

fn last_run(project: &Project, served: &Server) -> String {
    let view: Value = project.bue_writes(&["pipeline", "hello", "--json", "-b", &served.address]).expect_code(0).json();
    view["runs"][0]["run"].as_str().expect("a run").replace('-', "")
}

fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks_exact(2).map(|pair| std::str::from_utf8(pair).expect("digits"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("digits")).collect()
}

#[test]
fn requests_of_steps_name_the_span_of_their_attempt() {
    prepare();
    let ((server, _), (collector, received)) = (server(), collector());
    let project = project(server);
    let endpoint = format!("http://{collector}");
    let served = serve(&project, server, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    assert!(served.stderr().contains(&format!("bue: traces go to {endpoint}/v1/traces\n")), "{}", served.stderr());
    let heads = heads(&project, &served);
    let (run, own) = (last_run(&project, &served), &heads[0]);
    let (_, context) = own.split_once(&format!("traceparent: 00-{run}-")).unwrap_or_else(|| panic!("{run}: {own}"));
    assert_eq!(&context[16..19], "-01", "{own}");
    assert!(heads[1].contains("traceparent: mine") && !heads[1].contains(&run), "{}", heads[1]);
    let span = bytes(&context[..16]);
    let has_span = || {
        let received = received.lock().unwrap_or_else(PoisonError::into_inner);
        received.windows(span.len()).any(|window| window == span)
    };
    wait_until("the collector has the span", has_span);
    served.stop();
}

#[test]
fn requests_of_steps_have_no_header_by_default() {
    prepare();
    let (server, _) = server();
    let project = project(server);
    let served = serve(&project, server, &[]);
    assert!(!heads(&project, &served)[0].contains("traceparent"));
    served.stop();
}

/// Starts a hub that has to end at once.
fn refused(variables: &[(&str, &str)], more: &[&str], parts: &[&str]) {
    let project = Project::new(&[]);
    let mut command = project.command(&["hub", "-b", "127.0.0.1:0", "--store", "sqlite:hub.db"]);
    command.args(more).envs(variables.iter().copied());
    finish(command).expect_code(2).expect_stderr(parts);
}

#[test]
fn a_setting_that_is_not_supported_is_refused_at_start() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
    refused(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], &[], &["is `grpc`", "http/protobuf only"]);
    refused(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318")], &[], &["such as http://localhost:4318"]);
    refused(&[("BUE_STATSD", "localhost")], &[], &["`localhost` is not an address", "--statsd HOST:PORT"]);
    refused(&[], &["--statsd", ":8125"], &["`:8125` is not an address"]);
}

#[test]
fn a_hub_says_what_it_does_not_read() {
    let project =
        Project::new(&[("bue.toml", "[report]\notlp_endpoint = 'http://127.0.0.1:9'\nservice_name = 'jobs'\n")]);
    let mut command = project.command(&["hub", "-b", "127.0.0.1:0", "--statsd", "127.0.0.1:9"]);
    command.env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip").env("OTEL_TRACES_SAMPLER", "always_off");
    let hub = Server::from_command(command);
    let ignored = "OTEL_EXPORTER_OTLP_COMPRESSION, OTEL_TRACES_SAMPLER have no effect";
    assert!(hub.stderr().contains(ignored), "{}", hub.stderr());
    wait_until("it says where metrics go", || hub.stderr().contains("metrics go to the StatsD server 127.0.0.1:9\n"));
    hub.stop();
}

#[test]
fn the_address_of_a_collector_is_not_taken_from_a_folder_that_is_not_trusted() {
    let project = Project::new(&[]);
    project.write_untrusted(".env", "OTEL_EXPORTER_OTLP_ENDPOINT=http://theirs.example\nBUE_STATSD=theirs.example:1\n");
    let output = project.bue(&["config", "--json"]).expect_code(0);
    output.expect_stderr(&["ignored BUE_STATSD, OTEL_EXPORTER_OTLP_ENDPOINT in .env"]);
    assert!(!output.stdout.contains("theirs.example"), "{}", output.stdout);
}

#[test]
fn headers_of_a_collector_are_secret() {
    let project = Project::new(&[]);
    let mut command = project.command(&["config", "--json"]);
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2");
    let output = finish(command).expect_code(0);
    assert!(output.stdout.contains("***") && !output.stdout.contains("hunter2"), "{}", output.stdout);
}
