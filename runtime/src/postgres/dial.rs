//! Streams to the servers of a database. The client could open them itself, but what comes over them has to be measured before the
//! client buffers it, see [`message_limit`](super::message_limit).

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl, set_tcp_user_timeout,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::database::DEFAULT_PORT;

/// A stream to a server.
pub(super) enum ServerStream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Calls a method of either stream.
macro_rules! delegate {
    ($stream:expr, $method:ident, $($argument:expr),*) => {
        match $stream.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            Self::Unix(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for ServerStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_read, context, buffer)
    }
}

impl AsyncWrite for ServerStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write, context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_flush, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_shutdown, context)
    }
}

/// A server of a database.
#[derive(Clone, Debug)]
pub(super) struct Server {
    place: Place,
    /// Its name, for TLS.
    pub(super) name: String,
}

#[derive(Clone, Debug)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Server {
    /// Opens a stream.
    pub(super) async fn dial(&self, config: &Config) -> io::Result<ServerStream> {
        let stream = async {
            Ok::<_, io::Error>(match &self.place {
                Place::Tcp(address) => {
                    let stream = TcpStream::connect(address).await?;
                    stream.set_nodelay(true)?;
                    set_options(&stream, config)?;
                    ServerStream::Tcp(stream)
                }
                Place::Unix(path) => ServerStream::Unix(UnixStream::connect(path).await?),
            })
        };
        match config.get_connect_timeout() {
            Some(time) => timeout(*time, stream).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            None => stream.await,
        }
    }
}

fn set_options(stream: &TcpStream, config: &Config) -> io::Result<()> {
    if let Some(time) = config.get_tcp_user_timeout() {
        set_tcp_user_timeout(stream, u32::try_from(time.as_millis()).unwrap_or(u32::MAX))?;
    }
    if config.get_keepalives() {
        set_socket_keepalive(stream, true)?;
        set_tcp_keepidle(stream, config.get_keepalives_idle().max(Duration::from_secs(1)))?;
        if let Some(interval) = config.get_keepalives_interval() {
            set_tcp_keepintvl(stream, interval)?;
        }
        if let Some(retries) = config.get_keepalives_retries() {
            set_tcp_keepcnt(stream, retries)?;
        }
    }
    Ok(())
}

/// Returns the servers of a database in the order of its settings, and why the last name among them has no address.
pub(super) async fn servers(config: &Config) -> (Vec<Server>, Option<io::Error>) {
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let (mut servers, mut problem) = (Vec::new(), None);
    for index in 0..hosts.len().max(addresses.len()) {
        let port = ports.get(index).or_else(|| ports.first()).copied().unwrap_or(DEFAULT_PORT);
        let name = match hosts.get(index) {
            Some(Host::Tcp(name)) => name.clone(),
            Some(Host::Unix(folder)) if addresses.get(index).is_none() => {
                let place = Place::Unix(folder.join(format!(".s.PGSQL.{port}")));
                servers.push(Server { place, name: String::new() });
                continue;
            }
            Some(Host::Unix(_)) | None => addresses.get(index).map(ToString::to_string).unwrap_or_default(),
        };
        match addresses.get(index) {
            Some(address) => servers.push(Server { place: Place::Tcp((*address, port).into()), name }),
            None => match lookup_host((name.as_str(), port)).await {
                Ok(found) => {
                    servers.extend(found.map(|address| Server { place: Place::Tcp(address), name: name.clone() }));
                }
                Err(error) => problem = Some(error),
            },
        }
    }
    (servers, problem)
}
