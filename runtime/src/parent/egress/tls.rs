//! The certificates that TLS trusts: those of this machine, and a file of additional ones.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

    /// Returns the configuration of connections. Certificates of the machine that cannot be read are skipped.
    pub(crate) fn config(&self) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        for error in native.errors {
            tracing::debug!(%error, "a certificate of this machine cannot be read");
        }
        roots.add_parsable_certificates(native.certs.into_iter().chain(self.extra.iter().cloned()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| format!("TLS cannot be set up: {error}"))?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
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
