//! The messages of `proto/portcullis/session/v1`. Nothing outside this room sees them.

#![expect(unreachable_pub, reason = "generated code")]

include!(concat!(env!("OUT_DIR"), "/portcullis.session.v1.rs"));
