//! Makes connections, only to addresses that were checked. The name is resolved here and the checked address is dialled, so
//! that a name which resolves differently a moment later (DNS rebinding) changes nothing.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::task::{Context, Poll};
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;
use url::Host;

use crate::parent::egress::address::canonical;
use crate::parent::egress::budget::NetBudget;
use crate::parent::egress::counted_stream::CountedStream;
use crate::parent::egress::gate::{Authority, Gate, Refusal, address_of, is_localhost};
use crate::parent::egress::upload::Attempt;
use crate::step::box_future::BoxFuture;

/// Addresses of a name that are tried at most.
const MAX_ADDRESSES: usize = 8;

/// Resolves host names.
pub trait Resolve: core::fmt::Debug + Send + Sync {
    /// Returns the addresses of a host, in the order in which they are tried.
    fn resolve(&self, host: String) -> BoxFuture<io::Result<Vec<IpAddr>>>;
}

/// Why a connection failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("{0} has no address: {1}")]
    Name(String, String),
    #[error("cannot connect to {0}: {1}")]
    Dial(String, #[source] io::Error),
    #[error("no connection to {0} within {1:?}")]
    Timeout(String, core::time::Duration),
    #[error("{0} is not an address to connect to")]
    Address(String),
}

/// Resolves, checks and dials; shared by the connectors of all gates.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) resolver: Arc<dyn Resolve>,
    /// The addresses of hub, bucket and databases.
    pub(crate) own_servers: Vec<SocketAddr>,
    /// Has a place for each connection.
    pub(crate) budget: NetBudget,
}

tokio::task_local! {
    /// The attempt that a connection is made for.
    pub(crate) static ATTEMPT: Arc<Attempt>;
}

/// Makes the connections of a pooled client: with a timeout, and with TLS for https.
#[derive(Clone)]
pub(crate) struct Connector(HttpsConnector<TcpConnector>);

impl Connector {
    pub(crate) fn new(dialer: Arc<Dialer>, gate: Arc<Gate>, tls: rustls::ClientConfig) -> Self {
        let tcp = TcpConnector { dialer, gate };
        Self(
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_all_versions().wrap_connector(tcp),
        )
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<CountedStream>>;
    type Error = Box<dyn core::error::Error + Send + Sync>;
    type Future = BoxFuture<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // the client calls this inside the task of a request, whose timeout counts even if another request uses the connection
        let Ok(attempt) = ATTEMPT.try_with(Arc::clone) else {
            return Box::pin(async { Err("a connection outside of a request".into()) });
        };
        let authority = uri.authority().map_or_else(String::new, ToString::to_string);
        let connected = self.0.call(uri);
        Box::pin(async move {
            let connecting = Connecting::new(&attempt);
            let timeout = attempt.connect_timeout;
            let connected = tokio::time::timeout(timeout, connected).await;
            drop(connecting);
            connected.unwrap_or_else(|_| Err(ConnectError::Timeout(authority, timeout).into()))
        })
    }
}

/// While this exists, the connection's timeout counts and not that of the response.
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

/// Dials what its gate allows.
#[derive(Clone)]
pub(crate) struct TcpConnector {
    dialer: Arc<Dialer>,
    gate: Arc<Gate>,
}

impl Service<Uri> for TcpConnector {
    type Response = TokioIo<CountedStream>;
    type Error = ConnectError;
    type Future = BoxFuture<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (dialer, gate) = (Arc::clone(&self.dialer), Arc::clone(&self.gate));
        Box::pin(async move {
            let authority = authority(&uri).ok_or_else(|| ConnectError::Address(uri.to_string()))?;
            dialer.connect(&authority, &gate).await.map(TokioIo::new)
        })
    }
}

/// Returns the authority of a URI that `request.rs` built.
fn authority(uri: &Uri) -> Option<Authority> {
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    Some(Authority { host: Host::parse(uri.host()?).ok()?, port: uri.port_u16().unwrap_or(default) })
}

impl Dialer {
    /// Connects to the first address that is allowed and answers.
    pub(crate) async fn connect(&self, authority: &Authority, gate: &Gate) -> Result<CountedStream, ConnectError> {
        gate.check_authority(authority)?;
        let (mut place, mut last) = (self.budget.connection().await, None);
        for address in self.addresses(authority).await?.into_iter().take(MAX_ADDRESSES) {
            match self.check_address(authority, address, gate) {
                Ok(()) => match TcpStream::connect((address, authority.port)).await {
                    Ok(stream) => {
                        // TCP_NODELAY, best effort: a small request should not wait to be merged with the next
                        let _ = stream.set_nodelay(true);
                        return Ok(CountedStream { stream, _place: place.take() });
                    }
                    Err(error) => last = Some(ConnectError::Dial(authority.to_string(), error)),
                },
                // an address that failed explains more than one that was refused
                Err(refusal) => last = last.or(Some(ConnectError::Refused(refusal))),
            }
        }
        Err(last
            .unwrap_or_else(|| ConnectError::Name(authority.host.to_string(), "the name has no addresses".to_owned())))
    }

    fn check_address(&self, authority: &Authority, address: IpAddr, gate: &Gate) -> Result<(), Refusal> {
        if self.is_own_server(address, authority.port) {
            gate.check_own_server(address, authority.port)?;
        }
        match address_of(&authority.host) {
            // an address literal was checked by `check_authority`
            Some(literal) if literal == address => Ok(()),
            _ => gate.check_address(authority, address),
        }
    }

    /// Returns whether one of bue's servers listens there. One on this machine may listen on all of the machine's addresses.
    fn is_own_server(&self, address: IpAddr, port: u16) -> bool {
        self.own_servers.iter().any(|own| {
            let ip = canonical(own.ip());
            own.port() == port && (ip == address || (is_of_this_machine(ip) && is_of_this_machine(address)))
        })
    }

    async fn addresses(&self, authority: &Authority) -> Result<Vec<IpAddr>, ConnectError> {
        if let Some(address) = address_of(&authority.host) {
            return Ok(vec![address]);
        }
        if is_localhost(&authority.host) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let name = authority.host.to_string();
        let addresses = self.resolver.resolve(name.clone()).await;
        let addresses = addresses.map_err(|error| ConnectError::Name(name, error.to_string()))?;
        Ok(addresses.into_iter().map(canonical).collect())
    }
}

/// Returns whether an address belongs to this machine: only then can a socket be bound to it.
fn is_of_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified() || UdpSocket::bind((address, 0)).is_ok()
}
