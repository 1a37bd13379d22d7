//! Compiles our own protobuf messages, without a `protoc` on the machine.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(["portcullis/session/v1/session.proto"], ["proto"])?;
    prost_build::Config::new()
        // Messages hold secrets: none of them prints itself.
        .skip_debug(["."])
        .compile_fds(descriptors)?;
    Ok(())
}
