//! A revocation, and its sealed form.

use prost::Message as _;

use super::{
    target::{PodUid, Target, TokenId},
    wire,
};
use crate::{
    clock::Timestamp,
    principal::{Namespace, ServiceAccountName},
    secret::{KeyId, Label, RootKeyRing, UnsealError},
    store::{RevocationEntry, RevocationId},
};

/// What is revoked of a target. Of nothing where it was lifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub(super) target: Target,
    pub(super) not_before: Option<Timestamp>,
    pub(super) denied: bool,
    pub(super) updated_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
    /// Whether it was written together with a digest of the list. Not so of what an earlier version wrote.
    pub(super) under_digest: bool,
}

impl Revocation {
    /// What it is about.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Tokens that were issued before this, or at most [`super::ISSUE_MARGIN`] after it, are refused.
    #[must_use]
    pub const fn not_before(&self) -> Option<Timestamp> {
        self.not_before
    }

    /// Whether every token is refused, whenever it was issued.
    #[must_use]
    pub const fn is_denied(&self) -> bool {
        self.denied
    }

    /// When it was made or changed.
    #[must_use]
    pub const fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// Whether it refuses anything at all.
    pub(super) const fn is_in_force(&self) -> bool {
        self.denied || self.not_before.is_some()
    }

    /// Whether the digest of the list covers it. What expires may vanish: it lifts something, or stands under an older key
    /// beside the entry that counts.
    pub(super) const fn is_covered(&self) -> bool {
        self.under_digest && self.expires_at.is_none()
    }

    /// Whether an earlier version wrote it, which made no digest.
    pub(super) const fn lacks_digest(&self) -> bool {
        !self.under_digest && self.expires_at.is_none()
    }

    /// Whether this one counts where both are about one target. Of two of one time, the one that is kept longer.
    pub(super) fn supersedes(&self, other: &Self) -> bool {
        let rank = |one: &Self| (one.updated_at, one.expires_at.map_or(u64::MAX, Timestamp::as_unix_millis));
        rank(self) > rank(other)
    }

    /// The sealed entry, named under the named key.
    pub(super) fn seal(&self, ring: &RootKeyRing, id: RevocationId) -> RevocationEntry {
        let sealed = ring.seal(Label::Revocation, &[id.as_bytes()], &self.to_wire().encode_to_vec());
        RevocationEntry { id, updated_at: self.updated_at, expires_at: self.expires_at, sealed }
    }

    /// Opens an entry that a store returned. One that was planted, moved, or whose times were changed does not open.
    pub(super) fn open(ring: &RootKeyRing, entry: &RevocationEntry) -> Result<Self, UnsealError> {
        let plain = ring.open(Label::Revocation, &[entry.id.as_bytes()], &entry.sealed)?;
        let stored = wire::Revocation::decode(plain.expose()).map_err(|_| UnsealError)?;
        let revocation = Self::from_wire(stored).ok_or(UnsealError)?;
        // Else an older entry could be made to look newer than what changed it.
        let same_times = (revocation.updated_at, revocation.expires_at) == (entry.updated_at, entry.expires_at);
        if same_times { Ok(revocation) } else { Err(UnsealError) }
    }

    fn to_wire(&self) -> wire::Revocation {
        use wire::revocation::Target as Stored;
        let value = self.target.value();
        wire::Revocation {
            target: Some(match &self.target {
                Target::Namespace(_) => Stored::Namespace(value),
                Target::ServiceAccount(_) => Stored::ServiceAccount(value),
                Target::Pod(_) => Stored::PodUid(value),
                Target::Token(_) => Stored::TokenId(value),
            }),
            not_before_ms: self.not_before.map(Timestamp::as_unix_millis),
            denied: self.denied,
            updated_at_ms: self.updated_at.as_unix_millis(),
            expires_at_ms: self.expires_at.map(Timestamp::as_unix_millis),
            under_digest: self.under_digest,
        }
    }

    fn from_wire(stored: wire::Revocation) -> Option<Self> {
        use wire::revocation::Target as Stored;
        let target = match stored.target? {
            Stored::Namespace(name) => Target::Namespace(Namespace::parse(&name).ok()?),
            Stored::ServiceAccount(name) => Target::ServiceAccount(ServiceAccountName::parse(&name).ok()?),
            Stored::PodUid(uid) => Target::Pod(PodUid::parse(&uid).ok()?),
            Stored::TokenId(id) => Target::Token(TokenId::parse(&id).ok()?),
        };
        Some(Self {
            target,
            not_before: stored.not_before_ms.map(Timestamp::from_unix_millis),
            denied: stored.denied,
            updated_at: Timestamp::from_unix_millis(stored.updated_at_ms),
            expires_at: stored.expires_at_ms.map(Timestamp::from_unix_millis),
            under_digest: stored.under_digest,
        })
    }
}

/// The name of a target's entry under the named key, where the ring has it.
pub(super) fn id(ring: &RootKeyRing, key: KeyId, target: &Target) -> Option<RevocationId> {
    let (kind, value) = (target.kind(), target.value());
    ring.mac(key, Label::RevocationName, &[kind.as_bytes(), value.as_bytes()]).ok().map(RevocationId::from_bytes)
}
