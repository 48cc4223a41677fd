//! https: which servers are trusted, and which protocol is negotiated.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bue_model::net::{Body, NetErrorKind, Operation};
use bue_runtime::{Egress, EgressConfig, Limits, NetPolicy};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::server::{Seen, answer, listen};
use super::step::{Step, get, permissions, post, rules};

/// A server with a certificate for these names, in a file of the folder.
async fn serve(names: &[&str], protocol: &'static str, folder: &TempDir) -> (SocketAddr, Arc<Seen>, PathBuf) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a certificate");
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, cert.pem()).expect("a file");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).expect("a key");
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, address) = listen().await;
    let seen = Arc::new(Seen::default());
    let of_server = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (seen, acceptor) = (Arc::clone(&of_server), acceptor.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                seen.connections.fetch_add(1, Ordering::SeqCst);
                let of_requests = Arc::clone(&seen);
                let service = service_fn(move |request| answer(request, Arc::clone(&of_requests)));
                let stream = TokioIo::new(stream);
                let _ = match protocol {
                    "h2" => {
                        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        server.serve_connection(stream, service).await
                    }
                    _ => hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await,
                };
            });
        }
    });
    (address, seen, file)
}

fn step(server: SocketAddr, file: Option<&Path>) -> Step {
    let rule = format!("localhost:{}", server.port());
    let config = EgressConfig { allowed: NetPolicy::Rules(rules(&["localhost"])), ..EgressConfig::default() };
    let egress = Egress::new(config, file).expect("certificates");
    Step::new(egress.port(&permissions(&[&rule]), &Limits::default()))
}

#[tokio::test]
async fn a_trusted_server_works_with_both_protocols() {
    let folder = TempDir::new().expect("a folder");
    for (protocol, version) in [("http/1.1", 11), ("h2", 20)] {
        let (server, seen, file) = serve(&["localhost"], protocol, &folder).await;
        let mut step = step(server, Some(&file));
        let origin = format!("https://localhost:{}", server.port());
        for _ in 0..3 {
            let (response, body) = step.whole(get(&origin, "/echo")).await;
            assert_eq!((response.status, response.version), (200, version));
            assert!(String::from_utf8_lossy(&body).contains("/echo"));
        }
        assert_eq!(seen.connections(), 1);
        let (response, _) = step.whole(get(&origin, "/bytes/3000000")).await;
        assert_eq!(response.status, 200);
        let exchange = step.start(Operation::Request(post(&origin, "/count", Body::Streamed)));
        for last in [false, true] {
            let bytes = vec![b'z'; 500_000].into();
            step.complete(Operation::Write { exchange, bytes, last }).await;
        }
        let completion = step.wait(exchange).await;
        assert!(format!("{completion:?}").contains("1000000"), "{completion:?}");
    }
}

#[tokio::test]
async fn two_hundred_exchanges_share_a_connection_of_http_2() {
    let folder = TempDir::new().expect("a folder");
    let (server, seen, file) = serve(&["localhost"], "h2", &folder).await;
    let mut step = step(server, Some(&file));
    let origin = format!("https://localhost:{}", server.port());
    step.whole(get(&origin, "/status/200")).await;
    let tickets: Vec<_> = (0..200).map(|_| step.start(Operation::Request(get(&origin, "/together/200")))).collect();
    for ticket in tickets {
        let completion = step.wait(ticket).await;
        assert!(
            matches!(&completion, bue_model::net::Completion::Response(response) if response.status == 200),
            "{completion:?}"
        );
    }
    assert_eq!(seen.connections(), 1);
}

#[tokio::test]
async fn no_other_certificate_is_trusted() {
    let folder = TempDir::new().expect("a folder");
    let (server, seen, file) = serve(&["elsewhere.example"], "h2", &folder).await;
    let origin = format!("https://localhost:{}", server.port());
    for (file, words) in [(None, "UnknownIssuer"), (Some(file.as_path()), "not valid for")] {
        let error = step(server, file).failure(get(&origin, "/")).await;
        assert_eq!(error.kind, NetErrorKind::Tls, "{error:?}");
        assert!(error.message.contains(words), "{error:?}");
    }
    assert_eq!(seen.connections(), 0);
}

#[tokio::test]
async fn a_file_without_certificates_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, "no certificate").expect("a file");
    let error = Egress::new(EgressConfig::default(), Some(&file)).expect_err("refused").to_string();
    assert!(error.contains("no certificate in PEM"), "{error}");
}
