//! Certificates, keys and authorities, parsed where the field's path is known.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use rustls::{RootCertStore, crypto::aws_lc_rs, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use super::listener::ServerTls;
use crate::config_file::{FieldError, FieldPath};
use crate::config_values::Context;

/// A server's certificate and key, and the authorities of its clients, of which none is named yet.
pub(super) fn server(
    context: &mut Context<'_>,
    at: &FieldPath,
    certificate: &Path,
    key: &Path,
    client_ca: Option<&Path>,
) -> Option<ServerTls> {
    let chain = certificates(context, &at.key("certificate"), certificate);
    let key_at = at.key("key");
    let key = context.file(&key_at, key).and_then(|pem| match PrivateKeyDer::from_pem_slice(pem.expose()) {
        Ok(key) => Some(key),
        Err(_) => context.refuse(
            FieldError::new(&key_at, "the file holds no private key in PEM").write("name a PEM file of the key"),
        ),
    });
    let client_roots = match client_ca {
        Some(path) => roots(context, &at.key("client_ca"), path).map(Some),
        None => Some(None),
    };
    let (chain, key, client_roots) = (chain?, key?, client_roots?);
    match CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()) {
        Ok(certified_key) => {
            let certified_key = Arc::new(certified_key);
            Some(ServerTls { certified_key, client_roots, allowed_sans: BTreeSet::new() })
        }
        Err(error) => context.refuse(
            FieldError::new(&key_at, format!("the key cannot be used with the certificate ({error})"))
                .write("name the key that the certificate was made for"),
        ),
    }
}

/// The authorities in a PEM file.
fn roots(context: &mut Context<'_>, at: &FieldPath, path: &Path) -> Option<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(context, at, path)? {
        if let Err(error) = roots.add(certificate) {
            return context.refuse(
                FieldError::new(at, format!("the file holds a certificate that is no authority's ({error})"))
                    .found(&path.to_string_lossy())
                    .write("name a PEM file of CA certificates"),
            );
        }
    }
    Some(Arc::new(roots))
}

/// The certificates in a PEM file; one at least.
pub(super) fn certificates(
    context: &mut Context<'_>,
    at: &FieldPath,
    path: &Path,
) -> Option<Vec<CertificateDer<'static>>> {
    let pem = context.file(at, path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose()).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Some(certificates),
        Ok(_) | Err(_) => context.refuse(
            FieldError::new(at, "the file holds no certificate in PEM")
                .found(&path.to_string_lossy())
                .write("name a PEM file of certificates"),
        ),
    }
}
