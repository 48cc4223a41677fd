//! How a connection begins: with TLS where there is a certificate, with HTTP where there is none. Whoever mixes the two up is
//! told so in the words of HTTP.

use std::time::Duration;

use bue_model::wire::{ErrorBody, ErrorView};
use rustls::{AlertDescription, CertificateError, Error};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::http::server::HEADER_TIMEOUT;
use crate::http::timeout_stream::Guarded;
use crate::http::tls::Tls;

/// Time for a handshake: three messages, and a busy processor on both sides.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The first byte of a client that speaks TLS; no method of HTTP begins with it.
const HANDSHAKE: u8 = 0x16;
/// Bytes that are read past for a client that is still sending: closed upon, it might not see the answer.
const LINGER_BYTES: u64 = 64 * 1024;
/// Time for that.
const LINGER: Duration = Duration::from_secs(1);

/// Either way of speaking.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A stream of HTTP; `None` where the client says nothing, and an error where it says something else, for the log.
pub(crate) async fn open<S>(mut stream: Guarded<S>, tls: Option<&Tls>) -> Result<Option<Box<dyn Stream>>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let patience = if tls.is_some() { HANDSHAKE_TIMEOUT } else { HEADER_TIMEOUT };
    let Ok(Some(first)) = timeout(patience, stream.first_byte()).await else { return Ok(None) };
    match (tls, first == HANDSHAKE) {
        (None, false) => Ok(Some(Box::new(stream))),
        (Some(tls), true) => shake_hands(stream, tls).await.map(Some),
        (Some(_), false) => {
            let hint = "write its address as https://HOST:PORT";
            answer(stream, "tls_needed", "this port speaks TLS and was sent plain HTTP", hint).await;
            Err("it sent plain HTTP to a port that speaks TLS; its address should begin with https://".to_owned())
        }
        (None, true) => {
            let hint = "write its address as http://HOST:PORT, or start the server with --tls-cert and --tls-key";
            answer(stream, "no_tls", "this port speaks plain HTTP and was sent TLS", hint).await;
            Err("it sent TLS to a port that speaks plain HTTP; its address should begin with http://, or start this \
                 server with --tls-cert and --tls-key"
                .to_owned())
        }
    }
}

async fn shake_hands<S>(stream: Guarded<S>, tls: &Tls) -> Result<Box<dyn Stream>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let accepting = TlsAcceptor::from(tls.config()).accept(stream);
    match timeout(HANDSHAKE_TIMEOUT, accepting).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(explained(&error)),
        Err(_) => Err(format!("its TLS handshake took more than {} s", HANDSHAKE_TIMEOUT.as_secs())),
    }
}

/// What went wrong in a handshake, and whose files would put it right.
fn explained(error: &std::io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::NoCertificatesPresented) => {
            "it showed no client certificate; give it --client-cert and --client-key".to_owned()
        }
        Some(Error::InvalidCertificate(why)) => format!("its client certificate {}", fault(why)),
        Some(Error::AlertReceived(alert)) => format!("it refused our certificate: {}", said(*alert)),
        _ => format!("its TLS handshake failed: {error}"),
    }
}

fn fault(why: &CertificateError) -> String {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired; give it a new one".to_owned()
        }
        // the latter is another authority of the same name, one that was made anew mostly
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "is of an authority that --tls-client-ca does not name; add that authority, or give it another one"
                .to_owned()
        }
        why => format!("cannot be used: {why}"),
    }
}

fn said(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateExpired => {
            "it has expired; put a new one into the files of --tls-cert and --tls-key".to_owned()
        }
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            "it does not know its authority; give it that authority's file with --ca".to_owned()
        }
        AlertDescription::BadCertificate => {
            "it is not for the name in the client's address, or damaged; make one for that name".to_owned()
        }
        alert => format!("{alert:?}"),
    }
}

/// A refusal in plain HTTP, whatever the other side speaks: people see it, and TLS libraries recognise it.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: Guarded<S>, code: &str, message: &str, hint: &str) {
    let error = ErrorView { code: code.to_owned(), message: message.to_owned(), hint: hint.to_owned() };
    let body = serde_json::to_string(&ErrorBody { error }).unwrap_or_default();
    let length = body.len();
    let text = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let said = async {
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // who is gone already is not told
    let _ = timeout(LINGER, said).await;
}
