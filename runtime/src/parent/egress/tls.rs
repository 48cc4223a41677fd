//! The certificates that TLS trusts: those of this machine, a file of additional ones, and those that a step has for its own TCP
//! connections.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bue_model::net::{NetError, NetErrorKind};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Certificates that are trusted in addition to those of the machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    extra: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Reads certificates in PEM format.
    pub(crate) fn read(path: &Path) -> Result<Self, CaFileError> {
        let unreadable = |reason: String| CaFileError { path: path.to_owned(), reason };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))?;
        let extra = certificates.collect::<Result<Vec<_>, _>>().map_err(|error| unreadable(error.to_string()))?;
        match extra.is_empty() {
            true => Err(unreadable("it contains no certificate in PEM format".to_owned())),
            false => Ok(Self { extra }),
        }
    }

    /// Returns the trusted certificates. Those of the machine that cannot be read are skipped.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        for error in native.errors {
            tracing::debug!(%error, "a certificate of this machine cannot be read");
        }
        roots.add_parsable_certificates(native.certs.into_iter().chain(self.extra.iter().cloned()));
        roots
    }
}

/// Returns the configuration of connections that trust these certificates.
pub(crate) fn client_config(roots: Arc<RootCertStore>) -> Result<ClientConfig, NetError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| tls_error(format!("TLS cannot be set up: {error}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Adds certificates in PEM format that a step trusts.
pub(crate) fn with_authorities(mut roots: RootCertStore, pem: &[u8]) -> Result<Arc<RootCertStore>, NetError> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let certificates =
        certificates.map_err(|error| tls_error(format!("the step's certificates cannot be read: {error}")))?;
    if roots.add_parsable_certificates(certificates).0 == 0 {
        return Err(tls_error("the step's certificates contain none of an authority in PEM format".to_owned()));
    }
    Ok(Arc::new(roots))
}

fn tls_error(message: String) -> NetError {
    NetError::new(NetErrorKind::Tls, message)
}

/// A file of certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("read the certificates in {path}: {reason}")]
pub struct CaFileError {
    path: PathBuf,
    reason: String,
}

impl From<CaFileError> for io::Error {
    fn from(error: CaFileError) -> Self {
        Self::other(error)
    }
}
