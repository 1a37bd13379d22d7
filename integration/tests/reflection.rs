//! The descriptors that gRPC reflection tells of Envoy's service: cut out of those that `envoy-types` was generated from.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use serde_json::Value;

/// The service's own file, from which everything that it imports is followed.
const SERVICE: &str = "envoy/service/auth/v3/external_auth.proto";
const COMMITTED: &str = "proto/envoy/external_auth.binpb";

/// `UPDATE_DESCRIPTORS=1 cargo test -p portcullis-integration --test reflection` writes it.
#[test]
fn the_committed_descriptors_are_those_of_envoy_types() {
    let generated = fs::read(envoy_types().join("src/generated/types.bin")).unwrap();
    let wanted = cut_out(FileDescriptorSet::decode(generated.as_slice()).unwrap()).encode_to_vec();
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(COMMITTED);
    if std::env::var_os("UPDATE_DESCRIPTORS").is_some() {
        fs::create_dir_all(committed.parent().unwrap()).unwrap();
        fs::write(&committed, &wanted).unwrap();
    }
    assert!(
        fs::read(&committed).unwrap() == wanted,
        "{COMMITTED} is stale: UPDATE_DESCRIPTORS=1 cargo test -p portcullis-integration --test reflection",
    );
}

/// The service's file and everything that it imports, without comments and places in the source.
fn cut_out(all: FileDescriptorSet) -> FileDescriptorSet {
    let files: BTreeMap<String, FileDescriptorProto> =
        all.file.into_iter().map(|file| (file.name().to_owned(), file)).collect();
    let mut kept: BTreeMap<&str, &FileDescriptorProto> = BTreeMap::new();
    let mut wanted = vec![SERVICE];
    while let Some(name) = wanted.pop() {
        let file = &files[name];
        if kept.insert(name, file).is_none() {
            wanted.extend(file.dependency.iter().map(String::as_str));
        }
    }
    let without_source = |file: &FileDescriptorProto| FileDescriptorProto { source_code_info: None, ..file.clone() };
    FileDescriptorSet { file: kept.into_values().map(without_source).collect() }
}

/// The folder of the `envoy-types` that this workspace is built with.
fn envoy_types() -> PathBuf {
    // Packages of this platform alone: those of others need not be on the machine.
    let versions = String::from_utf8(run("RUSTC", "rustc", &["-vV"])).unwrap();
    let host = versions.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let metadata =
        ["metadata", "--format-version", "1", "--locked", "--filter-platform", host, "--manifest-path", manifest];
    let metadata: Value = serde_json::from_slice(&run("CARGO", "cargo", &metadata)).unwrap();
    let package = metadata["packages"].as_array().unwrap().iter().find(|package| package["name"] == "envoy-types");
    Path::new(package.unwrap()["manifest_path"].as_str().unwrap()).parent().unwrap().to_path_buf()
}

fn run(variable: &str, default: &str, arguments: &[&str]) -> Vec<u8> {
    let command = std::env::var_os(variable).unwrap_or_else(|| default.into());
    let output = Command::new(command).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
