//! The seam to whatever keeps the sessions, and its security contract.

use std::{fmt, io, path::PathBuf, sync::Weak, time::Duration};

use async_trait::async_trait;
use thiserror::Error;

use crate::{
    clock::Timestamp,
    secret::{encode, random_bytes},
};

/// The most sessions that one person has at a time; the oldest ends for the next.
pub const MAX_SESSIONS_PER_SUBJECT: usize = 100;

/// How much longer a mark is kept than it must: a clock that steps back by less still finds it.
pub const MARK_GRACE: Duration = Duration::from_hours(1);

/// How far the clock may step back before a store forgets the later time that it saw, and how far ahead a thing may be
/// dated before it is refused.
pub const CLOCK_TOLERANCE: Duration = Duration::from_mins(1);

/// The most revocations that a store holds, those that were lifted included.
pub const MAX_REVOCATIONS: usize = 10_000;

/// How many expired things one call of [`SessionStore::sweep`] deletes at most.
pub const SWEEP_BATCH: usize = 1000;

macro_rules! keyed_hashes {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $name::BYTES]);

        impl $name {
            /// The length in bytes.
            pub const BYTES: usize = 32;

            /// Takes bytes that are such a hash, computed or read back from a store.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
                Self(bytes)
            }

            /// The hash's bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($name), "({}…)"), encode(self.0.first_chunk::<6>().unwrap_or(&[0; 6])))
            }
        }
    )+};
}

keyed_hashes! {
    /// The name of a session's record: a keyed hash of its ticket's id.
    RecordName,
    /// A key of an index: a keyed hash of an issuer and a subject, of an issuer and a `sid`, or of a user id.
    IndexKey,
    /// The name of a spent mark: a keyed hash of what was spent.
    MarkKey,
    /// The name of a lease: a keyed hash of what is leased.
    LeaseKey,
    /// The name of a revocation: a keyed hash of what is revoked.
    RevocationId,
}

macro_rules! keys_of_a_ring {
    ($($(#[doc = $doc:literal])+ $name:ident of $key:ident,)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(Vec<$key>);

        impl $name {
            pub(in crate::store) fn new(hashes: Vec<[u8; $key::BYTES]>) -> Self {
                Self(hashes.into_iter().map($key::from_bytes).collect())
            }

            /// The keys under every key of the ring: what is looked for.
            #[must_use]
            pub fn searched(&self) -> &[$key] {
                &self.0
            }
        }
    )+};
}

keys_of_a_ring! {
    /// One entry of an index, under every key of the root ring.
    IndexKeys of IndexKey,
    /// One spent mark, under every key of the root ring.
    MarkKeys of MarkKey,
}

impl IndexKeys {
    /// The entries of this index and of another one: for what is done to both in one step.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The key under the sealing key: what a new session is stored under.
    ///
    /// # Panics
    /// Never: a ring has a key.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a ring has a key")]
    pub fn stored(&self) -> &IndexKey {
        self.0.first().expect("a key ring has one key at least")
    }
}

/// Who holds leases: random, so that nobody takes himself for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseHolder([u8; LeaseHolder::BYTES]);

impl LeaseHolder {
    /// The length in bytes.
    pub const BYTES: usize = 16;

    /// Somebody new.
    #[must_use]
    pub fn random() -> Self {
        Self(random_bytes())
    }

    /// Somebody whom a test knows again.
    #[cfg(test)]
    pub(in crate::store) const fn numbered(number: u8) -> Self {
        Self([number; Self::BYTES])
    }

    /// The holder's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

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

/// A session that is to be stored.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// The record's name.
    pub name: RecordName,
    /// The sealed record; a store cannot read it.
    pub sealed: Vec<u8>,
    /// The sealed listing; a store cannot read it either.
    pub listing: Vec<u8>,
    /// When the session began.
    pub created_at: Timestamp,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
    /// When the login that it comes from began: a logout at this moment or later refuses it.
    pub login_began_at: Timestamp,
    /// Whose it is: the index in which at most [`MAX_SESSIONS_PER_SUBJECT`] sessions live.
    pub subject: IndexKeys,
    /// The provider's session; where the provider named none, the index of the person's sessions of which it did not.
    pub provider_session: Option<IndexKeys>,
    /// The name that services know the person by.
    pub userid: IndexKeys,
}

impl NewRecord {
    /// Every index that it stands in, and whose marks refuse it.
    pub fn indexes(&self) -> impl Iterator<Item = &IndexKeys> {
        [Some(&self.subject), self.provider_session.as_ref(), Some(&self.userid)].into_iter().flatten()
    }
}

/// A session as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// The sealed record.
    pub sealed: Vec<u8>,
    /// The sealed listing.
    pub listing: Vec<u8>,
    /// Counts up with each replacement, from 1.
    pub version: u64,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
}

/// What takes the place of a record.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// The version that is replaced; the new one is the next.
    pub version: u64,
    /// The new sealed record.
    pub sealed: Vec<u8>,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
}

