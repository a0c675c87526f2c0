//! Whose certificates are trusted.

use std::sync::Arc;

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// There is nobody to trust, or TLS can't be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS can't be set up: {0}")]
pub struct TrustError(String);

/// TLS that trusts the system's certificates, if asked to, and those of `pem`. Of the system's, those that can't be read don't
/// count; of `pem` all have to be good.
///
/// # Errors
/// A certificate of `pem` is none, or there are none at all.
pub fn tls_config(trusts_system: bool, pem: &[u8]) -> Result<Arc<ClientConfig>, TrustError> {
    let mut roots = RootCertStore::empty();
    let mut unreadable = None;
    if trusts_system {
        let found = rustls_native_certs::load_native_certs();
        unreadable = found.errors.first().map(ToString::to_string);
        roots.add_parsable_certificates(found.certs);
    }
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| TrustError(error.to_string()))?;
        roots.add(certificate).map_err(|error| TrustError(error.to_string()))?;
    }
    // A simulator without TLS has nobody to trust, and needs nobody.
    if trusts_system && roots.is_empty() {
        let why = unreadable.unwrap_or_else(|| "the system trusts no certificate".to_owned());
        return Err(TrustError(why));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TrustError(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_read_or_told_to_be_none() {
        let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        assert!(tls_config(false, authority.cert.pem().as_bytes()).is_ok());
        assert!(tls_config(false, b"").is_ok());
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(tls_config(false, broken).is_err());
    }
}
