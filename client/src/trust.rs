//! [`Trust`]: whom we believe to be a server, and what we show of ourselves.

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

use crate::ClientError;

/// Bytes of a file of certificates: all authorities of a system fit.
const MAX_FILE: u64 = 1024 * 1024;
/// After which the files are read again for the next connection: a worker outlives its certificate.
const FRESH: Duration = Duration::from_secs(60);

/// Files for `https://` addresses, all PEM. None at all means the system's authorities, and no certificate of our own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Authorities that are believed, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Our certificate and its key, for servers that ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// The same, read.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    trust: Trust,
    known: Arc<Mutex<Option<Known>>>,
}

/// What was read, and when.
#[derive(Debug)]
struct Known {
    read_at: Instant,
    config: Arc<ClientConfig>,
}

impl Credentials {
    /// Reads nothing yet: most connections need none of it.
    pub(crate) fn new(trust: Trust) -> Self {
        Self { trust, known: Arc::default() }
    }

    /// What a connection made now is made with. Files that cannot be read any more leave what they said before in force.
    pub(crate) fn connector(&self) -> Result<TlsConnector, ClientError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known
            && known.read_at.elapsed() < FRESH
        {
            return Ok(TlsConnector::from(known.config.clone()));
        }
        let config = match (self.trust.read(), &*known) {
            (Ok(config), _) => Arc::new(config),
            (Err(_), Some(before)) => before.config.clone(),
            (Err(error), None) => return Err(error),
        };
        *known = Some(Known { read_at: Instant::now(), config: config.clone() });
        Ok(TlsConnector::from(config))
    }
}

impl Trust {
    fn read(&self) -> Result<ClientConfig, ClientError> {
        let unusable = |error: rustls::Error| ClientError::TlsFile { path: PathBuf::new(), why: error.to_string() };
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().map_err(unusable)?;
        let config = config.with_root_certificates(self.authorities()?);
        let Some((certificate, key)) = &self.identity else { return Ok(config.with_no_client_auth()) };
        let refuse = |why: String| ClientError::TlsFile { path: certificate.clone(), why };
        let own = config.with_client_auth_cert(certificates(certificate)?, private_key(key)?);
        own.map_err(|error| refuse(format!("cannot be used with the key {}: {error}", key.display())))
    }

    fn authorities(&self) -> Result<RootCertStore, ClientError> {
        let mut roots = RootCertStore::empty();
        let Some(path) = &self.ca else {
            // those that are damaged are no reason to refuse the others
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(roots);
        };
        let refuse = |why: String| ClientError::TlsFile { path: path.clone(), why };
        for certificate in certificates(path)? {
            roots
                .add(certificate)
                .map_err(|error| refuse(format!("has a certificate that cannot be used: {error}")))?;
        }
        Ok(roots)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let refuse = |why: &str| ClientError::TlsFile { path: path.to_owned(), why: why.to_owned() };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read_file(path)?).collect();
    match found {
        Err(_) => Err(refuse("has a certificate that cannot be read")),
        Ok(found) if found.is_empty() => Err(refuse("has no certificate in it")),
        Ok(found) => Ok(found),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, ClientError> {
    // what the parser says of it may quote it
    let why = "has no key that can be read, or one with a password".to_owned();
    PrivateKeyDer::from_pem_slice(&read_file(path)?).map_err(|_| ClientError::TlsFile { path: path.to_owned(), why })
}

fn read_file(path: &Path) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    let why = match read {
        Err(error) => error.to_string(),
        Ok(_) if bytes.len() as u64 > MAX_FILE => "has more than a megabyte".to_owned(),
        Ok(_) => return Ok(bytes),
    };
    Err(ClientError::TlsFile { path: path.to_owned(), why })
}
