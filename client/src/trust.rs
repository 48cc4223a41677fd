//! [`Trust`]: the authorities that we trust, and our own certificate.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::error::ClientError;

/// The size in bytes of the largest file of certificates: all authorities of a system fit.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// The time after which the files are read again for the next connection: a worker outlives its certificate.
const RELOAD_INTERVAL: Duration = Duration::from_secs(60);

/// The files for `https://` addresses, all PEM. By default, the system's authorities are trusted and we have no certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Our certificate and its key, for servers that require one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// The TLS configuration of a [`Trust`], loaded when it is first needed.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    trust: Trust,
    cached: Arc<Mutex<Option<CachedConfig>>>,
}

/// A configuration, and when its files were read.
#[derive(Debug)]
struct CachedConfig {
    read_at: Instant,
    config: Arc<ClientConfig>,
}

impl Credentials {
    /// Creates it without reading the files: most connections do not use TLS.
    pub(crate) fn new(trust: Trust) -> Self {
        Self { trust, cached: Arc::default() }
    }

    /// Returns the connector for a new connection. If the files can no longer be read, the previous configuration stays in use.
    pub(crate) fn connector(&self) -> Result<TlsConnector, ClientError> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = &*cached
            && cached.read_at.elapsed() < RELOAD_INTERVAL
        {
            return Ok(TlsConnector::from(cached.config.clone()));
        }
        let config = match (self.trust.read(), &*cached) {
            (Ok(config), _) => Arc::new(config),
            (Err(_), Some(previous)) => previous.config.clone(),
            (Err(error), None) => return Err(error),
        };
        *cached = Some(CachedConfig { read_at: Instant::now(), config: config.clone() });
        Ok(TlsConnector::from(config))
    }
}

impl Trust {
    fn read(&self) -> Result<ClientConfig, ClientError> {
        let unusable = |error: rustls::Error| ClientError::TlsFile { path: PathBuf::new(), reason: error.to_string() };
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().map_err(unusable)?;
        let config = config.with_root_certificates(self.authorities()?);
        let Some((certificate, key)) = &self.identity else { return Ok(config.with_no_client_auth()) };
        let refuse = |reason: String| ClientError::TlsFile { path: certificate.clone(), reason };
        let config = config.with_client_auth_cert(certificates(certificate)?, private_key(key)?);
        config.map_err(|error| refuse(format!("cannot be used with the key {}: {error}", key.display())))
    }

    fn authorities(&self) -> Result<RootCertStore, ClientError> {
        let mut roots = RootCertStore::empty();
        let Some(path) = &self.ca else {
            // one that is malformed does not invalidate the others
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(roots);
        };
        let refuse = |reason: String| ClientError::TlsFile { path: path.clone(), reason };
        for certificate in certificates(path)? {
            roots
                .add(certificate)
                .map_err(|error| refuse(format!("has a certificate that cannot be used: {error}")))?;
        }
        Ok(roots)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let refuse = |reason: &str| ClientError::TlsFile { path: path.to_owned(), reason: reason.to_owned() };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read_file(path)?).collect();
    match certificates {
        Err(_) => Err(refuse("has a certificate that cannot be read")),
        Ok(certificates) if certificates.is_empty() => Err(refuse("has no certificate in it")),
        Ok(certificates) => Ok(certificates),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, ClientError> {
    // the parser's own message might quote the key
    let reason = "has no key that can be read, or one with a password".to_owned();
    PrivateKeyDer::from_pem_slice(&read_file(path)?).map_err(|_| ClientError::TlsFile { path: path.to_owned(), reason })
}

fn read_file(path: &Path) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    let result = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    let reason = match result {
        Err(error) => error.to_string(),
        Ok(_) if bytes.len() as u64 > MAX_FILE_BYTES => "has more than a megabyte".to_owned(),
        Ok(_) => return Ok(bytes),
    };
    Err(ClientError::TlsFile { path: path.to_owned(), reason })
}
