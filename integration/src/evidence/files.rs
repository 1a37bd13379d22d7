//! What lies in the folder of a configuration: keys, client secrets, our own token, and the store.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::collector::{Collector, metrics, page, store};
use super::kinds::{Kind, Value};

/// Nothing that a configuration names is larger; stores are not read here.
const LARGEST: u64 = 1 << 20;
/// How long a listener of the product may take to answer; it may hang on purpose.
const PATIENCE: Duration = Duration::from_secs(2);

/// Learns the secrets of a product that has started from its configuration's folder.
pub fn portcullis_runs(folder: &Path) {
    if let Some(collector) = Collector::of_this_process() {
        learn_folder(collector, folder);
    }
}

/// Keeps what is left of a product that is about to end: its last metrics, its published keys, its store.
pub fn portcullis_ends(folder: &Path, operations: SocketAddr, http: SocketAddr) {
    let Some(collector) = Collector::of_this_process() else { return };
    learn_folder(collector, folder);
    // It may have ended already.
    if let Some(answer) = get(operations, "/metrics") {
        metrics(&answer);
    }
    if let Some(answer) = get(http, "/.well-known/jwks.json") {
        page(answer.as_bytes());
    }
    copy_stores(&folder.join("sessions"));
}

/// The whole answer to a GET, from a listener in clear text.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    String::from_utf8(answer).ok().filter(|answer| answer.starts_with("HTTP/1.1 200"))
}

fn copy_stores(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if let Ok(contents) = fs::read(entry.path()) {
            store(&contents);
        }
    }
}

fn learn_folder(collector: &Collector, folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, Ok(metadata)) = (entry.path(), fs::metadata(entry.path())) else { continue };
        if metadata.is_dir() && !path.ends_with("sessions") {
            learn_folder(collector, &path);
        } else if metadata.is_file()
            && metadata.len() <= LARGEST
            && let Ok(contents) = fs::read(&path)
        {
            learn_file(collector, &path, &contents);
        }
    }
}

/// Learns a file by what it is called and what it holds.
fn learn_file(collector: &Collector, path: &Path, contents: &[u8]) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let text = String::from_utf8_lossy(contents);
    if text.contains("PRIVATE KEY-----") {
        for key in private_keys(&text) {
            collector.secret(Kind::PrivateKey, Value::Bytes(key));
        }
    } else if path.extension().is_some_and(|extension| extension == "key") || name.contains("root") {
        let key = STANDARD.decode(contents.trim_ascii()).unwrap_or_else(|_| contents.to_vec());
        collector.secret(Kind::RootKey, Value::Bytes(key));
    } else if ["secret", "password"].iter().any(|word| name.contains(word)) {
        let client_secret = text.trim();
        collector.secret(Kind::ClientSecret, Value::Text(client_secret.to_owned()));
        // As the Basic scheme sends it, for the client of all tests.
        let basic = STANDARD.encode(format!("portcullis:{client_secret}"));
        collector.secret(Kind::ClientSecret, Value::Text(basic));
    } else if name.contains("kubeconfig")
        && let Ok(kubeconfig) = serde_json::from_slice::<Json>(contents)
    {
        let users = kubeconfig["users"].as_array().into_iter().flatten();
        let tokens = users.filter_map(|user| user["user"]["token"].as_str());
        tokens.for_each(|token| collector.secret(Kind::ServiceAccountToken, Value::Text(token.to_owned())));
    }
}

/// The secret number of each private key in PEM: of an EC key (RFC 5915) the octets that follow its version, of any
/// other its last octets, which in PKCS#1 are the CRT coefficient.
fn private_keys(pem: &str) -> Vec<Vec<u8>> {
    const EC_VERSION_AND_OCTETS: [u8; 5] = [2, 1, 1, 4, 32];

    let blocks = pem.split("PRIVATE KEY-----\n").skip(1).step_by(2);
    let keys = blocks.filter_map(|block| {
        let base64: String = block.split("-----END").next()?.split_whitespace().collect();
        STANDARD.decode(base64).ok()
    });
    let secret_number = |key: Vec<u8>| {
        let version = key.windows(EC_VERSION_AND_OCTETS.len()).position(|window| window == EC_VERSION_AND_OCTETS);
        let start = version.map_or(key.len().saturating_sub(32), |at| at + EC_VERSION_AND_OCTETS.len());
        key.get(start..start + 32).map(<[u8]>::to_vec)
    };
    keys.filter_map(secret_number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_number_of_a_key_is_found() {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = key.serialize_pem();
        let [secret_number] = private_keys(&pem).try_into().unwrap();
        let der = key.serialize_der();
        assert!(der.windows(32).any(|window| window == secret_number));
        let public = rcgen::PublicKeyData::der_bytes(&key);
        assert!(!public.windows(8).any(|window| window == &secret_number[..8]), "a public key is no secret");
        let certificate_before = format!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{pem}");
        assert_eq!(private_keys(&certificate_before), std::slice::from_ref(&secret_number));
        assert_eq!(private_keys(&format!("{pem}{pem}")), [secret_number.clone(), secret_number]);
    }
}
