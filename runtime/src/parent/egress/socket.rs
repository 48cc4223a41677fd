//! One TCP connection of a step: bytes go out and come in, each as fast as the server and the step take them. It may turn to TLS on
//! the way.
//!
//! ```text
//! connect -- both directions at once --> until the step closes it or an error occurs
//!        ^                          |
//!        +------ TLS handshake <----+    asked for by the step; a read that waits is given back
//! ```

use core::time::Duration;
use std::io;
use std::sync::Arc;

use bue_model::net::{Completion, NetError, NetErrorKind, Ticket, TlsSession, TlsSettings};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::FutureExt;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::parent::egress::commands::{Commands, ReadCommand, WriteCommand};
use crate::parent::egress::connect::ConnectError;
use crate::parent::egress::counted_stream::CountedStream;
use crate::parent::egress::exchange::{MAX_CONNECT_TIMEOUT, timeout};
use crate::parent::egress::exchange_error::{ExchangeError, net_error};
use crate::parent::egress::gate::Authority;
use crate::parent::egress::request::socket_authority;
use crate::parent::egress::session_state::SessionState;

/// Bytes of memory that a read takes while it waits. Thousands of connections may wait.
const WAITING_BYTES: usize = 4 * 1024;

/// A connection, without TLS or with it.
type Stream = Either<CountedStream, TlsStream<CountedStream>>;

/// What to connect to.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) timeout_ms: Option<u64>,
}

/// A step's wish for TLS.
struct Upgrade {
    ticket: Ticket,
    settings: TlsSettings,
}

/// A connection and the step that has it.
struct Socket<'a> {
    state: &'a SessionState,
    exchange: Ticket,
    authority: Authority,
}

/// Runs until the step closes the connection or an error occurs. `exchange` is the ticket of [`Operation::Connect`].
///
/// [`Operation::Connect`]: bue_model::net::Operation::Connect
pub(crate) async fn run(state: Arc<SessionState>, exchange: Ticket, target: Target, commands: Commands) {
    let (last, completion) = match connect(&state, &target).await {
        Ok((stream, authority)) => {
            state.finish_operation(exchange, exchange, Completion::Connected);
            Socket { state: &state, exchange, authority }.serve(Either::Left(stream), commands).await
        }
        Err(ExchangeError::Refused(refusal)) => (exchange, state.refuse(refusal)),
        Err(ExchangeError::Failed(error)) => (exchange, Completion::Failed(error)),
    };
    state.finish_exchange(exchange, last, completion);
}

async fn connect(state: &SessionState, target: &Target) -> Result<(CountedStream, Authority), ExchangeError> {
    let authority = socket_authority(&target.host, target.port)?;
    let timeout = timeout(target.timeout_ms, MAX_CONNECT_TIMEOUT);
    let connected = state.connect(&authority, timeout).await;
    connected.map(|stream| (stream, authority.clone())).map_err(|error| ExchangeError::from_client(&error, &authority))
}

