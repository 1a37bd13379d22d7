//! The list of revocations as this process holds it: what the store ever told, the newest of each.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    digest,
    entry::{self, Revocation},
    in_force::InForce,
    limits::MARK_LIFE,
    target::Target,
};
use crate::{
    clock::Timestamp,
    secret::{KeyId, RootKeyRing},
    store::{Generation, MARK_GRACE, RevocationEntry, RevocationId},
};

/// What this process holds. It never forgets an entry but for a newer one of its name, or because it expired: where the
/// store lost it, it goes back from here.
#[derive(Debug, Default)]
pub(super) struct Held {
    entries: BTreeMap<RevocationId, (RevocationEntry, Revocation)>,
    /// What the store's list was like when it was last seen, and as it is held.
    pub(super) seen: Option<Generation>,
    /// When the whole list was last compared, by the clock that never steps back.
    pub(super) compared_at: Option<Duration>,
    /// Whether a whole list was seen, or an administrator said that what there is counts as one.
    pub(super) is_whole: bool,
    /// How many entries of the store's list do not open.
    pub(super) unreadable: usize,
    /// The key that the list was last written under.
    written_under: Option<KeyId>,
}

/// What came of taking over the store's list.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// What the store lacks, or has in another form.
    pub(super) missing: Vec<RevocationEntry>,
    /// How many entries do not open.
    pub(super) unreadable: usize,
    /// Whether the digest is under another key than the one that seals now.
    pub(super) is_of_another_key: bool,
    /// Whether the digest vouches for the list as the store told it, or the list is of an earlier version, that made no
    /// digest; or it was never written.
    pub(super) is_whole: bool,
}

impl Held {
    /// Takes over what the store told.
    pub(super) fn take(
        &mut self,
        ring: &RootKeyRing,
        told: &[RevocationEntry],
        digest: Option<&[u8]>,
        now: Timestamp,
    ) -> Taken {
        let (mut covered, mut foreign) = (BTreeMap::new(), BTreeSet::new());
        for entry in told {
            let known = self.entries.get(&entry.id).filter(|(held, _)| held == entry);
            let revocation = known.map_or_else(|| Revocation::open(ring, entry), |(_, known)| Ok(known.clone()));
            let Ok(revocation) = revocation else {
                foreign.insert(entry.id);
                continue;
            };
            if revocation.is_covered() {
                covered.insert(entry.id, entry);
            }
            self.put(entry.clone(), revocation);
        }
        self.forget_expired(now);
        let is_whole = match digest {
            Some(digest) => digest::vouches(ring, digest, covered.into_values()),
            None => covered.is_empty(),
        };
        let told: BTreeMap<_, _> = told.iter().map(|entry| (entry.id, entry)).collect();
        let lacks = |entry: &&RevocationEntry| {
            // By the store's clock it may have expired already.
            let is_ending = entry.expires_at.is_some_and(|end| end <= now.plus(MARK_GRACE));
            // What does not open and says that it is newer was not written by one of us.
            let is_foreign = foreign.contains(&entry.id);
            !is_ending && (is_foreign || told.get(&entry.id).is_none_or(|other| entry.is_newer_than(other)))
        };
        let missing = self.entries.values().map(|(entry, _)| entry).filter(lacks).cloned().collect();
        let is_of_another_key = digest.is_some_and(|digest| !digest.starts_with(ring.sealing_key().as_bytes()));
        Taken { missing, unreadable: foreign.len(), is_of_another_key, is_whole }
    }

    /// What vouches for the list as it is held, once these entries are in it too.
    pub(super) fn digest_with(&self, ring: &RootKeyRing, changes: &[(RevocationEntry, Revocation)]) -> Vec<u8> {
        let mut covered: BTreeMap<_, _> = self.entries.iter().map(|(id, (entry, of))| (id, (entry, of))).collect();
        covered.extend(changes.iter().map(|(entry, of)| (&entry.id, (entry, of))));
        digest::make(ring, covered.into_values().filter(|(_, of)| of.is_covered()).map(|(entry, _)| entry))
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
    pub(super) fn counting(&self) -> BTreeMap<&Target, &Revocation> {
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

    /// Whether the list was written under the key that seals now.
    pub(super) fn is_written_under(&self, ring: &RootKeyRing) -> bool {
        self.written_under == Some(ring.sealing_key())
    }

    /// After the sealing key was replaced: the list anew under that key, before the old one leaves the ring. And what an
    /// earlier version wrote, so that the digest covers it.
    pub(super) fn rewritten(&self, ring: &RootKeyRing, now: Timestamp) -> Vec<(RevocationEntry, Revocation)> {
        let of_another_key = !self.is_written_under(ring);
        if !of_another_key && !self.entries.values().any(|(_, revocation)| revocation.lacks_digest()) {
            return Vec::new();
        }
        let is_due = |revocation: &&Revocation| {
            let lacks_current = || {
                let id = entry::id(ring, ring.sealing_key(), &revocation.target);
                !id.is_some_and(|id| self.entries.contains_key(&id))
            };
            revocation.lacks_digest() || (of_another_key && lacks_current())
        };
        let counting = self.counting().into_values().filter(is_due);
        counting
            .flat_map(|revocation| {
                let updated_at = now.max(revocation.updated_at.just_after());
                self.entries_of(ring, &Revocation { updated_at, under_digest: true, ..revocation.clone() })
            })
            .collect()
    }

    pub(super) const fn note_written_under(&mut self, key: KeyId) {
        self.written_under = Some(key);
    }
}
