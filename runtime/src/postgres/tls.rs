//! TLS to the server: where it is asked for, the server must have a certificate for its name from an authority of this system.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A connector that believes this system's authorities.
pub(super) fn connector() -> Result<MakeRustlsConnect, String> {
    let mut authorities = RootCertStore::empty();
    // those that are damaged are no reason to refuse the others
    let (known, _) = authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if known == 0 {
        return Err(
            "it asks for TLS, and this system names no authority to believe (install ca-certificates)".to_owned()
        );
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(MakeRustlsConnect::new(config.with_root_certificates(authorities).with_no_client_auth()))
}
