//! TLS to the server, which must present a certificate for its name from an authority that this system trusts.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Returns a connector that trusts this system's authorities.
pub(super) fn connector() -> Result<MakeRustlsConnect, String> {
    let mut authorities = RootCertStore::empty();
    // a certificate that cannot be parsed is skipped
    let (usable, _) = authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if usable == 0 {
        return Err(
            "it requests TLS, but this system has no trusted certificate authorities (install ca-certificates)"
                .to_owned(),
        );
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(MakeRustlsConnect::new(config.with_root_certificates(authorities).with_no_client_auth()))
}
