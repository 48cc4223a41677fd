//! [`Tls`]: the certificate that a server presents, and the client certificates that it requires.
//!
//! The files are checked on every connection and read again when one of them has changed, so you renew a certificate by
//! replacing the files. Open connections continue.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::file_fingerprint::FileFingerprint;

/// The largest certificate file that is read, in bytes: all authorities of a system fit.
const MAX_FILE: u64 = 1024 * 1024;
/// The only protocol that the servers speak inside TLS.
const ALPN_PROTOCOL: &[u8] = b"http/1.1";

/// Why a server cannot use TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file operation failed.
    #[error("failed to read {path}: {source}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file does not contain what it should.
    #[error("{path} {reason}; it should contain {expected} in PEM")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What it should contain.
        expected: &'static str,
    },
    /// Both files are valid but do not belong together.
    #[error("the certificate {certificate} and the key {key} cannot be used together: {reason}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The paths of a server's PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate, followed by the intermediate ones.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// The authorities of client certificates. If set, clients without such a certificate are refused.
    pub client_ca: Option<PathBuf>,
}

/// A server's TLS configuration. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: TlsFiles,
    cache: Mutex<CachedConfig>,
}

/// The configuration as it was last read, and the fingerprints of the files at that time.
#[derive(Debug)]
struct CachedConfig {
    fingerprints: [Option<FileFingerprint>; 3],
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// One of them cannot be read or is invalid.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let cache = CachedConfig { fingerprints: files.fingerprints(), config: files.read()? };
        Ok(Self(Arc::new(Shared { files, cache: Mutex::new(cache) })))
    }

    /// The configuration for a new connection. If the files have become invalid, the previous configuration stays in use and
    /// the error is logged once.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        let Shared { files, cache } = &*self.0;
        let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
        let fingerprints = files.fingerprints();
        if fingerprints != cache.fingerprints {
            cache.fingerprints = fingerprints;
            match files.read() {
                Ok(config) => {
                    tracing::info!(certificate = %files.certificate.display(), "reloaded the certificate");
                    cache.config = config;
                }
                Err(error) => {
                    tracing::error!(%error, "failed to reload the certificate; the previous one stays in use");
                }
            }
        }
        cache.config.clone()
    }
}

impl TlsFiles {
    fn fingerprints(&self) -> [Option<FileFingerprint>; 3] {
        let client_ca = self.client_ca.as_ref().and_then(|path| FileFingerprint::from_path(path));
        [FileFingerprint::from_path(&self.certificate), FileFingerprint::from_path(&self.key), client_ca]
    }

    fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let pair_error = |error: rustls::Error| TlsError::Pair {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            reason: error.to_string(),
        };
        let chain = read_certificates(&self.certificate)?;
        let key = read_private_key(&self.key)?;
        let config = ServerConfig::builder_with_provider(provider.clone());
        let config = config.with_safe_default_protocol_versions().map_err(pair_error)?;
        let config = match &self.client_ca {
            Some(path) => config.with_client_cert_verifier(client_verifier(path, provider)?),
            None => config.with_no_client_auth(),
        };
        let mut config = config.with_single_cert(chain, key).map_err(pair_error)?;
        config.alpn_protocols = vec![ALPN_PROTOCOL.to_vec()];
        Ok(Arc::new(config))
    }
}

/// Accepts certificates that an authority of this file has signed.
fn client_verifier(path: &Path, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let content_error = |reason| content_error(path, reason, "authorities' certificates");
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| content_error(format!("has a certificate that cannot be used: {error}")))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|error| content_error(format!("has no authority that can be used: {error}")))
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let content_error = |reason| content_error(path, reason, "certificates");
    let text = read_file(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Err(error) => Err(content_error(format!("cannot be read: {error}"))),
        Ok(certificates) if certificates.is_empty() => Err(content_error("contains no certificate".to_owned())),
        Ok(certificates) => Ok(certificates),
    }
}

fn read_private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let reason = "contains no key that can be read".to_owned();
    // the parser's error is dropped because it may quote the key
    PrivateKeyDer::from_pem_slice(&read_file(path)?)
        .map_err(|_| content_error(path, reason, "one private key without a password"))
}

fn content_error(path: &Path, reason: String, expected: &'static str) -> TlsError {
    TlsError::Content { path: path.to_owned(), reason, expected }
}

fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    let disk_error = |source| TlsError::Disk { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(disk_error)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(disk_error)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(disk_error(io::Error::other("it is larger than a megabyte")));
    }
    Ok(bytes)
}
