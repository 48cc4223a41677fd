//! TLS to PostgreSQL: how the server is authenticated.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::HubError;

/// What is checked of a server's certificate. That the server has its private key is always checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::postgres) enum Trust {
    /// Nothing: prevents eavesdropping, but no man-in-the-middle attack.
    Any,
    /// That a trusted authority signed it, for any name.
    Authority,
    /// That a trusted authority signed it for the host name of the connection.
    Name,
}

/// Returns a connector that trusts the authorities of a file, or the system's.
pub(in crate::postgres) fn connector(trust: Trust, root: Option<&Path>) -> Result<MakeRustlsConnect, HubError> {
    let provider = Arc::new(ring::default_provider());
    let authorities = if trust == Trust::Any { None } else { Some(authorities(root, &provider)?) };
    let verifier = Verifier { trust, authorities, provider: provider.clone() };
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| HubError::BadRequest(format!("TLS is not available: {error}")))?;
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn authorities(root: Option<&Path>, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, HubError> {
    let mut store = RootCertStore::empty();
    match root {
        Some(path) => {
            let unreadable = |error: String| HubError::BadRequest(format!("sslrootcert {}: {error}", path.display()));
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
                store.add(certificate).map_err(|error| unreadable(error.to_string()))?;
            }
        }
        // damaged ones are no reason to refuse the others
        None => drop(store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone()).build();
    verifier.map_err(|_| {
        let source = root.map_or_else(|| "this system".to_owned(), |path| path.display().to_string());
        HubError::BadRequest(format!("{source} has no trusted authorities; name a file of them with sslrootcert=PATH"))
    })
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    /// `None` if any server is trusted.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else { return Ok(ServerCertVerified::assertion()) };
        let result = authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match result {
            // the name is checked last, when everything else is valid
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.trust == Trust::Authority => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
