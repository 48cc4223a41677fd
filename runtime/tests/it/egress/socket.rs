//! TCP connections of steps: what is allowed, what they cost, and servers and steps that do not behave.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bue_model::NetRule;
use bue_model::net::{Completion, NetError, NetErrorKind, Operation, Ticket, TlsSettings};
use bue_runtime::{Egress, EgressConfig, Limits, NetPolicy, Permissions};
use bue_test_support::wait::{wait_until_async, within_deadline};
use bytes::Bytes;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::denied::{changing, trap};
use super::server::listen;
use super::step::Step;

fn tcp_rules(texts: &[&str]) -> Vec<NetRule> {
    texts.iter().map(|text| NetRule::parse_tcp(text).expect("a rule")).collect()
}

fn permissions(texts: &[&str]) -> Permissions {
    let mut permissions = Permissions::default();
    permissions.tcp = tcp_rules(texts);
    permissions
}

fn config(texts: &[&str]) -> EgressConfig {
    EgressConfig { allowed_tcp: NetPolicy::Rules(tcp_rules(texts)), ..EgressConfig::default() }
}

fn step_with(config: EgressConfig, script: &[&str], limits: &Limits) -> Step {
    let egress = Egress::new(config, None::<&Path>).expect("no file to read");
    Step::new(egress.port(&permissions(script), limits))
}

/// A step that may connect to a server: both sides have the rule.
fn step_to(server: SocketAddr) -> Step {
    let rule = server.to_string();
    step_with(config(&[&rule]), &[&rule], &Limits::default())
}

fn connect(host: &str, port: u16) -> Operation {
    Operation::Connect { host: host.to_owned(), port, timeout_ms: Some(5_000) }
}

async fn connected(step: &mut Step, server: SocketAddr) -> Ticket {
    let ticket = step.start(connect(&server.ip().to_string(), server.port()));
    let completion = within_deadline("a connection", step.wait(ticket)).await;
    assert_eq!(completion, Completion::Connected);
    ticket
}

async fn failure(step: &mut Step, operation: Operation) -> NetError {
    match within_deadline("a failure", step.complete(operation)).await {
        Completion::Failed(error) => error,
        other => panic!("{other:?}"),
    }
}

async fn write(step: &mut Step, exchange: Ticket, bytes: &[u8], last: bool) -> Completion {
    let bytes = Bytes::copy_from_slice(bytes);
    within_deadline("a write", step.complete(Operation::Write { exchange, bytes, last })).await
}

/// Reads until there are this many bytes, or the end.
async fn read(step: &mut Step, exchange: Ticket, len: usize) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < len {
        let (bytes, last) = within_deadline("bytes", step.read(exchange)).await.expect("bytes");
        assert!(!last, "the other direction goes on");
        if bytes.is_empty() {
            break;
        }
        read.extend_from_slice(&bytes);
    }
    read
}

/// Serves each connection with this function.
async fn serve<F: Future<Output = ()> + Send + 'static>(
    work: impl Fn(TcpStream) -> F + Send + Sync + 'static,
) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(work(stream));
        }
    });
    address
}

async fn echo(mut stream: TcpStream) {
    let (mut input, mut output) = stream.split();
    let _ = tokio::io::copy(&mut input, &mut output).await;
}

#[tokio::test]
async fn bytes_travel_in_both_directions_and_each_ends_by_itself() {
    let server = serve(|mut stream| async move {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
        let _ = stream.write_all(&all).await;
    })
    .await;
    let mut step = step_to(server);
    let exchange = connected(&mut step, server).await;
    let sent: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    for part in sent.chunks(200_000) {
        assert_eq!(write(&mut step, exchange, part, false).await, Completion::Written);
    }
    assert_eq!(write(&mut step, exchange, b"", true).await, Completion::Written);
    assert!(read(&mut step, exchange, sent.len()).await == sent, "the same bytes");
    assert_eq!(read(&mut step, exchange, 1).await, b"");
}

