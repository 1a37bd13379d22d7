//! Compiles our own protobuf messages and services, without a `protoc` on the machine.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let stored = protox::compile(STORED, ["proto"])?;
    prost_build::Config::new()
        // Messages hold secrets: none of them prints itself.
        .skip_debug(["."])
        .compile_fds(stored)?;
    let administration = protox::compile(ADMINISTRATION, ["proto"])?;
    tonic_prost_build::configure().skip_debug(["."]).compile_fds(administration)?;
    Ok(())
}

/// The API for administrators.
const ADMINISTRATION: [&str; 3] = [
    "portcullis/admin/v1/decision_service.proto",
    "portcullis/admin/v1/revocation_service.proto",
    "portcullis/admin/v1/session_service.proto",
];

/// What is stored.
const STORED: [&str; 3] = [
    "portcullis/embedded/v1/row.proto",
    "portcullis/revocation/v1/revocation.proto",
    "portcullis/session/v1/session.proto",
];
