//! A certificate authority for tests, and the certificates that it signs.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

/// A certificate authority that no system trusts.
pub struct Authority {
    /// The authority's own certificate, as PEM.
    pub root: String,
    issuer: Issuer<'static, KeyPair>,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Valid {
    /// Valid now and for years.
    Now,
    /// Expired in 2021.
    Before,
}

impl Authority {
    /// Generates a key and a self-signed root certificate.
    ///
    /// # Panics
    /// The system has no randomness.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each authority is a different one")]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = authority.self_signed(&key).expect("a certificate").pem();
        Self { root, issuer: Issuer::new(authority, key) }
    }

    /// A certificate for a host name, and its private key, both as PEM.
    ///
    /// # Panics
    /// The name is not valid in a certificate.
    #[must_use]
    pub fn sign(&self, name: &str, valid: Valid) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut certificate = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        if valid == Valid::Before {
            (certificate.not_before, certificate.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let certificate = certificate.signed_by(&key, &self.issuer).expect("a certificate").pem();
        (certificate, key.serialize_pem())
    }
}

/// A self-signed certificate of an authority for a host name, as `openssl req -x509` makes one, and its private key, both as PEM.
///
/// # Panics
/// The name is not valid in a certificate.
#[must_use]
pub fn self_signed(name: &str) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut certificate = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    certificate.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (certificate.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}