#[tokio::test]
async fn a_connection_needs_a_rule_of_both_sides() {
    let (port, came) = trap().await;
    let rule = format!("127.0.0.1:{port}");
    let other = "127.0.0.1:1".to_owned();
    for (worker, script, words) in [
        (
            &other,
            &rule,
            format!(
                "the worker does not allow {rule} (loopback): start `bue worker`, or `bue run`, with `--allow-tcp {rule}`"
            ),
        ),
        (
            &rule,
            &other,
            format!("the script does not allow {rule} (loopback): write `!allow tcp {rule}` above the step"),
        ),
    ] {
        let mut step = step_with(config(&[worker]), &[script], &Limits::default());
        let error = failure(&mut step, connect("127.0.0.1", port)).await;
        assert_eq!((error.kind, error.message.as_str()), (NetErrorKind::Denied, words.as_str()));
    }
    // rules for requests are none for connections, nor the other way around
    let net = EgressConfig { allowed: NetPolicy::Public(tcp_rules(&[&rule])), ..EgressConfig::default() };
    let mut step = step_with(net, &[&rule], &Limits::default());
    assert_eq!(failure(&mut step, connect("127.0.0.1", port)).await.kind, NetErrorKind::Denied);
    let mut step = step_with(config(&[&rule]), &[&rule], &Limits::default());
    let request = Operation::Request(super::step::get(&format!("http://{rule}"), "/"));
    assert_eq!(failure(&mut step, request).await.kind, NetErrorKind::Denied);
    assert_eq!(came.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn special_addresses_need_a_rule_that_names_them() {
    let (port, came) = trap().await;
    let hosts =
        ["127.0.0.1", "127.1", "0x7f000001", "::1", "localhost", "169.254.169.254", "fd00:ec2::254", "10.0.0.1"];
    let broad = [format!("*.example:{port}"), format!("0.0.0.0/0:{port}"), format!("[::]/0:{port}")];
    let broad: Vec<&str> = broad.iter().map(String::as_str).collect();
    for host in hosts {
        let mut step = step_with(config(&broad), &broad, &Limits::default());
        let error = failure(&mut step, connect(host, port)).await;
        assert_eq!(error.kind, NetErrorKind::Denied, "{host}: {error:?}");
        assert!(error.message.contains("--allow-tcp"), "{error:?}");
    }
    assert_eq!(came.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_resolves_to_another_address_later_is_refused() {
    let (port, came) = trap().await;
    let rule = format!("redis.example:{port}");
    for turns in [&[&["127.0.0.1"][..]][..], &[&["169.254.169.254"], &["127.0.0.1"]], &[&["::ffff:127.0.0.1"]]] {
        let egress = Egress::with_resolver(config(&[&rule]), None, changing(turns)).expect("no file to read");
        let mut step = Step::new(egress.port(&permissions(&[&rule]), &Limits::default()));
        for _ in 0..3 {
            let error = failure(&mut step, connect("redis.example", port)).await;
            assert_eq!(error.kind, NetErrorKind::Denied, "{error:?}");
            assert!(error.message.contains("must be named by its address"), "{error:?}");
        }
    }
    assert_eq!(came.load(Ordering::SeqCst), 0);
    // an address that both sides name
    let address = format!("127.0.0.1:{port}");
    let rules = [rule.as_str(), address.as_str()];
    let egress = Egress::with_resolver(config(&rules), None, changing(&[&["127.0.0.1"]])).expect("no file to read");
    let mut step = Step::new(egress.port(&permissions(&rules), &Limits::default()));
    assert_eq!(step.complete(connect("redis.example", port)).await, Completion::Connected);
}

#[tokio::test]
async fn servers_of_bue_need_a_rule_with_their_address_and_port() {
    let (port, came) = trap().await;
    let own = SocketAddr::from(([127, 0, 0, 1], port));
    for rule in ["127.0.0.0/8:1-65535".to_owned(), "127.0.0.1:1-65535".to_owned()] {
        let config = EgressConfig { own_servers: vec![own], ..config(&[&rule]) };
        let error = failure(&mut step_with(config, &[&rule], &Limits::default()), connect("127.0.0.1", port)).await;
        assert!(error.message.contains("a server of bue itself"), "{rule}: {error:?}");
    }
    let rule = own.to_string();
    let config = EgressConfig { own_servers: vec![own], ..config(&[&rule]) };
    let mut step = step_with(config, &[&rule], &Limits::default());
    assert_eq!(step.complete(connect("127.0.0.1", port)).await, Completion::Connected);
    wait_until_async("one connection", async || came.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn ten_thousand_connections_end_at_the_limit() {
    let server = serve(echo).await;
    let rule = server.to_string();
    let limits = Limits { net_exchanges: 20, ..Limits::default() };
    let mut step = step_with(config(&[&rule]), &[&rule], &limits);
    let mut counts = (0, 0);
    let tickets: Vec<Ticket> = (0..10_000).map(|_| step.start(connect("127.0.0.1", server.port()))).collect();
    for ticket in &tickets {
        match within_deadline("an end", step.wait(*ticket)).await {
            Completion::Connected => counts.0 += 1,
            Completion::Failed(error) if error.kind == NetErrorKind::Limit => {
                assert!(error.message.contains("`net_exchanges`"), "{error:?}");
                counts.1 += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(counts, (20, 9_980));
    // a closed one makes room
    step.close(tickets[0]);
    connected(&mut step, server).await;
}

#[tokio::test]
async fn the_connections_of_a_step_are_a_share_of_the_workers() {
    let server = serve(echo).await;
    let rule = server.to_string();
    let config = EgressConfig { max_exchanges: Some(8), ..config(&[&rule]) };
    let egress = Egress::new(config, None::<&Path>).expect("no file to read");
    let mut greedy = Step::new(egress.port(&permissions(&[&rule]), &Limits::default()));
    let mut other = Step::new(egress.port(&permissions(&[&rule]), &Limits::default()));
    for _ in 0..20 {
        greedy.start(connect("127.0.0.1", server.port()));
    }
    let exchange = connected(&mut other, server).await;
    write(&mut other, exchange, b"x", false).await;
    assert_eq!(read(&mut other, exchange, 1).await, b"x");
}

#[tokio::test]
async fn a_server_that_sends_without_end_waits_for_the_step() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let server = serve(move |mut stream| {
        let sent = Arc::clone(&counted);
        async move {
            while stream.write_all(&[b'x'; 65_536]).await.is_ok() {
                sent.fetch_add(65_536, Ordering::SeqCst);
            }
        }
    })
    .await;
    let mut step = step_to(server);
    let exchange = connected(&mut step, server).await;
    // what the kernel holds, of both sides, and nothing else
    wait_until_async("the server waits", async || {
        let before = sent.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(300)).await;
        before > 0 && sent.load(Ordering::SeqCst) == before
    })
    .await;
    assert!(sent.load(Ordering::SeqCst) < 32 << 20, "{sent:?}");
    // one read returns what it asks for at most
    let Ok((bytes, _)) = step.read(exchange).await else { panic!("no bytes") };
    assert!(!bytes.is_empty() && bytes.len() <= 64 * 1024, "{}", bytes.len());
}

#[tokio::test]
async fn the_bytes_of_a_step_are_limited() {
    let server = serve(echo).await;
    let rule = server.to_string();
    let limits = Limits { net_up_bytes: 1_000, net_down_bytes: 500, ..Limits::default() };
    let mut step = step_with(config(&[&rule]), &[&rule], &limits);
    let exchange = connected(&mut step, server).await;
    assert_eq!(write(&mut step, exchange, &[0; 501], false).await, Completion::Written);
    let error = loop {
        if let Err(error) = within_deadline("bytes", step.read(exchange)).await {
            break error;
        }
    };
    assert!(error.kind == NetErrorKind::Limit && error.message.contains("net_down_bytes"), "{error:?}");
    let exchange = connected(&mut step, server).await;
    let Completion::Failed(error) = write(&mut step, exchange, &[0; 500], false).await else { panic!("written") };
    assert!(error.kind == NetErrorKind::Limit && error.message.contains("net_up_bytes"), "{error:?}");
}

#[tokio::test]
async fn a_step_that_ends_closes_its_connections() {
    let open = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&open);
    let server = serve(move |mut stream| {
        let open = Arc::clone(&counted);
        async move {
            open.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 1]).await;
            open.fetch_sub(1, Ordering::SeqCst);
        }
    })
    .await;
    let mut step = step_to(server);
    let first = connected(&mut step, server).await;
    for _ in 0..2 {
        let exchange = connected(&mut step, server).await;
        // one that reads, and never gets anything
        step.start(Operation::Read { exchange, max: 1_000, timeout_ms: None });
    }
    wait_until_async("three connections", async || open.load(Ordering::SeqCst) == 3).await;
    step.close(first);
    wait_until_async("two connections", async || open.load(Ordering::SeqCst) == 2).await;
    drop(step);
    wait_until_async("no connection", async || open.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn failures_have_their_kinds() {
    let (listener, closed) = listen().await;
    drop(listener);
    let mut step = step_to(closed);
    assert_eq!(failure(&mut step, connect("127.0.0.1", closed.port())).await.kind, NetErrorKind::Refused);
    for (host, port) in [("", 1), ("a b", 1), ("127.0.0.1", 0), ("http://x", 1)] {
        assert_eq!(failure(&mut step, connect(host, port)).await.kind, NetErrorKind::BadRequest, "{host}:{port}");
    }
    let server = serve(|stream| async move { drop(stream) }).await;
    let mut step = step_to(server);
    let exchange = connected(&mut step, server).await;
    assert_eq!(read(&mut step, exchange, 1).await, b"");
    let silent = serve(|stream| async move {
        tokio::time::sleep(Duration::from_secs(600)).await;
        drop(stream);
    })
    .await;
    let mut step = step_to(silent);
    let exchange = connected(&mut step, silent).await;
    let error = failure(&mut step, Operation::Read { exchange, max: 1, timeout_ms: Some(10) }).await;
    assert_eq!(error.kind, NetErrorKind::ReadTimeout);
    // the connection is over
    let error = failure(&mut step, Operation::Read { exchange, max: 1, timeout_ms: None }).await;
    assert_eq!(error.kind, NetErrorKind::Closed);
}

/// A server that greets, and turns to TLS when it gets a line. Then it echoes. Returns its certificate too.
async fn tls_server(name: &str) -> (SocketAddr, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).expect("a key");
    config.alpn_protocols = vec![b"echo".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = serve(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            let _ = stream.write_all(b"hello\n").await;
            let _ = stream.read(&mut [0; 1]).await;
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = stream.write_all(b"secret\n").await;
            let (mut input, mut output) = tokio::io::split(stream);
            let _ = tokio::io::copy(&mut input, &mut output).await;
        }
    })
    .await;
    (server, cert.pem())
}

fn start_tls(exchange: Ticket, name: &str, pem: &str) -> Operation {
    let settings = TlsSettings {
        server_name: name.to_owned(),
        authorities: Bytes::copy_from_slice(pem.as_bytes()),
        default_authorities: false,
        protocols: vec!["other".to_owned(), "echo".to_owned()],
    };
    Operation::StartTls { exchange, settings }
}

#[tokio::test]
async fn a_connection_turns_to_tls() {
    let (server, pem) = tls_server("localhost").await;
    let mut step = step_to(server);
    let exchange = connected(&mut step, server).await;
    assert_eq!(read(&mut step, exchange, 6).await, b"hello\n");
    write(&mut step, exchange, b"S", false).await;
    // a read that waits is given back: nobody could say whether its bytes came through TLS
    let waiting = step.start(Operation::Read { exchange, max: 10, timeout_ms: None });
    let secured = step.start(start_tls(exchange, "localhost", &pem));
    let Completion::Failed(error) = within_deadline("the read", step.wait(waiting)).await else { panic!("bytes") };
    assert_eq!(error.kind, NetErrorKind::Closed);
    let Completion::Secured(session) = within_deadline("TLS", step.wait(secured)).await else { panic!("no TLS") };
    assert_eq!((session.version.as_str(), session.protocol.as_deref()), ("TLSv1.3", Some("echo")));
    assert!(session.cipher.starts_with("TLS_") && !session.certificate.is_empty(), "{session:?}");
    assert_eq!(read(&mut step, exchange, 7).await, b"secret\n");
    let sent = vec![7; 1_000_000];
    for part in sent.chunks(250_000) {
        write(&mut step, exchange, part, false).await;
        assert_eq!(read(&mut step, exchange, part.len()).await, part);
    }
    let error = failure(&mut step, start_tls(exchange, "localhost", &pem)).await;
    assert!(error.message.contains("uses TLS already"), "{error:?}");
    write(&mut step, exchange, b"x", false).await;
    assert_eq!(read(&mut step, exchange, 1).await, b"x");
}

#[tokio::test]
async fn only_a_trusted_certificate_for_the_name_is_accepted() {
    let (server, pem) = tls_server("localhost").await;
    let (_, other) = tls_server("localhost").await;
    for (name, pem, kind, words) in [
        ("localhost", "", NetErrorKind::Tls, "UnknownIssuer"),
        ("localhost", other.as_str(), NetErrorKind::Tls, ""),
        ("elsewhere.example", &pem, NetErrorKind::Tls, "not valid for"),
        ("localhost", "no certificate", NetErrorKind::Tls, "none of an authority"),
        ("not a name", &pem, NetErrorKind::BadRequest, "neither a host name"),
    ] {
        let mut step = step_to(server);
        let exchange = connected(&mut step, server).await;
        read(&mut step, exchange, 6).await;
        write(&mut step, exchange, b"S", false).await;
        let error = failure(&mut step, start_tls(exchange, name, pem)).await;
        assert_eq!(error.kind, kind, "{error:?}");
        assert!(error.message.contains(words), "{error:?}");
        let error = failure(&mut step, Operation::Read { exchange, max: 1, timeout_ms: None }).await;
        assert_eq!(error.kind, NetErrorKind::Closed, "the connection is over");
    }
}
