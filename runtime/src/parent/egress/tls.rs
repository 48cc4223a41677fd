//! Whom TLS trusts: what this machine trusts, and a file of one's own.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Certificates of one's own, beside the machine's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    own: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Reads certificates in PEM.
    pub(crate) fn read(path: &Path) -> Result<Self, CaFileError> {
        let unreadable = |why: String| CaFileError { path: path.to_owned(), why };
        let found = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))?;
        let own = found.collect::<Result<Vec<_>, _>>().map_err(|error| unreadable(error.to_string()))?;
        match own.is_empty() {
            true => Err(unreadable("it holds no certificate in PEM".to_owned())),
            false => Ok(Self { own }),
        }
    }

    /// How connections are made. Certificates of the machine that cannot be read are left out: others may do.
    pub(crate) fn config(&self) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        let of_machine = rustls_native_certs::load_native_certs();
        for error in of_machine.errors {
            tracing::debug!(%error, "a certificate of this machine cannot be read");
        }
        roots.add_parsable_certificates(of_machine.certs.into_iter().chain(self.own.iter().cloned()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| format!("TLS cannot be set up: {error}"))?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

/// A file of certificates that is none.
#[derive(Debug, thiserror::Error)]
#[error("read the certificates in {path}: {why}")]
pub struct CaFileError {
    path: PathBuf,
    why: String,
}

impl From<CaFileError> for io::Error {
    fn from(error: CaFileError) -> Self {
        Self::other(error)
    }
}
