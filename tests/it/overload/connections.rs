//! Exchanges that steps start and never read.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use bue_test_support::authority::{Authority, Valid};
use bue_test_support::wait::wait_until;
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Services, WorkerOptions, count, expect_others_get_on, upload};
use crate::project::step;
use crate::services::wait_for_count;

/// The files that the worker may open.
const FILES: usize = 1_500;

/// The steps, and the exchanges that each starts.
const STEPS: u64 = 200;
const EXCHANGES: u32 = 512;

/// The body that the servers send to whoever asks.
static BODY: [u8; 256 * 1024] = [b'x'; 256 * 1024];

/// An HTTP/1 server that keeps each connection open until the client closes it.
fn http1_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            thread::Builder::new()
                .stack_size(64 * 1024)
                .spawn(move || {
                    let mut request = [0; 1024];
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", BODY.len());
                    while stream.read(&mut request).is_ok_and(|read| read > 0) {
                        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&BODY)).is_err() {
                            return;
                        }
                    }
                })
                .expect("a thread");
        }
    });
    address
}

/// An HTTP/2 server for `localhost`. Returns its port and writes the certificate of its authority.
fn http2_server(folder: &TempDir) -> u16 {
    let authority = Authority::new();
    fs::write(folder.path().join("ca.pem"), &authority.root).expect("a file");
    let (certificate, key) = authority.sign("localhost", Valid::Now);
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    let mut config = config.with_single_cert(vec![certificate], key).expect("a key for the certificate");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a reactor");
        runtime.block_on(serve_http2(listener, TlsAcceptor::from(Arc::new(config))));
    });
    port
}

async fn serve_http2(listener: TcpListener, acceptor: TlsAcceptor) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let answer = async |_: Request<hyper::body::Incoming>| {
                Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from_static(&BODY))))
            };
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

/// Steps that start exchanges with an origin and read nothing take a part of the worker's files and memory.
fn expect_bounded(services: &Services, host: &str, origin: &str) {
    let code = format!(
        "import _bue_net as net, time\n\
         def ask(n):\n    \
             started = [net.start('GET', '{origin}', '/', []) for _ in range({EXCHANGES})]\n    \
             time.sleep(600)"
    );
    let source = step("source", &format!("def source():\n    return list(range({STEPS}))"));
    let script = format!("!allow net {host}\n{source}{}for n in source():\n    ask(n)\n", step("ask", &code));
    let project = services.project(&[("x.bue", &script)]);
    let run = upload(&project);
    wait_for_count("all steps run", STEPS, || count(&project, &run, "running"));
    if origin.starts_with("http:") {
        wait_until("the exchanges have the files that they may have", || open_files(services) > FILES / 4);
    }
    for _ in 0..5 {
        expect_others_get_on(services);
        assert!(open_files(services) < FILES * 3 / 4, "{} files are open", open_files(services));
    }
    let peak = services.peak_mib();
    println!("{origin}: {} files, at most {peak} MiB", open_files(services));
    assert!(peak < 768, "{peak} MiB");
    services.expect_leases_kept();
}

fn open_files(services: &Services) -> usize {
    fs::read_dir(format!("/proc/{}/fd", services.worker.pid())).expect("a process").count()
}

/// Test M over HTTP/1: without a bound for all steps together, the worker runs out of files, and loses its hub.
#[test]
fn steps_that_read_no_answers_take_neither_the_workers_files_nor_its_memory() {
    let server = http1_server();
    let limits = format!("ulimit -n {FILES};");
    let services = Services::start(WorkerOptions {
        limits: &limits,
        flags: &["--allow-net", "127.0.0.1"],
        ..WorkerOptions::default()
    });
    let host = server.to_string();
    expect_bounded(&services, &host, &format!("http://{host}"));
}

/// Test M over HTTP/2, where the exchanges share few connections: what is not read counts, not the files.
#[test]
fn steps_that_read_no_answers_of_http_2_do_not_take_the_workers_memory() {
    let folder = TempDir::new().expect("a folder");
    let port = http2_server(&folder);
    let (limits, host) = (format!("ulimit -n {FILES};"), format!("localhost:{port}"));
    let authority = folder.path().join("ca.pem");
    let services = Services::start(WorkerOptions {
        limits: &limits,
        flags: &["--allow-net", &host],
        variables: &[("BUE_CA_FILE", authority.to_str().expect("a path in UTF-8"))],
    });
    expect_bounded(&services, &host, &format!("https://{host}"));
}
