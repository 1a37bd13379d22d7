//! The messages of `proto/portcullis/revocation/v1`. Nothing outside this room sees them.

#![expect(unreachable_pub, reason = "generated code")]

include!(concat!(env!("OUT_DIR"), "/portcullis.revocation.v1.rs"));
