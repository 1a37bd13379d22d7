//! The contract of what keeps sessions.

use std::{fmt, sync::Weak, time::Duration};

use async_trait::async_trait;

use super::{
    error::StoreError,
    keys::{IndexKeys, MarkKeys, RecordName},
    observers::StoreObserver,
    reach::StoreReach,
    records::{Inserted, NewRecord, Replaced, Replacement, StoredListing, StoredRecord},
};
use crate::clock::Timestamp;

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
/// - **Once.** [`end_all_once`](Self::end_all_once) leaves a mark of [`MarkStore`](super::MarkStore) in the very step that
///   ends the sessions: the mark is there if they ended, and only then. Who is told that it was there before may rely on
///   that as on having done it: what was done before is as durable when the call returns.
/// - **Expiry is the store's and the clock's.** What has expired is not found, and is deleted at first sight, so that a
///   clock that steps back afterwards revives nothing; nor does it revive what expired unseen by the latest time that
///   the store saw. Marks outlive what they mark by [`MARK_GRACE`](super::MARK_GRACE).
/// - **Bounded.** A person has at most [`MAX_SESSIONS_PER_SUBJECT`](super::MAX_SESSIONS_PER_SUBJECT) sessions; the oldest
///   end in the step that inserts.
/// - **No answer is made up.** A store that cannot tell returns an error; "not found" is said only of what is not there.
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

    /// Whether the store itself holds every session in this process' memory, outside of all bounds: then whoever remembers
    /// what it read needs none either, since there are never more than the store has.
    fn holds_all_in_memory(&self) -> bool {
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

    /// Deletes what has expired, at most [`SWEEP_BATCH`](super::SWEEP_BATCH) things, marks and revocations among them; how many it deleted.
    async fn sweep(&self) -> Result<usize, StoreError>;

    /// Tells `observer` of every change from now on; whether the store can. Who cannot be told may remember nothing.
    fn observe(&self, observer: Weak<dyn StoreObserver>) -> bool;

    /// Whether observers hear of every change at this moment, those of other processes soon after. Who remembers asks
    /// before each use; when it is so again, observers are told first that anything may have changed.
    fn tells_of_changes(&self) -> bool {
        true
    }
}
