//! The published shapes, and what must hold of whatever comes out.

mod any;
mod closed;
mod known;
mod shapes;

use std::{fs, path::Path, sync::LazyLock};

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use super::{MigrateError, Migration, from_oauth2_proxy, from_oidc_authservice};
use crate::{
    config::{self, Settings},
    gatekeepers::Input,
    secret::{SecretString, sha256},
};

fn input(name: &str, text: &str) -> Input {
    Input::new(name.to_owned(), SecretString::new(text.to_owned()))
}

fn oauth2_proxy(files: &[(&str, &str)]) -> Result<Migration, MigrateError> {
    from_oauth2_proxy(files.iter().map(|(name, text)| input(name, text)).collect(), None, &[])
}

fn oidc_authservice(files: &[(&str, &str)]) -> Result<Migration, MigrateError> {
    from_oidc_authservice(files.iter().map(|(name, text)| input(name, text)).collect(), None, &[])
}

/// Every folder that what comes out may name.
const FOLDERS: [&str; 3] = ["/secrets/", "/etc/portcullis/", "/var/run/secrets/azure/tokens/"];

/// A private key, and the certificate of an authority.
static PEM: LazyLock<(String, String)> = LazyLock::new(|| {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (key.serialize_pem(), authority.self_signed(&key).unwrap().pem())
});

/// What the product reads of a configuration whose files are there.
fn read(configuration: &str) -> Settings {
    let folder = tempfile::tempdir().unwrap();
    let put = |path: &str, contents: &[u8]| {
        let path = folder.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        fs::write(path, contents).unwrap();
    };
    let (key, authority) = &*PEM;
    put("/secrets/provider/client-secret", b"kR7wq2Zp-Lx81vNcT0dY\n");
    put("/secrets/keys/root", &sha256(b"a root key of the tests"));
    put("/secrets/keys/assertion.pem", key.as_bytes());
    put("/etc/portcullis/provider-ca.pem", authority.as_bytes());
    let here = folder.path().to_str().unwrap();
    let moved = FOLDERS.iter().fold(configuration.to_owned(), |text, at| text.replace(at, &format!("{here}{at}")));
    config::of_text(&moved).unwrap_or_else(|error| panic!("{error}\n{configuration}"))
}
