//! What a store is given to keep of a session, and what it answers.

use super::keys::{IndexKeys, RecordName};
use crate::clock::Timestamp;

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
    /// Whose it is: the index in which at most [`MAX_SESSIONS_PER_SUBJECT`](super::MAX_SESSIONS_PER_SUBJECT) sessions live.
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
