//! The keys of the store's indexes and marks: keyed hashes, so that a store reveals neither people nor sessions.

use super::keys::{IndexKeys, LeaseKey, MarkKeys, RecordName};
use crate::secret::{KeyId, Label, RootKeyRing};

/// The index of a person's sessions: by issuer and subject.
pub(crate) fn subject(ring: &RootKeyRing, issuer: &str, subject: &str) -> IndexKeys {
    index(ring, "subject", issuer, subject)
}

/// The index of the sessions of one session at the provider: by issuer and `sid`.
pub(crate) fn provider_session(ring: &RootKeyRing, issuer: &str, session: &str) -> IndexKeys {
    index(ring, "provider-session", issuer, session)
}

/// The index of a person's sessions of which the provider named no session of its own: by issuer and subject.
pub(crate) fn no_provider_session(ring: &RootKeyRing, issuer: &str, subject: &str) -> IndexKeys {
    index(ring, "no-provider-session", issuer, subject)
}

/// The index of the sessions of whoever services know by this name.
pub(crate) fn userid(ring: &RootKeyRing, userid: &str) -> IndexKeys {
    index(ring, "userid", "", userid)
}

/// The lease on a session, under the session's own key, which all replicas have that can open it.
pub(crate) fn session_lease(ring: &RootKeyRing, key: KeyId, name: &RecordName) -> Option<LeaseKey> {
    ring.mac(key, Label::Lease, &[b"session", name.as_bytes()]).ok().map(LeaseKey::from_bytes)
}

/// The marks that say that `mark` was spent.
pub(crate) fn spent(ring: &RootKeyRing, mark: &[u8]) -> MarkKeys {
    MarkKeys::new(under_every_key(ring, Label::SpentState, &[mark]))
}

fn index(ring: &RootKeyRing, kind: &str, issuer: &str, value: &str) -> IndexKeys {
    // The ring puts each field's length before it, so that no two pairs make the same key.
    IndexKeys::new(under_every_key(ring, Label::Index, &[kind.as_bytes(), issuer.as_bytes(), value.as_bytes()]))
}

/// One key of the index for each key of the ring, the sealing one first.
fn under_every_key(ring: &RootKeyRing, label: Label, fields: &[&[u8]]) -> Vec<[u8; 32]> {
    ring.key_ids().filter_map(|id| ring.mac(id, label, fields).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::ring;

    #[test]
    fn no_two_fields_run_together() {
        let ring = ring(&[1]);
        let key = |issuer, value| *subject(&ring, issuer, value).stored();
        assert_ne!(key("https://a", "b"), key("https://ab", ""));
        assert_ne!(key("a", "bc"), key("ab", "c"));
        assert_ne!(key("a", "b"), *provider_session(&ring, "a", "b").stored());
    }

    #[test]
    fn after_a_rotation_what_was_stored_before_is_still_found() {
        let before = subject(&ring(&[1]), "i", "s");
        let after = subject(&ring(&[2, 1]), "i", "s");
        assert_ne!(before.stored(), after.stored());
        assert!(after.searched().contains(before.stored()));
    }
}