impl Socket<'_> {
    /// Returns the operation that ends the connection, and its result.
    async fn serve(self, mut stream: Stream, commands: Commands) -> (Ticket, Completion) {
        let Commands { mut reads, mut writes } = commands;
        // a read that waits for bytes
        let mut reading = None;
        loop {
            let (mut input, mut output) = tokio::io::split(stream);
            let upgrade = tokio::select! {
                last = self.receive(&mut input, &mut reads, &mut reading) => return last,
                upgrade = self.send(&mut output, &mut writes) => upgrade,
            };
            // nobody could say whether their bytes came through TLS
            for waiting in reading.take().into_iter().chain(core::iter::from_fn(|| reads.try_recv().ok())) {
                self.finish(waiting.ticket, closed("TLS begins"));
            }
            stream = match input.unsplit(output) {
                Either::Left(plain) => match self.secure(plain, upgrade.settings).await {
                    Ok((secured, session)) => {
                        self.finish(upgrade.ticket, Completion::Secured(session));
                        Either::Right(secured)
                    }
                    Err(error) => return (upgrade.ticket, Completion::Failed(error)),
                },
                secured => {
                    self.finish(upgrade.ticket, closed("the connection uses TLS already"));
                    secured
                }
            };
        }
    }

    fn finish(&self, ticket: Ticket, completion: Completion) {
        self.state.finish_operation(self.exchange, ticket, completion);
    }

    /// Reads what the step asks for. Returns the read that ends the connection. Cancel safe: `reading` is the read that waits.
    async fn receive(
        &self,
        input: &mut ReadHalf<Stream>,
        reads: &mut mpsc::Receiver<Box<ReadCommand>>,
        reading: &mut Option<Box<ReadCommand>>,
    ) -> (Ticket, Completion) {
        loop {
            if reading.is_none() {
                *reading = reads.recv().await;
            }
            let Some(command) = reading.as_ref() else {
                return (self.exchange, closed("the step closed it"));
            };
            let ticket = command.ticket;
            match self.read(input, command).await {
                Ok(bytes) => {
                    *reading = None;
                    self.finish(ticket, Completion::Data { bytes, last: false });
                }
                Err(error) => return (ticket, Completion::Failed(error)),
            }
        }
    }

    /// Returns the next bytes; none if the server has ended this direction. Cancel safe.
    async fn read(&self, input: &mut ReadHalf<Stream>, command: &ReadCommand) -> Result<Bytes, NetError> {
        let max = command.max as usize;
        let mut bytes = BytesMut::with_capacity(WAITING_BYTES);
        let mut first = (&mut bytes).limit(max);
        let first = input.read_buf(&mut first);
        let read = match command.timeout_ms.map(Duration::from_millis) {
            None => first.await,
            Some(timeout) => match tokio::time::timeout(timeout, first).await {
                Ok(read) => read,
                Err(_) => return Err(self.timed_out(timeout)),
            },
        };
        match read {
            // many servers end TLS by closing the connection, and Python takes that for the end
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Bytes::new()),
            Err(error) => return Err(net_error(&error, &self.authority)),
            Ok(0) => return Ok(Bytes::new()),
            Ok(_) => {}
        }
        // what has arrived already; the next read returns an end or an error that follows it
        while bytes.len() < max {
            bytes.reserve((max - bytes.len()).min(8 * WAITING_BYTES));
            let room = max - bytes.len();
            let mut rest = (&mut bytes).limit(room);
            if !matches!(input.read_buf(&mut rest).now_or_never(), Some(Ok(1..))) {
                break;
            }
        }
        self.state.count_received(bytes.len())?;
        Ok(bytes.freeze())
    }

    fn timed_out(&self, timeout: Duration) -> NetError {
        NetError::new(NetErrorKind::ReadTimeout, format!("{} sent nothing for {timeout:?}", self.authority))
    }

    /// Writes what the step sends. Returns when it asks for TLS.
    async fn send(&self, output: &mut WriteHalf<Stream>, writes: &mut mpsc::Receiver<Box<WriteCommand>>) -> Upgrade {
        while let Some(command) = writes.recv().await {
            match *command {
                WriteCommand::Write { ticket, bytes, last } => {
                    let written = write(output, &bytes, last).await;
                    // the connection stays: what the server sent before it ended is still to be read
                    let completion = written.map_or_else(|error| closed(&error.to_string()), |()| Completion::Written);
                    self.finish(ticket, completion);
                }
                WriteCommand::StartTls { ticket, settings } => return Upgrade { ticket, settings },
            }
        }
        // the connection ends with its reads
        core::future::pending().await
    }

    /// Does the TLS handshake.
    async fn secure(
        &self,
        stream: CountedStream,
        settings: TlsSettings,
    ) -> Result<(TlsStream<CountedStream>, TlsSession), NetError> {
        let name = ServerName::try_from(settings.server_name.clone()).map_err(|_| {
            NetError::new(NetErrorKind::BadRequest, "the name of the server is neither a host name nor an address")
        })?;
        let config = self.state.tls(settings)?;
        let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let stream = match tokio::time::timeout(MAX_CONNECT_TIMEOUT, handshake).await {
            Ok(stream) => stream.map_err(|error| net_error(&error, &self.authority))?,
            Err(_) => return Err(net_error(&self.no_handshake(), &self.authority)),
        };
        let session = session(stream.get_ref().1);
        Ok((stream, session))
    }

    fn no_handshake(&self) -> ConnectError {
        ConnectError::Timeout(self.authority.to_string(), MAX_CONNECT_TIMEOUT)
    }
}

async fn write(output: &mut WriteHalf<Stream>, bytes: &[u8], last: bool) -> io::Result<()> {
    output.write_all(bytes).await?;
    output.flush().await?;
    if last { output.shutdown().await } else { Ok(()) }
}

fn closed(message: &str) -> Completion {
    Completion::Failed(NetError::new(NetErrorKind::Closed, message))
}

/// Returns what a handshake negotiated.
fn session(connection: &rustls::ClientConnection) -> TlsSession {
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    };
    let cipher = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    let certificate = connection.peer_certificates().and_then(|chain| chain.first());
    TlsSession {
        version: version.to_owned(),
        // as OpenSSL names it
        cipher: cipher.unwrap_or_default().replacen("TLS13_", "TLS_", 1),
        protocol: connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
        certificate: certificate.map_or_else(Bytes::new, |der| Bytes::copy_from_slice(der)),
    }
}
