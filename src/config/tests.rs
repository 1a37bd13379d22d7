//! Configurations good and bad, with made-up contents for the files that they name.

mod documents;
mod errors;
mod redis;
mod reload;
mod secrets;

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::{resolve::resolve, settings::Settings};
use crate::{
    config_file::{ConfigError, Material, Reference, Written, parse},
    request::HostPattern,
    secret::sha256,
};

/// Every field that has no default, and one of each kind of thing.
const GOOD: &str = r"
listeners:
  check: {bind: '127.0.0.1:9001'}
keys:
  directory: /var/lib/portcullis/keys
sessions:
  store: {type: embedded, path: /var/lib/portcullis/sessions/sessions.redb}
providers:
  - name: dex
    issuer: https://dex.example.com/dex
    client_id: portcullis
    client_secret: {file: /secrets/client-secret}
origins:
  - url: https://kubeflow.example.com
    provider: dex
service_accounts:
  audiences: [portcullis.example.com]
  issuers: [https://kubernetes.default.svc.cluster.local]
assertion:
  issuer: https://portcullis.example.com
  audience: kubeflow
rules:
  - name: assets
    paths: [{prefix: /assets/}]
    access: public
";

/// A certificate authority with a leaf, as PEM: authority, leaf, the leaf's key.
struct Pki {
    ca: String,
    certificate: String,
    key: String,
    other_key: String,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["portcullis".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
        Self {
            ca: ca.pem(),
            certificate: leaf.pem(),
            key: key.serialize_pem(),
            other_key: KeyPair::generate().unwrap().serialize_pem(),
        }
    }
}

/// Contents for every file by what its path says; paths with `missing` in them cannot be read.
fn invent(reference: &Reference) -> Result<Vec<u8>, String> {
    let name = match reference {
        Reference::File(path) => path.to_string_lossy().into_owned(),
        Reference::Env(name) => name.clone(),
    };
    let pki = Pki::new();
    let contents: Vec<u8> = match name.as_str() {
        name if name.contains("missing") => return Err("No such file or directory".to_owned()),
        name if name.ends_with("/kubeflow-rules.yaml") => {
            include_bytes!("../../manifests/components/kubeflow-permissions/kubeflow-rules.yaml").to_vec()
        }
        name if name.ends_with("/more-rules.yaml") => b"rules: [{name: more, paths: [{prefix: /more}]}]".to_vec(),
        name if name.ends_with("/wrong-rules.yaml") => b"rules: [{name: more, path: /more}]".to_vec(),
        name if name.contains("garbage") => b"garbage".to_vec(),
        name if name.contains("short") => b"0123456789".to_vec(),
        name if name.contains("well-known") => b"pUBnBOY80SnXgjibTYM9ZWNzY2xreNGQok\n".to_vec(),
        name if name.contains("binary") => vec![0xff; 40],
        name if name.contains("root") => sha256(name.as_bytes()).to_vec(),
        name if name.contains("assertion") => KeyPair::generate().unwrap().serialize_pem().into_bytes(),
        name if name.contains("other.key") => pki.other_key.into_bytes(),
        name if name.ends_with("tls.crt") || name.ends_with("tls.key") => {
            // The two must belong together, so both come from one file's worth of PEM.
            return Ok(pair().into_bytes());
        }
        name if name.contains("ca.") => pki.ca.into_bytes(),
        _ => b"kR7wq2Zp-Lx81vNcT0dY\n".to_vec(),
    };
    Ok(contents)
}

/// A certificate and its key in one PEM text.
fn pair() -> String {
    use std::sync::OnceLock;
    static PAIR: OnceLock<String> = OnceLock::new();
    let made = || {
        let pki = Pki::new();
        pki.certificate + &pki.key
    };
    PAIR.get_or_init(made).clone()
}

fn load(text: &str) -> Result<Settings, ConfigError> {
    load_with(text, invent)
}

/// The settings that `text` says, with made-up contents of what it refers to.
fn load_with(text: &str, invent: impl Fn(&Reference) -> Result<Vec<u8>, String>) -> Result<Settings, ConfigError> {
    let file = parse(text)?;
    let material = Material::invented(&file, invent);
    resolve(&Written { file, material })
}

/// The errors of a configuration, one text each.
fn errors(text: &str) -> Vec<String> {
    match load(text) {
        Ok(_) => Vec::new(),
        Err(ConfigError::Fields(errors)) => errors.iter().map(ToString::to_string).collect(),
        Err(other) => vec![other.to_string()],
    }
}

/// The good configuration with `old`, which must be there, replaced.
fn with(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "the good configuration holds no {old:?}");
    GOOD.replacen(old, new, 1)
}

#[test]
fn hosts_of_one_label_are_served_and_named_in_rules() {
    let served = "hosts: ['*.team-a.models.example.com']\nservice_accounts:\n";
    let rule = |host: &str| {
        let rules = format!("access: public\n  - {{name: models, hosts: ['{host}'], access: deny}}");
        with("service_accounts:\n", served).replace("access: public", &rules)
    };
    for host in ["*.team-a.models.example.com", "iris.team-a.models.example.com", "kubeflow.example.com"] {
        assert_eq!(errors(&rule(host)), Vec::<String>::new(), "{host}");
    }
    for host in ["*.team-b.models.example.com", "team-a.models.example.com", "a.iris.team-a.models.example.com"] {
        assert!(errors(&rule(host))[0].starts_with("rules[1].hosts[0]: this host is not served"), "{host}");
    }
}

#[test]
fn the_good_configuration_is_good() {
    let settings = load(GOOD).unwrap();
    assert_eq!(settings.origins[0].session_cookie, "__Host-portcullis");
    assert_eq!(settings.origins[0].login.login_cookie, "__Host-portcullis-login");
    assert_eq!(settings.origins[0].login.redirect_uri.as_str(), "https://kubeflow.example.com/portcullis/callback");
    assert_eq!(settings.origins[0].after_logout.as_str(), "https://kubeflow.example.com/portcullis/signed-out");
    assert_eq!(settings.providers[0].authentication.shared_secret().unwrap().expose(), "kR7wq2Zp-Lx81vNcT0dY");
    assert_eq!(settings.rules.hosts, [HostPattern::parse("kubeflow.example.com").unwrap()]);
    assert_eq!(settings.headers, crate::identity::HeaderConfig::default());
    assert_eq!(settings.drain.delay.as_secs(), 5);
}
