//! What went wrong between us and a server's certificate, and what to type.

use std::error::Error as StdError;

use http::uri::Authority;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::ClientError;

/// The TLS trouble in an error, if there is one in it.
pub(crate) fn tls_trouble(
    error: &(dyn StdError + 'static),
    server: &'static str,
    address: &Authority,
) -> Option<ClientError> {
    let (why, hint) = explained(find(error)?, address);
    Some(ClientError::Tls { server, address: address.to_string(), why, hint })
}

/// Looks through the causes, and into the errors of the system that carry others.
fn find<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<Error>() {
            return Some(found);
        }
        let carried = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(found) = carried.and_then(|inner| find(inner)) {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

fn explained(error: &Error, address: &Authority) -> (String, String) {
    match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            ("it speaks plain HTTP there".to_owned(), format!("write its address as http://{address}"))
        }
        Error::InvalidCertificate(fault) => of_its_certificate(fault, address),
        Error::AlertReceived(alert) => of_our_certificate(*alert),
        error => (error.to_string(), "see the server's log".to_owned()),
    }
}

fn of_its_certificate(fault: &CertificateError, address: &Authority) -> (String, String) {
    let host = address.host();
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            "its certificate has expired".to_owned(),
            "put a new one into the files of its --tls-cert and --tls-key; it reads them again by itself".to_owned(),
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("its certificate is not valid yet".to_owned(), "set the clocks of both machines, or wait".to_owned())
        }
        // the latter is another authority of the same name, one that was made anew mostly
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "its certificate is of an authority that is not believed here".to_owned(),
            "name that authority's file with --ca FILE or BUE_SERVER_CA".to_owned(),
        ),
        CertificateError::NotValidForName => wrong_name(host, "other names"),
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            wrong_name(host, &presented.join(", "))
        }
        CertificateError::NotValidForNameContext { .. } => wrong_name(host, "no name"),
        fault => (
            format!("its certificate cannot be used: {fault}"),
            "make another one for the server's --tls-cert".to_owned(),
        ),
    }
}

fn wrong_name(host: &str, names: &str) -> (String, String) {
    let why = format!("its certificate is for {names}, not for `{host}`");
    (why, "connect by a name that it is for, or make one that has this name too".to_owned())
}

fn of_our_certificate(alert: AlertDescription) -> (String, String) {
    let flags = "give a certificate that its --tls-client-ca believes with --client-cert FILE and --client-key FILE";
    match alert {
        AlertDescription::CertificateRequired => ("it asks for a client certificate".to_owned(), flags.to_owned()),
        AlertDescription::CertificateExpired => (
            "our client certificate has expired".to_owned(),
            "put a new one into the files of --client-cert and --client-key".to_owned(),
        ),
        AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::DecryptError => {
            ("it does not believe our client certificate".to_owned(), flags.to_owned())
        }
        alert => (format!("it ended the connection: {alert:?}"), "see the server's log".to_owned()),
    }
}
