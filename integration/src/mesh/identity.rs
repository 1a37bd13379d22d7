//! What a workload's own process can do with the mesh's certificates: anything, byte for byte.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use tonic::client::Grpc;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic_prost::ProstCodec;

/// `istio.v1.auth.IstioCertificateRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct CertificateRequest {
    /// PEM; its names do not matter, the token's do.
    #[prost(string, tag = "1")]
    csr: String,
    /// Seconds.
    #[prost(int64, tag = "3")]
    validity_duration: i64,
}

/// `istio.v1.auth.IstioCertificateResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct CertificateResponse {
    /// PEM, the leaf first, the root last.
    #[prost(string, repeated, tag = "1")]
    cert_chain: Vec<String>,
}

/// Gets a certificate from istiod for the ServiceAccount of `token` (audience `istio-ca`), and makes
/// a TLS client of the mesh out of it.
pub(super) async fn tls_client(istiod: SocketAddr, root: &str, token: &str) -> Result<Arc<rustls::ClientConfig>> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI("spiffe://cluster.local/ns/any/sa/any".try_into()?)];
    let csr = params.serialize_request(&key)?.pem()?;
    let chain = sign(istiod, root, token, csr).await?;
    let chain = chain.iter().map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()));
    let chain = chain.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())?;
    let config = rustls::ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(MeshServer::new(root)?))
        .with_client_auth_cert(chain, key)?;
    Ok(Arc::new(config))
}

async fn sign(istiod: SocketAddr, root: &str, token: &str, csr: String) -> Result<Vec<String>> {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(root)).domain_name(istiod.ip().to_string());
    let channel = Endpoint::from_shared(format!("https://{istiod}"))?.tls_config(tls)?.connect().await?;
    let mut request = tonic::Request::new(CertificateRequest { csr, validity_duration: 3600 });
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    request.metadata_mut().insert("clusterid", "Kubernetes".parse()?);
    let mut client = Grpc::new(channel);
    client.ready().await?;
    let path = http::uri::PathAndQuery::from_static("/istio.v1.auth.IstioCertificateService/CreateCertificate");
    let codec = ProstCodec::<CertificateRequest, CertificateResponse>::default();
    let answer = client.unary(request, path, codec).await.context("istiod signs no certificate")?;
    Ok(answer.into_inner().cert_chain)
}

/// Accepts any server of the mesh: the names in its certificates are no DNS names.
#[derive(Debug)]
struct MeshServer {
    roots: RootCertStore,
    crypto: Arc<CryptoProvider>,
}

impl MeshServer {
    fn new(root: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(root.as_bytes())?)?;
        Ok(Self { roots, crypto: Arc::new(rustls::crypto::aws_lc_rs::default_provider()) })
    }
}

impl ServerCertVerifier for MeshServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = rustls::server::ParsedCertificate::try_from(end_entity)?;
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            self.crypto.signature_verification_algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.crypto.signature_verification_algorithms.supported_schemes()
    }
}
