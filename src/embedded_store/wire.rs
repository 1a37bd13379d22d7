//! The messages of `proto/portcullis/embedded/v1`. Nothing outside this room sees them.

#![expect(unreachable_pub, reason = "generated code")]

include!(concat!(env!("OUT_DIR"), "/portcullis.embedded.v1.rs"));
