//! TCP servers for `sockets.py`.

use std::net::SocketAddr;
use std::sync::Arc;

use bue_test_support::authority::{Authority, Valid};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio_rustls::TlsAcceptor;

use super::server::{closed_port, listen, plain};

/// How many clients of `meeting` wait for each other.
const MEETING: usize = 3;

/// Their addresses by name, and the authority that signed the certificate of those with TLS.
pub(super) struct TcpServers {
    pub(super) addresses: Vec<(&'static str, String)>,
    pub(super) authority: Authority,
}

impl TcpServers {
    pub(super) async fn start() -> Self {
        let authority = Authority::new();
        let acceptor = acceptor(&authority);
        let (for_starttls, for_injecting) = (acceptor.clone(), acceptor.clone());
        let local = |address: SocketAddr| format!("localhost:{}", address.port());
        let meeting = Arc::new(Barrier::new(MEETING));
        let addresses = vec![
            ("echo", serve(echo).await.to_string()),
            ("reverse", serve(reverse).await.to_string()),
            ("resetting", serve(reset).await.to_string()),
            ("meeting", serve(move |stream| meet(stream, Arc::clone(&meeting))).await.to_string()),
            ("tls", local(serve(move |stream| secure(stream, acceptor.clone())).await)),
            ("starttls", local(serve(move |stream| start_tls(stream, for_starttls.clone(), b"220 go\r\n")).await)),
            (
                "injecting",
                local(serve(move |stream| start_tls(stream, for_injecting.clone(), b"220 go\r\nevil\r\n")).await),
            ),
            ("http_over_tcp", plain().await.to_string()),
            ("closed_tcp", closed_port().await.to_string()),
        ];
        Self { addresses, authority }
    }
}

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

fn acceptor(authority: &Authority) -> TlsAcceptor {
    let (certificate, key) = authority.sign("localhost", Valid::Now);
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = config.with_no_client_auth().with_single_cert(chain, key).expect("a key");
    config.alpn_protocols = vec![b"echo".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn echo(stream: impl AsyncRead + AsyncWrite) {
    let (mut input, mut output) = tokio::io::split(stream);
    let _ = tokio::io::copy(&mut input, &mut output).await;
    let _ = output.shutdown().await;
}

/// Sends all bytes back, the last one first, when the client has ended its direction.
async fn reverse(mut stream: TcpStream) {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    all.reverse();
    let _ = stream.write_all(&all).await;
}

async fn reset(stream: TcpStream) {
    // closing then resets the connection
    stream.set_zero_linger().expect("an option");
}

/// Echoes three bytes when as many clients as [`MEETING`] have sent theirs.
async fn meet(mut stream: TcpStream, meeting: Arc<Barrier>) {
    let mut text = [0; 3];
    if stream.read_exact(&mut text).await.is_ok() {
        meeting.wait().await;
        let _ = stream.write_all(&text).await;
    }
}

async fn secure(stream: TcpStream, acceptor: TlsAcceptor) {
    if let Ok(stream) = acceptor.accept(stream).await {
        echo(stream).await;
    }
}

/// Greets, and turns to TLS when it gets a line.
async fn start_tls(mut stream: TcpStream, acceptor: TlsAcceptor, answer: &'static [u8]) {
    let _ = stream.write_all(b"220 ready\r\n").await;
    let mut line = [0; 10];
    if stream.read_exact(&mut line).await.is_ok() && stream.write_all(answer).await.is_ok() {
        secure(stream, acceptor).await;
    }
}
