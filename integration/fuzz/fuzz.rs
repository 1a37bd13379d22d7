//! libFuzzer over the target of `portcullis::properties` that `FUZZ_TARGET` names.

#![no_main]

use std::sync::LazyLock;

use portcullis::properties::{TARGETS, Target, most_allocated};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("there is no target {name}"))
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let held = allocation_counter::measure(|| (TARGET.run)(input)).bytes_max;
    // What reads a message has a bound in memory; a whole check of it has others.
    if TARGET.name == "decoding" {
        assert!(held <= most_allocated(input.len()) as u64, "{held} bytes for {}", input.len());
    }
});
