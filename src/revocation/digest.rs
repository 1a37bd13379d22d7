//! What vouches for the list of revocations as a whole: that no entry is missing, was added or is an older one.
//!
//! A digest is a keyed hash over every entry that never expires, after the name of its key. Who may write to the store
//! cannot make one; they can put back an older list with its own digest, which only a process that knows the newer list
//! can tell.

use crate::{
    secret::{KeyId, Label, RootKeyRing},
    store::RevocationEntry,
};

/// The digest of these entries, which come in the order of their names, under the key that seals.
///
/// # Panics
/// Never: a ring has its sealing key.
#[expect(clippy::expect_used, reason = "a ring has its sealing key")]
pub(super) fn make<'a>(ring: &RootKeyRing, covered: impl Iterator<Item = &'a RevocationEntry>) -> Vec<u8> {
    let key = ring.sealing_key();
    let tag = ring.mac(key, Label::RevocationDigest, &fields(covered)).expect("a ring has its sealing key");
    [key.as_bytes().as_slice(), &tag].concat()
}

/// Whether a digest vouches for these entries, which come in the order of their names.
pub(super) fn vouches<'a>(
    ring: &RootKeyRing,
    digest: &[u8],
    covered: impl Iterator<Item = &'a RevocationEntry>,
) -> bool {
    digest.split_first_chunk::<{ KeyId::BYTES }>().is_some_and(|(key, tag)| {
        ring.verify_mac(KeyId::from_bytes(*key), Label::RevocationDigest, &fields(covered), tag)
    })
}

/// The times of an entry stand within its seal.
fn fields<'a>(covered: impl Iterator<Item = &'a RevocationEntry>) -> Vec<&'a [u8]> {
    covered.flat_map(|entry| [entry.id.as_bytes().as_slice(), &entry.sealed]).collect()
}
