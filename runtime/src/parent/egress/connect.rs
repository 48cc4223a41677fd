//! Makes connections, only to addresses that were checked: the name is looked up here, and what is dialled is what was
//! looked at, so that a name which means something else a moment later changes nothing.

use core::future::Future;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::sync::Arc;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;
use url::Host;

use crate::parent::egress::address::canonical;
use crate::parent::egress::gate::{Gate, Place, Refusal, address_of, is_localhost};
use crate::parent::egress::upload::Attempt;

/// Addresses of a name that are tried.
const MOST_ADDRESSES: usize = 8;

/// A future of somebody else's making.
pub type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Looks names up.
pub trait Resolve: core::fmt::Debug + Send + Sync {
    /// The addresses of a host, best ones first.
    fn resolve(&self, host: String) -> Boxed<io::Result<Vec<IpAddr>>>;
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("{0} has no address: {1}")]
    Name(String, String),
    #[error("{0} is not reached: {1}")]
    Dial(String, #[source] io::Error),
    #[error("no connection to {0} within {1:?}")]
    Timeout(String, core::time::Duration),
    #[error("{0} is no address to connect to")]
    Address(String),
}

/// What connections of all gates share.
#[derive(Debug)]
pub(crate) struct Dialler {
    pub(crate) resolver: Arc<dyn Resolve>,
    /// Where our own servers listen.
    pub(crate) own: Vec<SocketAddr>,
}

tokio::task_local! {
    /// The try that a connection is made for.
    pub(crate) static ATTEMPT: Arc<Attempt>;
}

/// Gives the pooled client its connections: within their time, with TLS where it belongs.
#[derive(Clone)]
pub(crate) struct Connector(HttpsConnector<TcpConnector>);

impl Connector {
    pub(crate) fn new(dialler: Arc<Dialler>, gate: Arc<Gate>, tls: rustls::ClientConfig) -> Self {
        let tcp = TcpConnector { dialler, gate };
        Self(
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_all_versions().wrap_connector(tcp),
        )
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = Box<dyn core::error::Error + Send + Sync>;
    type Future = Boxed<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // the client asks from within the request's task, whose connection this is even if another task gets to use it
        let Ok(attempt) = ATTEMPT.try_with(Arc::clone) else {
            return Box::pin(async { Err("a connection that nobody asked for".into()) });
        };
        let place = uri.authority().map_or_else(String::new, ToString::to_string);
        let connected = self.0.call(uri);
        Box::pin(async move {
            let connecting = Connecting::new(&attempt);
            let longest = attempt.connect;
            let connected = tokio::time::timeout(longest, connected).await;
            drop(connecting);
            connected.unwrap_or_else(|_| Err(ConnectError::Timeout(place, longest).into()))
        })
    }
}

/// While it lives, the time of the connection counts and not that of the response.
struct Connecting<'a>(&'a Attempt);

impl<'a> Connecting<'a> {
    fn new(attempt: &'a Attempt) -> Self {
        attempt.set_connecting(true);
        Self(attempt)
    }
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.0.set_connecting(false);
    }
}

/// Dials what its gate lets through.
#[derive(Clone)]
pub(crate) struct TcpConnector {
    dialler: Arc<Dialler>,
    gate: Arc<Gate>,
}

impl Service<Uri> for TcpConnector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Boxed<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (dialler, gate) = (Arc::clone(&self.dialler), Arc::clone(&self.gate));
        Box::pin(async move {
            let place = place(&uri).ok_or_else(|| ConnectError::Address(uri.to_string()))?;
            dialler.connect(&place, &gate).await.map(TokioIo::new)
        })
    }
}

/// The place of a URI that we made ourselves.
fn place(uri: &Uri) -> Option<Place> {
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    Some(Place { host: Host::parse(uri.host()?).ok()?, port: uri.port_u16().unwrap_or(default) })
}

impl Dialler {
    async fn connect(&self, place: &Place, gate: &Gate) -> Result<TcpStream, ConnectError> {
        gate.check_place(place)?;
        let mut last = None;
        for address in self.addresses(place).await?.into_iter().take(MOST_ADDRESSES) {
            match self.check(place, address, gate) {
                Ok(()) => match TcpStream::connect((address, place.port)).await {
                    Ok(stream) => {
                        // small requests shall not wait for company; a system that cannot do without is no hindrance
                        let _ = stream.set_nodelay(true);
                        return Ok(stream);
                    }
                    Err(error) => last = Some(ConnectError::Dial(place.to_string(), error)),
                },
                // what was dialled and failed says more than what was refused
                Err(refusal) => last = last.or(Some(ConnectError::Refused(refusal))),
            }
        }
        Err(last.unwrap_or_else(|| ConnectError::Name(place.host.to_string(), "the name means nothing".to_owned())))
    }

    fn check(&self, place: &Place, address: IpAddr, gate: &Gate) -> Result<(), Refusal> {
        if self.is_own(address, place.port) {
            gate.check_own(address, place.port)?;
        }
        match address_of(&place.host) {
            // a literal was checked as what it is
            Some(literal) if literal == address => Ok(()),
            _ => gate.check_address(place, address),
        }
    }

    /// Whoever listens on an address of this machine that means only itself, or on all, is found under others too.
    fn is_own(&self, address: IpAddr, port: u16) -> bool {
        let here = |address: IpAddr| address.is_loopback() || address.is_unspecified();
        self.own.iter().any(|own| {
            let ip = canonical(own.ip());
            own.port() == port && (ip == address || (here(ip) && here(address)))
        })
    }

    async fn addresses(&self, place: &Place) -> Result<Vec<IpAddr>, ConnectError> {
        if let Some(address) = address_of(&place.host) {
            return Ok(vec![address]);
        }
        if is_localhost(&place.host) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let name = place.host.to_string();
        let found = self.resolver.resolve(name.clone()).await;
        let found = found.map_err(|error| ConnectError::Name(name, error.to_string()))?;
        Ok(found.into_iter().map(canonical).collect())
    }
}
