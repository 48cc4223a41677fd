//! Errors of TLS, with what to type against them.

use std::error::Error as StdError;

use http::uri::Authority;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::error::ClientError;

/// Returns the TLS error among the causes of an error, if there is one.
pub(crate) fn tls_error(
    error: &(dyn StdError + 'static),
    server: &'static str,
    address: &Authority,
) -> Option<ClientError> {
    let Explanation { reason, hint } = explain(find(error)?, address);
    Some(ClientError::Tls { server, address: address.to_string(), reason, hint })
}

/// Why TLS failed, and what to do.
struct Explanation {
    reason: String,
    hint: String,
}

impl Explanation {
    fn new(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: hint.into() }
    }
}

/// Searches the causes, including the errors inside `io::Error`s.
fn find<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tls_error) = error.downcast_ref::<Error>() {
            return Some(tls_error);
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(tls_error) = inner.and_then(|inner| find(inner)) {
            return Some(tls_error);
        }
        cause = error.source();
    }
    None
}

fn explain(error: &Error, address: &Authority) -> Explanation {
    match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Explanation::new("it speaks plain HTTP there", format!("write its address as http://{address}"))
        }
        Error::InvalidCertificate(error) => explain_server_certificate(error, address),
        Error::AlertReceived(alert) => explain_alert(*alert),
        error => Explanation::new(error.to_string(), "see the server's log"),
    }
}

fn explain_server_certificate(error: &CertificateError, address: &Authority) -> Explanation {
    let host = address.host();
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Explanation::new(
            "its certificate has expired",
            "replace the files of its --tls-cert and --tls-key; it reloads them by itself",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Explanation::new("its certificate is not valid yet", "set the clocks of both machines, or wait")
        }
        // a bad signature is usually that of a new authority with an old one's name
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Explanation::new(
            "its certificate is of an authority that is not trusted here",
            "name that authority's file with --ca FILE or BUE_SERVER_CA",
        ),
        CertificateError::NotValidForName => wrong_name(host, "other names"),
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            wrong_name(host, &presented.join(", "))
        }
        CertificateError::NotValidForNameContext { .. } => wrong_name(host, "no name"),
        CertificateError::Other(error) if error.to_string().contains("CaUsedAsEndEntity") => Explanation::new(
            "its certificate is one of a certificate authority, such as `openssl req -x509` makes",
            "make one for a server, with the option -addext basicConstraints=critical,CA:FALSE",
        ),
        error => Explanation::new(
            format!("its certificate cannot be used: {error}"),
            "make another one for the server's --tls-cert",
        ),
    }
}

fn wrong_name(host: &str, names: &str) -> Explanation {
    Explanation::new(
        format!("its certificate is for {names}, not for `{host}`"),
        "connect by a name that it is for, or make one that also has this name",
    )
}

/// Explains the alert with which a server refused our certificate.
fn explain_alert(alert: AlertDescription) -> Explanation {
    let flags = "give a certificate that its --tls-client-ca believes with --client-cert FILE and --client-key FILE";
    match alert {
        AlertDescription::CertificateRequired => Explanation::new("it asks for a client certificate", flags),
        AlertDescription::CertificateExpired => Explanation::new(
            "our client certificate has expired",
            "replace the files of --client-cert and --client-key",
        ),
        AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::DecryptError => {
            Explanation::new("it does not believe our client certificate", flags)
        }
        alert => Explanation::new(format!("it ended the connection: {alert:?}"), "see the server's log"),
    }
}