/// One session in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredListing {
    /// The record's name.
    pub name: RecordName,
    /// The sealed listing. Only one that opens under the name says anything.
    pub listing: Vec<u8>,
}

/// What became of a new record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is stored, durably.
    Stored {
        /// The sessions of the same person that ended to make room.
        ended: Vec<RecordName>,
    },
    /// It was refused: its person or its session at the provider was logged out after the login began.
    LoggedOut,
    /// It was refused: there is a record of this name.
    NameTaken,
}

/// What became of a replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// It is stored, durably.
    Done,
    /// There is no such record: it ended meanwhile.
    Gone,
    /// Somebody else replaced it first: read again.
    Stale,
}

/// Why a store did not do what it was asked. The outcome is unknown then; nothing may be concluded from it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// There is no space left.
    #[error("the session store is full: {0}")]
    Full(String),
    /// It cannot be written.
    #[error("the session store cannot be written: {0}")]
    ReadOnly(String),
    /// What it holds is damaged.
    #[error("the session store is damaged: {0}")]
    Damaged(String),
    /// It cannot be reached, or failed in another way.
    #[error("the session store is unavailable: {0}")]
    Unavailable(String),
}

/// Why a store was not opened. Never followed by an empty one in its place.
#[derive(Debug, Error)]
pub enum StoreOpenError {
    /// The path names no file in a folder.
    #[error("{path}: this names no file in a folder; write for example /var/lib/portcullis/sessions/sessions.redb")]
    NoFileName {
        /// The path.
        path: PathBuf,
    },
    /// A symbolic link stands in the way.
    #[error("{path}: this is a symbolic link; the session store follows none")]
    SymbolicLink {
        /// The link.
        path: PathBuf,
    },
    /// It is no regular file, no folder, or has a second name.
    #[error("{path}: {problem}")]
    WrongKind {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It belongs to somebody else.
    #[error(
        "{path}: this belongs to user {owner}, and this process is user {user}; give the store a folder of its own"
    )]
    Owner {
        /// The file or folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// Another process has it open.
    #[error("{path}: another process has this session store open; only one may")]
    AlreadyOpen {
        /// The file.
        path: PathBuf,
    },
    /// It is damaged.
    #[error(
        "{path}: this session store is damaged ({detail}); restore it from a copy, or delete it to sign everybody out"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// It was written by another version.
    #[error("{path}: this session store has schema version {found}; this program reads version {expected}")]
    Schema {
        /// The file.
        path: PathBuf,
        /// The version that the file names.
        found: u64,
        /// The version that we read.
        expected: u64,
    },
    /// There is no space left.
    #[error("{path}: there is no space left for the session store: {source}")]
    Full {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It may not be written.
    #[error("{path}: the session store cannot be written: {source}")]
    ReadOnly {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A server that must not be used as it is, or that does not let us in.
    #[error("{problem}")]
    Refused {
        /// What is wrong, and with which server.
        problem: String,
    },
    /// Anything else that the operating system says.
    #[error("{path}: the session store cannot be opened: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Whoever remembers what it read from a store.
pub trait StoreObserver: fmt::Debug + Send + Sync {
    /// The record of this name was replaced or is gone. Told after the change holds, and before the call that changed
    /// it returns.
    fn changed(&self, name: &RecordName);

    /// Any record may have changed: the store could not tell of each.
    fn all_changed(&self);
}

/// How the servers of a store are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreReach {
    /// There is a connection.
    Reached,
    /// There is none.
    Lost {
        /// Since when.
        since: Timestamp,
        /// Why, in one word of a closed set: `unreachable` (nobody answers), `refused` (somebody must change the
        /// configuration or the server).
        problem: &'static str,
    },
}

/// Where sessions are kept. Shared by every check of a process, and by several processes where the backend allows it.
///
/// # The contract
/// A store is trusted to keep and to delete, not to be honest: records are sealed, and whoever opens one checks that it
/// was sealed under the name by which it was asked for. What only the store can do, it must do:
///
/// - **Durable before it is told.** What a call that returned `Ok` did holds after a crash or a kill of this process,
///   for as long as the backend promises anything (`memory` promises nothing).
/// - **Gone is gone.** After [`remove`](Self::remove), [`end_all`](Self::end_all) or an eviction has returned, no call
///   finds the record again, and no call that came too late brings it back: [`replace`](Self::replace) and
///   [`touch`](Self::touch) act only on what exists, in one atomic step.
/// - **A logout wins.** [`insert`](Self::insert) and `end_all` never pass each other: either the insert is refused by
///   the mark, or `end_all` deletes what was inserted.
/// - **Once.** Of any number of [`spend`](Self::spend) calls with one mark, on all replicas, one returns `true`.
///   [`end_all_once`](Self::end_all_once) leaves its mark in the very step that ends the sessions: the mark is there if
///   they ended, and only then. Who is told that it was there before may rely on that as on having done it: what was
///   done before is as durable when the call returns.
/// - **A lease has one holder** at a time, among all replicas; its end is the clock's. It is no lock: it is not durable,
///   and a store may forget it when it fails over or the clock steps back. Who acts on one is safe by the version that
///   [`replace`](Self::replace) asks for.
/// - **Revocations are replaced, never deleted**, and only in the list that the change was made for, in one atomic step
///   with the digest that vouches for the whole. So no replica undoes what another one did, and a list for which its
///   digest does not vouch was changed by somebody else. An entry that is lifted stays as an entry that says so, so that a
///   replica that did not hear of it cannot bring it back; and a store that lost the list, or a part of it, gets that back
///   from the replicas.
/// - **Expiry is the store's and the clock's.** What has expired is not found, and is deleted at first sight, so that a
///   clock that steps back afterwards revives nothing; nor does it revive what expired unseen by the latest time that
///   the store saw. Marks outlive what they mark by [`MARK_GRACE`].
/// - **Bounded.** A person has at most [`MAX_SESSIONS_PER_SUBJECT`] sessions; the oldest end in the step that inserts.
/// - **No answer is made up.** A store that cannot tell returns an error; "not found" is said only of what is not there.
///
/// Another backend is held to all this by running the `contract` tests of this room.
#[async_trait]
pub trait SessionStore: fmt::Debug + Send + Sync {
    /// How the store's servers are reached; `None` where it is within this process. Asks nobody.
    fn reach(&self) -> Option<StoreReach> {
        None
    }

    /// How long what was read may be used from memory at most before it is read again, while changes are told.
    fn may_remember_for(&self) -> Duration {
        Duration::MAX
    }

    /// Whether other processes read and write what this one does.
    fn is_shared(&self) -> bool {
        false
    }

    /// Stores a new session, unless a mark of [`end_all`](Self::end_all) refuses it.
    async fn insert(&self, record: NewRecord) -> Result<Inserted, StoreError>;

    /// The session of this name.
    async fn get(&self, name: &RecordName) -> Result<Option<StoredRecord>, StoreError>;

    /// Replaces a record that still exists and still has the version that the replacement names.
    async fn replace(&self, name: &RecordName, replacement: Replacement) -> Result<Replaced, StoreError>;

    /// Sets the listing and the end of a session that still exists; whether it did.
    async fn touch(&self, name: &RecordName, listing: Vec<u8>, expires_at: Timestamp) -> Result<bool, StoreError>;

    /// Deletes a session; whether it existed.
    async fn remove(&self, name: &RecordName) -> Result<bool, StoreError>;

    /// The sessions in an index, the oldest first.
    async fn list(&self, index: &IndexKeys) -> Result<Vec<StoredListing>, StoreError>;

    /// Ends every session in an index, and refuses those whose login began at `not_before` or earlier until
    /// `mark_until`. Returns the names of those that ended.
    async fn end_all(
        &self,
        index: &IndexKeys,
        not_before: Timestamp,
        mark_until: Timestamp,
    ) -> Result<Vec<RecordName>, StoreError>;

    /// As [`end_all`](Self::end_all), and leaves `mark`, until `mark_until` too; nothing, and nothing is done, where the
    /// mark is there.
    async fn end_all_once(
        &self,
        mark: &MarkKeys,
        index: &IndexKeys,
        not_before: Timestamp,
        mark_until: Timestamp,
    ) -> Result<Option<Vec<RecordName>>, StoreError>;

    /// Leaves a mark until `until`, unless it is there; whether it was not.
    async fn spend(&self, mark: &MarkKeys, until: Timestamp) -> Result<bool, StoreError>;

    /// Takes a lease for a holder until `until`, where it is free, has expired or is the holder's own; whether it did.
    /// Who holds it and takes it again renews it.
    async fn take_lease(&self, lease: &LeaseKey, holder: &LeaseHolder, until: Timestamp) -> Result<bool, StoreError>;

    /// Gives a lease back that is the holder's own; whether it was.
    async fn release_lease(&self, lease: &LeaseKey, holder: &LeaseHolder) -> Result<bool, StoreError>;

    /// The whole list of revocations, unless it is as it was at `seen`.
    async fn revocations(&self, seen: Option<Generation>) -> Result<RevocationList, StoreError>;

    /// Changes the list of revocations, unless it is another one by now than the change was made for; whether it was not.
    /// Entries that have expired change nothing. All or nothing: [`StoreError::Full`] where it would hold more than
    /// [`MAX_REVOCATIONS`].
    async fn change_revocations(&self, change: RevocationChange) -> Result<bool, StoreError>;

    /// Deletes what has expired, at most [`SWEEP_BATCH`] things; how many it deleted.
    async fn sweep(&self) -> Result<usize, StoreError>;

    /// Tells `observer` of every change from now on; whether the store can. Who cannot be told may remember nothing.
    fn observe(&self, observer: Weak<dyn StoreObserver>) -> bool;

    /// Whether observers hear of every change at this moment, those of other processes soon after. Who remembers asks
    /// before each use; when it is so again, observers are told first that anything may have changed.
    fn tells_of_changes(&self) -> bool {
        true
    }
}
