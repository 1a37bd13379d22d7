//! The contract of what keeps the list of revoked tokens.

use std::fmt;

use async_trait::async_trait;

use super::{error::StoreError, keys::RevocationId, limits::MAX_REVOCATIONS};
use crate::{clock::Timestamp, secret::random_bytes};

/// One entry of the list of revocations. What it revokes, and whether it does or was lifted, stands within the seal: who
/// may write to the store can neither forge an entry nor lift one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationEntry {
    /// What it is about: there is one entry of a name.
    pub id: RevocationId,
    /// When it was made, changed or lifted: of two the later one stays, and of two of one time the one whose sealed
    /// bytes are greater.
    pub updated_at: Timestamp,
    /// When it may be forgotten; never where there is none.
    pub expires_at: Option<Timestamp>,
    /// The sealed entry.
    pub sealed: Vec<u8>,
}

impl RevocationEntry {
    /// Whether this entry takes the place of another one of its name.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        (self.updated_at, &self.sealed) > (other.updated_at, &other.sealed)
    }
}

/// More would not be bounded.
pub(crate) fn too_many_revocations() -> StoreError {
    StoreError::Full(format!("it would hold more than {MAX_REVOCATIONS} revocations"))
}

/// The state of a list of revocations: another one after each change, and after the list was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(u64);

impl Generation {
    /// That of a list that was never written, or that was lost.
    pub const NONE: Self = Self(0);

    /// A new one, that no list has had.
    #[must_use]
    pub fn random() -> Self {
        Self(u64::from_be_bytes(random_bytes()).max(1))
    }

    /// Takes what was read back from a store.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The number under which a store keeps it.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// The list of revocations, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationList {
    /// It is as it was seen before. Entries may have expired meanwhile.
    Unchanged,
    /// The whole list, by name.
    Entries {
        /// What tells the next time whether it changed.
        generation: Generation,
        /// Every entry that has not expired.
        entries: Vec<RevocationEntry>,
        /// What vouches for the list as a whole, as it was last written; nothing where it never was.
        digest: Option<Vec<u8>>,
    },
}

/// A change of the list of revocations.
#[derive(Clone, Debug)]
pub struct RevocationChange {
    /// The list that it was made for. Another one is not changed.
    pub seen: Generation,
    /// What takes the place of the entries of the same names, or is added. Of a name there is one.
    pub entries: Vec<RevocationEntry>,
    /// What vouches for the list as a whole once that is done. A store cannot make or read it.
    pub digest: Vec<u8>,
}

/// Where the list of revoked `ServiceAccount` tokens is kept. Whoever keeps it cannot read it.
///
/// # The contract
/// - **Entries are replaced, never deleted**, and only in the list that the change was made for, in one atomic step with
///   the digest that vouches for the whole. So no replica undoes what another one did, and a list for which its digest does
///   not vouch was changed by somebody else. An entry that is lifted stays as an entry that says so, so that a replica that
///   did not hear of it cannot bring it back; and a store that lost the list, or a part of it, gets that back from the
///   replicas.
/// - **Durable before it is told**, as sessions are.
/// - **Expiry is the store's and the clock's**: an entry that has expired is not told, and does not change what is there.
/// - **No answer is made up.** A store that cannot tell returns an error.
#[async_trait]
pub trait RevocationStore: fmt::Debug + Send + Sync {
    /// Whether other processes read and write the same list.
    fn is_shared(&self) -> bool {
        false
    }

    /// The whole list of revocations, unless it is as it was at `seen`.
    async fn revocations(&self, seen: Option<Generation>) -> Result<RevocationList, StoreError>;

    /// Changes the list of revocations, unless it is another one by now than the change was made for; whether it was not.
    /// Entries that have expired change nothing. All or nothing: [`StoreError::Full`] where it would hold more than
    /// [`MAX_REVOCATIONS`](super::MAX_REVOCATIONS).
    async fn change_revocations(&self, change: RevocationChange) -> Result<bool, StoreError>;
}
