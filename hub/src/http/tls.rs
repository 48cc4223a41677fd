//! [`Tls`]: the certificate a server shows, and whose certificates it asks for.
//!
//! The files are looked at with every connection, and read again when one of them has changed: a certificate is renewed by
//! putting the new one in its place. Connections that are open live on.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::file_fingerprint::FileFingerprint;

/// Bytes of a file of certificates: all authorities of a system fit.
const MAX_FILE: u64 = 1024 * 1024;
/// The one protocol that is spoken inside.
const PROTOCOL: &[u8] = b"http/1.1";

/// Why a server cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The system said no.
    #[error("failed to read {path}: {source}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{path} {why}; it should have {wanted} in PEM")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What should be in it.
        wanted: &'static str,
    },
    /// Each is fine, but not together.
    #[error("the certificate {certificate} and the key {key} cannot be used together: {why}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// Where everything is.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate and those between it and its authority, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Authorities of clients, PEM. With them, whoever has no certificate of theirs is refused.
    pub client_ca: Option<PathBuf>,
}

/// How a server speaks TLS.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: TlsFiles,
    known: Mutex<Known>,
}

/// What was read, and how the files looked then.
#[derive(Debug)]
struct Known {
    fingerprints: [Option<FileFingerprint>; 3],
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// One of them cannot be read or is not what it should be.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let known = Known { fingerprints: files.fingerprints(), config: files.read()? };
        Ok(Self(Arc::new(Shared { files, known: Mutex::new(known) })))
    }

    /// What holds for a connection made now. Files that cannot be used leave the ones before them in force, which is said
    /// once.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        let Shared { files, known } = &*self.0;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let fingerprints = files.fingerprints();
        if fingerprints != known.fingerprints {
            known.fingerprints = fingerprints;
            match files.read() {
                Ok(config) => {
                    tracing::info!(certificate = %files.certificate.display(), "read the certificate again");
                    known.config = config;
                }
                Err(error) => tracing::error!(%error, "the new certificate cannot be used; the one before it stays"),
            }
        }
        known.config.clone()
    }
}

impl TlsFiles {
    fn fingerprints(&self) -> [Option<FileFingerprint>; 3] {
        let client_ca = self.client_ca.as_ref().and_then(|path| FileFingerprint::from_path(path));
        [FileFingerprint::from_path(&self.certificate), FileFingerprint::from_path(&self.key), client_ca]
    }

    fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let pair = |error: rustls::Error| TlsError::Pair {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            why: error.to_string(),
        };
        let chain = certificates(&self.certificate)?;
        let key = private_key(&self.key)?;
        let config = ServerConfig::builder_with_provider(provider.clone());
        let config = config.with_safe_default_protocol_versions().map_err(pair)?;
        let config = match &self.client_ca {
            Some(path) => config.with_client_cert_verifier(authorities(path, provider)?),
            None => config.with_no_client_auth(),
        };
        let mut config = config.with_single_cert(chain, key).map_err(pair)?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Arc::new(config))
    }
}

fn authorities(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let refuse = |why: String| TlsError::Content { path: path.to_owned(), why, wanted: "authorities' certificates" };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| refuse(format!("has a certificate that cannot be used: {error}")))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|error| refuse(format!("names no authority to believe: {error}")))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let refuse = |why: String| TlsError::Content { path: path.to_owned(), why, wanted: "certificates" };
    let text = read_file(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Err(error) => Err(refuse(format!("cannot be read: {error}"))),
        Ok(found) if found.is_empty() => Err(refuse("has no certificate in it".to_owned())),
        Ok(found) => Ok(found),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    // what the parser says of it may quote it
    PrivateKeyDer::from_pem_slice(&read_file(path)?).map_err(|_| TlsError::Content {
        path: path.to_owned(),
        why: "has no key that can be read".to_owned(),
        wanted: "one private key without a password",
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    let disk = |source| TlsError::Disk { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(disk)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(disk)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(disk(io::Error::other("it has more than a megabyte")));
    }
    Ok(bytes)
}
