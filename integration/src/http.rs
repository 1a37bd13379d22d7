//! The plain HTTP client of the harness, and the one choice of a TLS implementation.

use std::sync::Once;
use std::time::Duration;

use anyhow::Result;

/// Makes aws-lc-rs the process's TLS implementation. May be called any number of times.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that the test has already chosen one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

/// A client that follows no redirect, keeps no cookie, uses no proxy and gives up after 20 s.
pub fn plain_client() -> Result<reqwest::Client> {
    client_with(&[])
}

/// Like [`plain_client`], and trusting the given PEM certificates.
pub fn client_with(roots_pem: &[&str]) -> Result<reqwest::Client> {
    install_crypto();
    let roots =
        roots_pem.iter().map(|pem| reqwest::Certificate::from_pem(pem.as_bytes())).collect::<Result<Vec<_>, _>>()?;
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(20));
    Ok(builder.tls_certs_only(roots).build()?)
}
