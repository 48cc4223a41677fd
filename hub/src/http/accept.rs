//! How a connection begins: with a TLS handshake if the server has a certificate, else with HTTP. A client that uses the wrong
//! one of the two receives an HTTP error that says so.

use std::io;
use std::time::Duration;

use bue_model::wire::{ErrorBody, ErrorView};
use rustls::{AlertDescription, CertificateError, Error};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::http::timeout_stream::TimeoutStream;
use crate::http::tls::Tls;

/// Time for the first byte of a connection, for a request's head, and for an idle connection to send one.
pub(crate) const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for a TLS handshake: three messages, with a busy processor on both sides.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The first byte of a TLS handshake record. No HTTP method begins with it.
const TLS_HANDSHAKE: u8 = 0x16;
/// Bytes read and discarded after an error reply. If the connection were closed while the client is still sending, a reset
/// could reach the client before the reply.
const LINGER_BYTES: u64 = 64 * 1024;
/// Time for sending an error reply and for that reading.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// A plain or encrypted byte stream.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Returns a stream that carries HTTP, after the handshake if the server uses TLS. `None` means that the client sent nothing.
///
/// # Errors
/// The client uses the wrong protocol or the handshake fails. The text is for the log.
pub(crate) async fn accept<S>(
    mut stream: TimeoutStream<S>,
    tls: Option<&Tls>,
) -> Result<Option<Box<dyn Stream>>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let first_byte_timeout = if tls.is_some() { HANDSHAKE_TIMEOUT } else { HEADER_TIMEOUT };
    let Ok(Some(first_byte)) = timeout(first_byte_timeout, stream.peek_byte()).await else { return Ok(None) };
    match (tls, first_byte == TLS_HANDSHAKE) {
        (None, false) => Ok(Some(Box::new(stream))),
        (Some(tls), true) => handshake(stream, tls).await.map(Some),
        (Some(_), false) => {
            let hint = "write its address as https://HOST:PORT";
            reply_error(stream, "tls_needed", "this port speaks TLS and received plain HTTP", hint).await;
            Err("the client sent plain HTTP to a port that speaks TLS; its address should begin with https://"
                .to_owned())
        }
        (None, true) => {
            let hint = "write its address as http://HOST:PORT, or start the server with --tls-cert and --tls-key";
            reply_error(stream, "no_tls", "this port speaks plain HTTP and received TLS", hint).await;
            Err("the client sent TLS to a port that speaks plain HTTP; its address should begin with http://, or start \
                 this server with --tls-cert and --tls-key"
                .to_owned())
        }
    }
}

async fn handshake<S>(stream: TimeoutStream<S>, tls: &Tls) -> Result<Box<dyn Stream>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = TlsAcceptor::from(tls.config()).accept(stream);
    match timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(handshake_error_text(&error)),
        Err(_) => Err(format!("the TLS handshake took more than {} s", HANDSHAKE_TIMEOUT.as_secs())),
    }
}

/// Why a handshake failed, and which file fixes it.
fn handshake_error_text(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::NoCertificatesPresented) => {
            "the client presented no certificate; give it --client-cert and --client-key".to_owned()
        }
        Some(Error::InvalidCertificate(error)) => format!("the client's certificate {}", certificate_error_text(error)),
        Some(Error::AlertReceived(alert)) => {
            format!("the client rejected this server's certificate: {}", alert_text(*alert))
        }
        _ => format!("the TLS handshake failed: {error}"),
    }
}

fn certificate_error_text(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired; give the client a new one".to_owned()
        }
        // a bad signature mostly means an authority that was created again under the same name
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "was signed by an authority that --tls-client-ca does not contain; add that authority, or give the client \
             another certificate"
                .to_owned()
        }
        error => format!("cannot be used: {error}"),
    }
}

fn alert_text(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateExpired => {
            "it has expired; put a new one into the files of --tls-cert and --tls-key".to_owned()
        }
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            "the client does not know its authority; give the client that authority's file with --ca".to_owned()
        }
        AlertDescription::BadCertificate => {
            "it is not for the name in the client's address, or is damaged; create one for that name".to_owned()
        }
        alert => format!("{alert:?}"),
    }
}

/// Sends an error in plain HTTP, even to a client that speaks TLS: people can read it, and TLS libraries recognise it.
async fn reply_error<S>(mut stream: TimeoutStream<S>, code: &str, message: &str, hint: &str)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (code, message, hint) = (code.to_owned(), message.to_owned(), hint.to_owned());
    let error = ErrorView { code, message, hint, fields: Vec::new() };
    let body = serde_json::to_string(&ErrorBody { error }).unwrap_or_default();
    let length = body.len();
    let text = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let reply = async {
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // the client may have gone away
    let _ = timeout(LINGER_TIMEOUT, reply).await;
}
