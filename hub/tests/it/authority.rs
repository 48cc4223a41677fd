//! An authority of our own, and certificates that it signs.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

/// An authority that no system knows.
pub(crate) struct Authority {
    /// Its certificate, PEM.
    pub(crate) root: String,
    issuer: Issuer<'static, KeyPair>,
}

/// When a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Valid {
    Now,
    Before,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = authority.self_signed(&key).expect("a certificate").pem();
        Self { root, issuer: Issuer::new(authority, key) }
    }

    /// A certificate for a name, and its key, PEM.
    pub(crate) fn sign(&self, name: &str, valid: Valid) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut certificate = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        if valid == Valid::Before {
            (certificate.not_before, certificate.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let certificate = certificate.signed_by(&key, &self.issuer).expect("a certificate").pem();
        (certificate, key.serialize_pem())
    }
}
