//! TLS for outbound calls: whom to trust.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use rustls_platform_verifier::Verifier;

use super::error::HttpClientError;

/// A TLS configuration that trusts the system's roots and `extra_roots`.
///
/// The cryptography is named here and not taken from the process' default, which anybody may set. Where `may_be_empty`
/// (plain HTTP is allowed) and there is no root at all, a configuration that trusts nobody.
pub(super) fn client_config(extra_roots: &[Vec<u8>], may_be_empty: bool) -> Result<ClientConfig, HttpClientError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let extra = parse_roots(extra_roots)?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpClientError::Setup(error.to_string()))?;
    let mut config = match verifier(extra, provider) {
        Ok(verifier) => builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth(),
        Err(HttpClientError::NoRoots) if may_be_empty => {
            builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
        Err(error) => return Err(error),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The platform's verifier. With the extra roots checked before, it fails only where it finds no root.
fn verifier(extra: Vec<CertificateDer<'static>>, provider: Arc<CryptoProvider>) -> Result<Verifier, HttpClientError> {
    Verifier::new_with_extra_roots(extra, provider).map_err(|_| HttpClientError::NoRoots)
}

fn parse_roots(pems: &[Vec<u8>]) -> Result<Vec<CertificateDer<'static>>, HttpClientError> {
    let mut roots = Vec::new();
    for (index, pem) in pems.iter().enumerate() {
        let refused = HttpClientError::ExtraRoot { position: index + 1 };
        let found: Vec<_> =
            CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| refused.clone())?;
        let usable = !found.is_empty() && found.iter().all(is_trust_anchor);
        if !usable {
            return Err(refused);
        }
        roots.extend(found);
    }
    Ok(roots)
}

fn is_trust_anchor(certificate: &CertificateDer<'static>) -> bool {
    RootCertStore::empty().add(certificate.clone()).is_ok()
}
