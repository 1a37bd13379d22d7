//! What the API server calls things.

use aws_lc_rs::digest;

/// `sub` of a ServiceAccount.
pub(super) fn subject(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// A uid that is always the same for the same thing.
pub(super) fn uid(of: &str) -> String {
    use std::fmt::Write as _;

    let hash = digest::digest(&digest::SHA256, of.as_bytes());
    let mut uid = String::new();
    for (index, byte) in hash.as_ref()[..16].iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            uid.push('-');
        }
        write!(uid, "{byte:02x}").expect("writing to a string cannot fail");
    }
    uid
}
