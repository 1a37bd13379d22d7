#![no_main]

use portcullis::properties::{decoding, most_allocated};

libfuzzer_sys::fuzz_target!(|message: &[u8]| {
    let held = allocation_counter::measure(|| decoding(message)).bytes_max;
    assert!(held <= most_allocated(message.len()) as u64, "{held} bytes for {}", message.len());
});
