//! How connections are made: over TCP, or through whatever gives streams of bytes, like a network that is simulated; and
//! inside that over TLS, where the address says so.

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

use crate::ClientError;
use crate::trust::{Credentials, Trust};

/// A server in the same building answers in milliseconds; 5 s is for one that is just being started.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Connection for Box<dyn Stream> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// A connection, some time later.
pub type Dialing = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// Makes connections to an address.
#[derive(Clone)]
pub struct Dial {
    stream: Arc<dyn Fn(Authority) -> Dialing + Send + Sync>,
    credentials: Credentials,
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dial")
    }
}

impl Dial {
    /// Makes them in a way of its own, which gives up by itself after a while.
    pub fn new(dial: impl Fn(Authority) -> Dialing + Send + Sync + 'static) -> Self {
        Self { stream: Arc::new(dial), credentials: Credentials::new(Trust::default()) }
    }

    /// The same, believing and showing what these files say.
    pub(crate) fn with_trust(self, trust: Trust) -> Result<Self, ClientError> {
        let named = trust != Trust::default();
        let credentials = Credentials::new(trust);
        if named {
            // what is wrong with the files is better said now; the system's are read when somebody needs them
            credentials.connector()?;
        }
        Ok(Self { credentials, ..self })
    }

    /// Over TCP.
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

/// What the pool calls.
impl Service<Uri> for Dial {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialing = uri.authority().map(|address| (self.stream)(address.clone()));
        let credentials = (uri.scheme() == Some(&Scheme::HTTPS)).then(|| self.credentials.clone());
        Box::pin(async move {
            let Some(dialing) = dialing else { return Err(io::ErrorKind::InvalidInput.into()) };
            let stream = dialing.await?;
            let stream = match credentials {
                None => stream,
                Some(credentials) => shake_hands(stream, &credentials, uri.host().unwrap_or_default()).await?,
            };
            Ok(TokioIo::new(stream))
        })
    }
}

async fn shake_hands(stream: Box<dyn Stream>, credentials: &Credentials, host: &str) -> io::Result<Box<dyn Stream>> {
    let connector = credentials.connector().map_err(io::Error::other)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    let shaking = timeout(HANDSHAKE_TIMEOUT, connector.connect(name, stream));
    Ok(Box::new(
        shaking.await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "its TLS handshake takes too long"))??,
    ))
}
