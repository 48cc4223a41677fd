//! [`Dial`]: makes connections, over TCP or any other stream of bytes, such as a simulated network, and inside it over TLS for
//! `https://` addresses.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, Scheme};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tower_service::Service;

use crate::error::ClientError;
use crate::trust::{Credentials, Trust};

/// The time for a TCP connection. A server in the same building answers in milliseconds; 5 s allow for one that is starting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Connection for Box<dyn Stream> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// The future of a connection.
pub type DialFuture = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// Makes connections to addresses.
#[derive(Clone)]
pub struct Dial {
    stream: Arc<dyn Fn(Authority) -> DialFuture + Send + Sync>,
    credentials: Credentials,
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dial")
    }
}

impl Dial {
    /// Makes connections with `dial`, which must have its own timeout.
    pub fn new(dial: impl Fn(Authority) -> DialFuture + Send + Sync + 'static) -> Self {
        Self { stream: Arc::new(dial), credentials: Credentials::new(Trust::default()) }
    }

    /// Uses these certificates for TLS.
    pub(crate) fn with_trust(self, trust: Trust) -> Result<Self, ClientError> {
        let is_configured = trust != Trust::default();
        let credentials = Credentials::new(trust);
        if is_configured {
            // report bad files now; the system's authorities are read when they are needed
            credentials.connector()?;
        }
        Ok(Self { credentials, ..self })
    }

    /// Makes connections over TCP.
    pub(crate) fn tcp() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        Self::new(move |address| {
            let mut connector = connector.clone();
            Box::pin(async move {
                let uri = Uri::builder().scheme("http").authority(address).path_and_query("/").build();
                let stream = connector.call(uri.map_err(io::Error::other)?).await.map_err(io::Error::other)?;
                Ok(Box::new(stream.into_inner()) as Box<dyn Stream>)
            })
        })
    }
}

/// The interface that hyper's connection pool uses.
impl Service<Uri> for Dial {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let stream = uri.authority().map(|address| (self.stream)(address.clone()));
        let credentials = (uri.scheme() == Some(&Scheme::HTTPS)).then(|| self.credentials.clone());
        Box::pin(async move {
            let Some(stream) = stream else { return Err(io::ErrorKind::InvalidInput.into()) };
            let stream = stream.await?;
            let stream = match credentials {
                None => stream,
                Some(credentials) => tls_handshake(stream, &credentials, uri.host().unwrap_or_default()).await?,
            };
            Ok(TokioIo::new(stream))
        })
    }
}

async fn tls_handshake(stream: Box<dyn Stream>, credentials: &Credentials, host: &str) -> io::Result<Box<dyn Stream>> {
    let connector = credentials.connector().map_err(io::Error::other)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    let handshake = timeout(HANDSHAKE_TIMEOUT, connector.connect(name, stream));
    Ok(Box::new(
        handshake.await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long"))??,
    ))
}
