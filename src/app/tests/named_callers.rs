//! TLS: only callers whose certificate names them, and certificates that change.

use std::collections::BTreeSet;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
    string::Ia5String,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, sign::CertifiedKey};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::*;
use crate::{app::tls, config::ServerTls};

const GATEWAY: &str = "spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway";
const STRANGER: &str = "spiffe://cluster.local/ns/default/sa/default";

/// A certificate authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate with its key, both PEM.
    fn sign(&self, names: Vec<SanType>) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn client(&self, san: &str) -> Identity {
        let (certificate, key) = self.sign(vec![SanType::URI(Ia5String::try_from(san).unwrap())]);
        Identity::from_pem(certificate, key)
    }

    /// A check listener of this authority, whose clients come from it too.
    fn server(&self, sans: &[&str]) -> SharedTls {
        let allowed_sans = sans.iter().map(|san| (*san).to_owned()).collect();
        tls::grpc(&ServerTls { allowed_sans, ..self.certified(true) })
    }

    fn certified(&self, client_certificates: bool) -> ServerTls {
        let (certificate, key) = self.sign(vec![SanType::DnsName(Ia5String::try_from("check.test").unwrap())]);
        let chain = vec![rustls_pki_types::CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let certified_key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let client_roots = client_certificates.then(|| Arc::new(roots));
        ServerTls { certified_key: Arc::new(certified_key), client_roots, allowed_sans: BTreeSet::new() }
    }

    fn trust(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.0.pem())).domain_name("check.test")
    }
}

/// One check over a connection of its own.
async fn call(running: &Running, config: ClientTlsConfig) -> Result<(), Box<dyn std::error::Error>> {
    running.service.may_answer.add_permits(1);
    let endpoint = Endpoint::from_shared(format!("https://{}", running.address))?.tls_config(config)?;
    let channel = soon("a connection", endpoint.connect()).await?;
    Ok(soon("an answer", check(channel)).await?)
}

#[tokio::test]
async fn only_a_named_caller_is_answered() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let running = Running::start("127.0.0.1:0", Some(authority.server(&[GATEWAY]))).await;

    call(&running, authority.trust().identity(authority.client(GATEWAY))).await.unwrap();
    assert!(call(&running, authority.trust().identity(authority.client(STRANGER))).await.is_err());
    let longer = format!("{GATEWAY}/more");
    assert!(call(&running, authority.trust().identity(authority.client(&longer))).await.is_err());
    assert!(call(&running, authority.trust().identity(foreign.client(GATEWAY))).await.is_err());
    assert!(call(&running, authority.trust()).await.is_err(), "no certificate at all");
    assert_eq!(running.service.arrived.available_permits(), 1, "nobody else's check was looked at");
}

#[tokio::test]
async fn a_name_that_is_no_uri_does_not_count() {
    let authority = Authority::new();
    let running = Running::start("127.0.0.1:0", Some(authority.server(&["gateway.test"]))).await;
    let (certificate, key) = authority.sign(vec![SanType::DnsName(Ia5String::try_from("gateway.test").unwrap())]);
    let dns = authority.trust().identity(Identity::from_pem(certificate, key));
    assert!(call(&running, dns).await.is_err());
}

#[tokio::test]
async fn changed_callers_hold_for_new_connections_and_old_ones_close() {
    let authority = Authority::new();
    let shared = authority.server(&[GATEWAY]);
    let running = Running::start("127.0.0.1:0", Some(Arc::clone(&shared))).await;
    let endpoint = Endpoint::from_shared(format!("https://{}", running.address)).unwrap();
    let identity = authority.trust().identity(authority.client(GATEWAY));
    let old = endpoint.tls_config(identity.clone()).unwrap().connect().await.unwrap();
    running.service.may_answer.add_permits(1);
    check(old.clone()).await.unwrap();

    // A check that runs on the old connection finishes; then the connection closes, and the caller is turned away.
    let slow = tokio::spawn(check(old.clone()));
    soon("two arrivals", running.service.arrived.acquire_many(2)).await.unwrap().forget();
    assert!(tls::replace(&shared, &authority.server(&[STRANGER])));
    assert!(call(&running, identity.clone()).await.is_err());
    running.service.may_answer.add_permits(1);
    soon("the slow check's answer", slow).await.unwrap().unwrap();
    soon("the old connection's end", async {
        while check(old.clone()).await.is_ok() {
            running.service.may_answer.add_permits(1);
            tokio::task::yield_now().await;
        }
    })
    .await;
    call(&running, authority.trust().identity(authority.client(STRANGER))).await.unwrap();
}

#[tokio::test]
async fn an_unchanged_certificate_closes_nothing() {
    let authority = Authority::new();
    let shared = authority.server(&[GATEWAY]);
    let same = Arc::new(arc_swap::ArcSwap::new(shared.load_full()));
    assert!(!tls::replace(&shared, &same));
    assert!(!shared.load().superseded().is_cancelled());
}

/// One request to the public listener by a client without a certificate, which offers `protocol`.
async fn fetch(authority: &Authority, client_certificates: bool, protocol: &[u8]) -> std::io::Result<String> {
    let bind = Bind::Tcp("127.0.0.1:0".parse().unwrap());
    let shared = tls::http(&authority.certified(client_certificates));
    let listener = Listener::bind("http", &bind, Some(shared)).await.unwrap();
    let address = listener.address();
    let router = axum::Router::new().route("/", axum::routing::get(async || "here"));
    tokio::spawn(Server::http(listener, router, Limits::HTTP).run(CancellationToken::new()));

    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let name = rustls_pki_types::ServerName::try_from("check.test").unwrap();
    let tcp = tokio::net::TcpStream::connect(&address).await?;
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
    stream.write_all(b"GET / HTTP/1.1\r\nhost: check.test\r\nconnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn the_public_listener_asks_for_a_certificate_only_where_it_is_told_to() {
    let authority = Authority::new();
    let answer = soon("an answer", fetch(&authority, false, b"http/1.1")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(soon("a refusal", fetch(&authority, true, b"http/1.1")).await.is_err());
}
