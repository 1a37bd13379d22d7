//! TLS for the listeners: certificates that a reload replaces, and callers that are named.

use std::{collections::BTreeSet, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    sign::SingleCertAndKey,
};
use rustls_pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;
use webpki::EndEntityCert;

use crate::{config::ServerTls, secret::sha256};

/// The TLS of a listener, which a reload may replace.
pub(super) type SharedTls = Arc<ArcSwap<Tls>>;

/// Our certificate, and who may connect.
#[derive(Debug)]
pub(super) struct Tls {
    config: Arc<ServerConfig>,
    allowed_sans: BTreeSet<String>,
    fingerprint: [u8; 32],
    superseded: CancellationToken,
}

/// The caller's certificate names nobody who may call.
#[derive(Debug)]
pub(super) struct NotAllowed {
    /// The URI SANs that it has.
    pub(super) sans: Vec<String>,
}

impl Tls {
    #[expect(
        clippy::expect_used,
        reason = "the library knows its own versions, and the configuration refuses an empty list of authorities"
    )]
    fn new(tls: &ServerTls, protocols: &[&[u8]]) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3");
        let builder = match &tls.client_roots {
            None => builder.with_no_client_auth(),
            Some(roots) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider)
                    .build()
                    .expect("the configuration refuses an empty list of authorities"),
            ),
        };
        let certificate = SingleCertAndKey::from((*tls.certified_key).clone());
        let mut config = builder.with_cert_resolver(Arc::new(certificate));
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        // A resumed session would skip the client's certificate, and outlive its authority.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Self {
            config: Arc::new(config),
            allowed_sans: tls.allowed_sans.clone(),
            fingerprint: fingerprint(tls),
            superseded: CancellationToken::new(),
        }
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Cancelled once another certificate or other callers are in force.
    pub(super) const fn superseded(&self) -> &CancellationToken {
        &self.superseded
    }

    /// Whether the caller, whose certificate the handshake has verified, may call.
    pub(super) fn admit(&self, certificates: Option<&[CertificateDer<'_>]>) -> Result<(), NotAllowed> {
        if self.allowed_sans.is_empty() {
            return Ok(());
        }
        let sans = leaf_sans(certificates);
        if sans.iter().any(|san| self.allowed_sans.contains(san)) { Ok(()) } else { Err(NotAllowed { sans }) }
    }
}

/// The TLS of a listener that speaks gRPC.
pub(super) fn grpc(tls: &ServerTls) -> SharedTls {
    Arc::new(ArcSwap::from_pointee(Tls::new(tls, &[b"h2"])))
}

/// The TLS of a listener that speaks HTTP.
pub(super) fn http(tls: &ServerTls) -> SharedTls {
    Arc::new(ArcSwap::from_pointee(Tls::new(tls, &[b"h2", b"http/1.1"])))
}

/// Puts `next` in force where it differs: new connections get it, and old ones are asked to close when they are done.
pub(super) fn replace(shared: &SharedTls, next: &SharedTls) -> bool {
    let next = next.load_full();
    if shared.load().fingerprint == next.fingerprint {
        return false;
    }
    let old = shared.swap(next);
    old.superseded.cancel();
    true
}

/// The URI subject alternative names of a caller's own certificate.
pub(super) fn leaf_sans(certificates: Option<&[CertificateDer<'_>]>) -> Vec<String> {
    certificates.and_then(<[_]>::first).map(|leaf| uri_sans(leaf)).unwrap_or_default()
}

/// The URI subject alternative names of a certificate (RFC 5280 section 4.2.1.6).
fn uri_sans(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(parsed) = EndEntityCert::try_from(certificate) else { return Vec::new() };
    parsed.valid_uri_names().map(str::to_owned).collect()
}

/// A hash of everything by which two configurations can differ.
fn fingerprint(tls: &ServerTls) -> [u8; 32] {
    let mut parts: Vec<[u8; 32]> = tls.certified_key.cert.iter().map(|certificate| sha256(certificate)).collect();
    let anchors = |roots: &Arc<RootCertStore>| -> Vec<[u8; 32]> {
        roots
            .roots
            .iter()
            .map(|root| sha256(&[root.subject.as_ref(), root.subject_public_key_info.as_ref()].concat()))
            .collect()
    };
    parts.push(sha256(b"clients"));
    parts.extend(tls.client_roots.iter().flat_map(anchors));
    parts.push(sha256(b"names"));
    parts.extend(tls.allowed_sans.iter().map(|san| sha256(san.as_bytes())));
    sha256(&parts.concat())
}
