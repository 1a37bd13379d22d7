//! What ships is known, and what is said of it is true: the advisories that are set aside, and why.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use portcullis_integration::project::{files, read, root};
use serde_json::Value;

/// The justifications that `OpenVEX` knows (specification 0.2.0, "Status Justifications").
const JUSTIFICATIONS: [&str; 5] = [
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
];

/// The workspace as cargo resolves it from the lock file.
struct Metadata(Value);

impl Metadata {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--locked", "--offline", "--format-version", "1"])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(serde_json::from_slice(&output.stdout).unwrap())
    }

    fn packages(&self) -> impl Iterator<Item = &Value> {
        self.0["packages"].as_array().unwrap().iter()
    }

    fn package(&self, name: &str) -> &Value {
        let found: Vec<_> = self.packages().filter(|package| package["name"] == name).collect();
        let [package] = found[..] else { panic!("{} packages are called {name}", found.len()) };
        package
    }

    /// The names of the packages that depend on one.
    fn dependents(&self, name: &str) -> BTreeSet<&str> {
        let id = &self.package(name)["id"];
        let nodes = self.0["resolve"]["nodes"].as_array().unwrap().iter();
        let dependents = nodes.filter(|node| node["dependencies"].as_array().unwrap().contains(id));
        let named = |node: &Value| self.packages().find(|package| package["id"] == node["id"]).unwrap();
        dependents.map(|node| named(node)["name"].as_str().unwrap()).collect()
    }

    /// The folder of a package's sources.
    fn sources(&self, name: &str) -> PathBuf {
        Path::new(self.package(name)["manifest_path"].as_str().unwrap()).with_file_name("src")
    }
}

/// The lines below a folder that hold a text, tests apart, as `FILE: LINE`.
fn lines_with(folder: &Path, text: &str) -> Vec<String> {
    let sources = files(folder, "rs").into_iter().filter(|path| !path.ends_with("tests.rs"));
    let found = sources.flat_map(|path| {
        let name = path.strip_prefix(folder).unwrap().display().to_string();
        let lines: Vec<_> = read(&path).lines().map(str::trim).map(str::to_owned).collect();
        lines.into_iter().filter(|line| line.contains(text)).map(move |line| format!("{name}: {line}"))
    });
    found.collect()
}

fn statements() -> Vec<Value> {
    let document: Value = serde_json::from_str(&read("docs/vex.openvex.json")).unwrap();
    assert_eq!(document["@context"], "https://openvex.dev/ns/v0.2.0");
    document["statements"].as_array().unwrap().clone()
}

#[test]
fn every_advisory_that_is_set_aside_is_answered_and_no_other() {
    let deny = read("deny.toml");
    let (_, ignored) = deny.split_once("\nignore = [").unwrap();
    let (ignored, _) = ignored.split_once("]\n").unwrap();
    let ignored: BTreeSet<_> = ignored.split("id = \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let statements = statements();
    let answered = statements.iter().map(|statement| statement["vulnerability"]["name"].as_str().unwrap());
    assert_eq!(answered.collect::<BTreeSet<_>>(), ignored);
}

#[test]
fn a_statement_is_of_what_is_built_and_says_why() {
    let metadata = Metadata::read();
    let purl = |name: &str| format!("pkg:cargo/{name}@{}", metadata.package(name)["version"].as_str().unwrap());
    for statement in statements() {
        assert_eq!(statement["status"], "not_affected");
        assert!(JUSTIFICATIONS.contains(&statement["justification"].as_str().unwrap()), "{statement}");
        assert!(statement["impact_statement"].as_str().unwrap().len() > 100, "{statement}");
        let product = &statement["products"][0];
        assert_eq!(product["@id"], purl("portcullis"));
        let crates = product["subcomponents"].as_array().unwrap();
        assert_eq!(crates.len(), 1);
        let named = crates[0]["@id"].as_str().unwrap();
        let name = named.trim_start_matches("pkg:cargo/").split('@').next().unwrap();
        assert_eq!(named, purl(name), "the statement is of another version than the lock file's");
    }
}

/// RUSTSEC-2023-0071: who uses private keys of `rsa` gives them away by the time that it takes.
#[test]
fn no_private_key_of_rsa_is_reachable() {
    let metadata = Metadata::read();
    assert_eq!(metadata.dependents("rsa"), ["openidconnect"].into(), "another crate uses `rsa`");
    assert_eq!(metadata.dependents("openidconnect"), ["portcullis"].into());

    // The library holds private keys in one type, and makes them in that type's own functions.
    let library = metadata.sources("openidconnect");
    let naming = lines_with(&library, "RsaPrivateKey");
    let jwk = "core/jwk/mod.rs";
    let expected = [
        format!("{jwk}: use rsa::pkcs1::DecodeRsaPrivateKey;"),
        format!("{jwk}: key_pair: rsa::RsaPrivateKey,"),
        format!("{jwk}: let key_pair = rsa::RsaPrivateKey::from_pkcs1_pem(pem).map_err(|err| err.to_string())?;"),
    ];
    assert_eq!(naming, expected, "the library uses private keys in another place: read it anew");
    let text = read(library.join(jwk));
    let (before, holder) = text.split_once("pub struct CoreRsaPrivateSigningKey {").unwrap();
    assert!(!before.contains("RsaPrivateKey::"), "a private key is made outside of its type");
    assert_eq!(holder.matches("rsa::RsaPrivateKey").count(), 2);
    // Whatever else could: to decrypt, and to sign.
    assert_eq!(lines_with(&library, ".decrypt(").len() + lines_with(&library, "SigningKey::<").len(), 0);

    // We make no value of that type, by no name that it could go by.
    for folder in ["src", "integration/src"] {
        for word in ["PrivateSigningKey", "openidconnect::*", "core::*"] {
            let found = lines_with(&root().join(folder), word);
            assert!(found.is_empty(), "{folder}: {found:?}");
        }
    }
    // Nor does the library verify anything for us, but in the test that asks for its opinion.
    for word in ["IdTokenVerifier", "UserInfoVerifier", ".user_info("] {
        let found = lines_with(&root().join("src"), word);
        let elsewhere = found.iter().filter(|line| !line.starts_with("claims/id_token/second_opinion.rs: "));
        assert_eq!(elsewhere.count(), 0, "{found:?}");
    }
}
