//! The list of revocations as this process holds it: what the store ever told, the newest of each.

use std::collections::BTreeMap;

use super::{
    MARK_LIFE,
    entry::{self, Revocation},
    in_force::InForce,
    target::RevocationTarget,
};
use crate::{
    clock::Timestamp,
    secret::{KeyId, RootKeyRing},
    session::store::{Generation, RevocationEntry, RevocationId},
};

/// What this process holds. It never forgets an entry but for a newer one of its name, or because it expired: where the
/// store lost it, it goes back from here.
#[derive(Debug, Default)]
pub(super) struct Held {
    entries: BTreeMap<RevocationId, (RevocationEntry, Revocation)>,
    /// What the store's list was like when it was last seen.
    pub(super) seen: Option<Generation>,
    /// The key that the list was last written under.
    written_under: Option<KeyId>,
}

/// What came of taking over the store's list.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// What the store lacks, or has in an older form.
    pub(super) missing: Vec<RevocationEntry>,
    /// How many entries do not open.
    pub(super) unreadable: usize,
}

impl Held {
    /// Takes over what the store told.
    pub(super) fn take(&mut self, ring: &RootKeyRing, told: &[RevocationEntry], now: Timestamp) -> Taken {
        let mut unreadable = 0;
        for entry in told {
            match Revocation::open(ring, entry) {
                Ok(revocation) => self.put(entry.clone(), revocation),
                Err(_) => unreadable += 1,
            }
        }
        self.forget_expired(now);
        let told: BTreeMap<_, _> = told.iter().map(|entry| (entry.id, entry)).collect();
        let lacks = |entry: &&RevocationEntry| told.get(&entry.id).is_none_or(|other| entry.is_newer_than(other));
        let missing = self.entries.values().map(|(entry, _)| entry).filter(lacks).cloned().collect();
        Taken { missing, unreadable }
    }

    /// Takes over what was just written.
    pub(super) fn put(&mut self, entry: RevocationEntry, revocation: Revocation) {
        let held = self.entries.get(&entry.id);
        if held.is_none_or(|(other, _)| entry.is_newer_than(other)) {
            self.entries.insert(entry.id, (entry, revocation));
        }
    }

    /// Forgets what has expired; whether there was anything.
    pub(super) fn forget_expired(&mut self, now: Timestamp) -> bool {
        let before = self.entries.len();
        self.entries.retain(|_, (entry, _)| entry.expires_at.is_none_or(|end| end > now));
        self.entries.len() < before
    }

    /// What counts of each target, lifted ones included.
    pub(super) fn counting(&self) -> BTreeMap<&RevocationTarget, &Revocation> {
        let mut counting = BTreeMap::<_, &Revocation>::new();
        for (_, revocation) in self.entries.values() {
            let other = counting.get(&revocation.target);
            if other.is_none_or(|other| revocation.supersedes(other)) {
                counting.insert(&revocation.target, revocation);
            }
        }
        counting
    }

    pub(super) fn in_force(&self) -> InForce {
        InForce::of(self.counting().into_values())
    }

    /// The entries that make `revocation` count: one under the key that seals now, and one in the place of each that is
    /// held under an older key. What stands under an older key is needed only until what it changes is forgotten.
    pub(super) fn entries_of(&self, ring: &RootKeyRing, revocation: &Revocation) -> Vec<(RevocationEntry, Revocation)> {
        let mut ids = ring.key_ids().filter_map(|key| entry::id(ring, key, &revocation.target));
        let current = ids.next().map(|id| (revocation.seal(ring, id), revocation.clone()));
        let older = ids.filter(|id| self.entries.contains_key(id)).map(|id| {
            let expires_at = Some(revocation.updated_at.plus(MARK_LIFE));
            let brief = Revocation { expires_at: revocation.expires_at.or(expires_at), ..revocation.clone() };
            (brief.seal(ring, id), brief)
        });
        current.into_iter().chain(older).collect()
    }

    /// After the sealing key was replaced: the list anew under that key, before the old one leaves the ring.
    pub(super) fn rewritten(&self, ring: &RootKeyRing, now: Timestamp) -> Vec<(RevocationEntry, Revocation)> {
        if self.written_under == Some(ring.sealing_key()) {
            return Vec::new();
        }
        let lacks_current = |revocation: &&Revocation| {
            let id = entry::id(ring, ring.sealing_key(), &revocation.target);
            !id.is_some_and(|id| self.entries.contains_key(&id))
        };
        let counting = self.counting().into_values().filter(lacks_current);
        counting
            .flat_map(|revocation| {
                let updated_at = now.max(revocation.updated_at.just_after());
                self.entries_of(ring, &Revocation { updated_at, ..revocation.clone() })
            })
            .collect()
    }

    pub(super) const fn note_written_under(&mut self, key: KeyId) {
        self.written_under = Some(key);
    }
}
