//! The tables of the file, and the steps on them. Each step runs within one transaction, on the one thread that writes.

use std::cmp::max;

use prost::Message as _;
use redb::{ReadableTable as _, Table, TableDefinition, TableError, WriteTransaction};

use super::{
    failure::{damaged, storage},
    wire::Row,
};
use crate::{
    clock::Timestamp,
    store::{
        IndexKey, IndexKeys, Inserted, Judged, MARK_GRACE, MAX_SESSIONS_PER_SUBJECT, MarkKeys, NewRecord, RecordName,
        Replaced, Replacement, StoreError, StoredListing,
    },
};

/// The version of the tables.
pub(super) const SCHEMA_VERSION: u64 = 1;
const SCHEMA: &str = "schema";
/// The latest time that was seen when something was written, in milliseconds since the Unix epoch.
const LATEST: &str = "latest";
/// The generation of the revocations.
pub(super) const GENERATION: &str = "generation";

type Hash = &'static [u8; 32];

const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// What is known of a session without its ticket, by record name: a [`Row`].
pub(super) const ROWS: TableDefinition<Hash, &[u8]> = TableDefinition::new("rows");
/// The sealed records, by record name.
pub(super) const RECORDS: TableDefinition<Hash, &[u8]> = TableDefinition::new("records");
/// (index key, when the session began, record name).
const BY_INDEX: TableDefinition<(Hash, u64, Hash), ()> = TableDefinition::new("by-index");
/// (when the session ends unless it is used, record name).
const BY_EXPIRY: TableDefinition<(u64, Hash), ()> = TableDefinition::new("by-expiry");
/// Spent marks: when they may be forgotten.
const SPENT: TableDefinition<Hash, u64> = TableDefinition::new("spent");
/// Logouts by index key: (the moment until which logins are refused, when the mark may be forgotten).
const LOGOUTS: TableDefinition<Hash, (u64, u64)> = TableDefinition::new("logouts");
/// (when a mark may be forgotten, its key); of both kinds.
const MARKS_BY_END: TableDefinition<(u64, Hash), ()> = TableDefinition::new("marks-by-end");

/// Revocations: (when it was made, when it may be forgotten, the sealed entry).
pub(super) const REVOCATIONS: TableDefinition<Hash, (u64, Option<u64>, &[u8])> = TableDefinition::new("revocations");

/// What vouches for the revocations as a whole.
pub(super) const REVOCATIONS_DIGEST: TableDefinition<(), &[u8]> = TableDefinition::new("revocations-digest");

/// What a file says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meta {
    pub(super) schema: Option<u64>,
    pub(super) latest: Timestamp,
}

/// The open tables of a write transaction.
pub(super) struct Tables<'txn> {
    pub(super) meta: Table<'txn, &'static str, u64>,
    rows: Table<'txn, Hash, &'static [u8]>,
    records: Table<'txn, Hash, &'static [u8]>,
    by_index: Table<'txn, (Hash, u64, Hash), ()>,
    by_expiry: Table<'txn, (u64, Hash), ()>,
    spent: Table<'txn, Hash, u64>,
    logouts: Table<'txn, Hash, (u64, u64)>,
    marks_by_end: Table<'txn, (u64, Hash), ()>,
    pub(super) revocations: Table<'txn, Hash, (u64, Option<u64>, &'static [u8])>,
    pub(super) revocations_digest: Table<'txn, (), &'static [u8]>,
    pub(super) now: Timestamp,
    /// Whether anything was written.
    pub(super) dirty: bool,
    /// The records that were replaced or deleted.
    changed: &'txn mut Vec<RecordName>,
}

impl<'txn> Tables<'txn> {
    /// Opens the tables; the records that the steps replace or delete are added to `changed`.
    pub(super) fn open(
        transaction: &'txn WriteTransaction,
        changed: &'txn mut Vec<RecordName>,
    ) -> Result<Self, TableError> {
        Ok(Self {
            meta: transaction.open_table(META)?,
            rows: transaction.open_table(ROWS)?,
            records: transaction.open_table(RECORDS)?,
            by_index: transaction.open_table(BY_INDEX)?,
            by_expiry: transaction.open_table(BY_EXPIRY)?,
            spent: transaction.open_table(SPENT)?,
            logouts: transaction.open_table(LOGOUTS)?,
            marks_by_end: transaction.open_table(MARKS_BY_END)?,
            revocations: transaction.open_table(REVOCATIONS)?,
            revocations_digest: transaction.open_table(REVOCATIONS_DIGEST)?,
            now: Timestamp::from_unix_millis(0),
            dirty: false,
            changed,
        })
    }

    /// What the file says of itself; no schema where nothing has ever been written.
    pub(super) fn meta(&self) -> Result<Meta, StoreError> {
        let read = |key| Ok::<_, StoreError>(self.meta.get(key).map_err(storage)?.map(|value| value.value()));
        Ok(Meta { schema: read(SCHEMA)?, latest: Timestamp::from_unix_millis(read(LATEST)?.unwrap_or(0)) })
    }

    /// Marks the file as ours.
    pub(super) fn initialize(&mut self) -> Result<(), StoreError> {
        self.meta.insert(SCHEMA, SCHEMA_VERSION).map_err(storage)?;
        self.dirty = true;
        Ok(())
    }

    /// Sets the time by which this transaction judges; `latest` is the latest time that the process saw. Where the
    /// clock stepped back for good, what had expired by the later time is deleted before that time is forgotten.
    pub(super) fn advance(&mut self, now: Timestamp, latest: Timestamp) -> Result<Timestamp, StoreError> {
        let latest = max(latest, self.meta()?.latest);
        let Judged { now, stepped_back } = Judged::by(now, latest);
        if stepped_back {
            for name in self.expired(latest, usize::MAX)? {
                self.delete(&name)?;
            }
            self.write_latest(now)?;
        }
        self.now = now;
        Ok(now)
    }

    /// Ends the steps; whether anything was written, and with it the time.
    pub(super) fn finish(mut self) -> Result<bool, StoreError> {
        if self.dirty {
            self.write_latest(self.now)?;
        }
        Ok(self.dirty)
    }

    fn write_latest(&mut self, latest: Timestamp) -> Result<(), StoreError> {
        self.meta.insert(LATEST, latest.as_unix_millis()).map_err(storage)?;
        self.dirty = true;
        Ok(())
    }

    pub(super) fn insert(&mut self, record: &NewRecord) -> Result<Inserted, StoreError> {
        let indexes: Vec<_> = record.indexes().collect();
        for key in indexes.iter().flat_map(|index| index.searched()) {
            if self.logged_out_at(key)?.is_some_and(|not_before| not_before >= record.login_began_at) {
                return Ok(Inserted::LoggedOut);
            }
        }
        if self.live(&record.name)?.is_some() {
            return Ok(Inserted::NameTaken);
        }
        let mut ended: Vec<_> = self.live_in_index(&record.subject)?.into_iter().map(|(name, _)| name).collect();
        ended.truncate((ended.len() + 1).saturating_sub(MAX_SESSIONS_PER_SUBJECT));
        for name in &ended {
            self.delete(name)?;
        }
        let row = Row {
            version: 1,
            created_at_ms: record.created_at.as_unix_millis(),
            expires_at_ms: record.expires_at.as_unix_millis(),
            listing: record.listing.clone(),
            indexes: indexes.iter().map(|index| index.stored().as_bytes().to_vec()).collect(),
        };
        let name = record.name.as_bytes();
        for index in indexes {
            self.by_index.insert((index.stored().as_bytes(), row.created_at_ms, name), ()).map_err(storage)?;
        }
        self.by_expiry.insert((row.expires_at_ms, name), ()).map_err(storage)?;
        self.records.insert(name, record.sealed.as_slice()).map_err(storage)?;
        self.put_row(&record.name, &row)?;
        Ok(Inserted::Stored { ended })
    }

    pub(super) fn replace(&mut self, name: &RecordName, replacement: &Replacement) -> Result<Replaced, StoreError> {
        let Some(mut row) = self.live(name)? else { return Ok(Replaced::Gone) };
        if row.version != replacement.version {
            return Ok(Replaced::Stale);
        }
        row.version = row.version.saturating_add(1);
        self.records.insert(name.as_bytes(), replacement.sealed.as_slice()).map_err(storage)?;
        self.set_expiry(name, &mut row, replacement.expires_at)?;
        self.put_row(name, &row)?;
        self.changed.push(*name);
        Ok(Replaced::Done)
    }

    pub(super) fn touch(
        &mut self,
        name: &RecordName,
        listing: Vec<u8>,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(mut row) = self.live(name)? else { return Ok(false) };
        row.listing = listing;
        self.set_expiry(name, &mut row, expires_at)?;
        self.put_row(name, &row)?;
        Ok(true)
    }

    pub(super) fn remove(&mut self, name: &RecordName) -> Result<bool, StoreError> {
        Ok(self.live(name)?.is_some() && self.delete(name)?)
    }

    pub(super) fn delete_expired(&mut self, name: &RecordName) -> Result<(), StoreError> {
        self.live(name).map(drop)
    }

    pub(super) fn list(&mut self, index: &IndexKeys) -> Result<Vec<StoredListing>, StoreError> {
        let live = self.live_in_index(index)?;
        Ok(live.into_iter().map(|(name, row)| StoredListing { name, listing: row.listing }).collect())
    }

    pub(super) fn end_all(
        &mut self,
        index: &IndexKeys,
        not_before: Timestamp,
        mark_until: Timestamp,
    ) -> Result<Vec<RecordName>, StoreError> {
        for key in index.searched() {
            self.mark_logout(key, not_before, mark_until)?;
        }
        let names: Vec<_> = self.live_in_index(index)?.into_iter().map(|(name, _)| name).collect();
        for name in &names {
            self.delete(name)?;
        }
        Ok(names)
    }

    pub(super) fn end_all_once(
        &mut self,
        mark: &MarkKeys,
        index: &IndexKeys,
        not_before: Timestamp,
        mark_until: Timestamp,
    ) -> Result<Option<Vec<RecordName>>, StoreError> {
        if !self.spend(mark, mark_until)? {
            return Ok(None);
        }
        self.end_all(index, not_before, mark_until).map(Some)
    }

    pub(super) fn spend(&mut self, mark: &MarkKeys, until: Timestamp) -> Result<bool, StoreError> {
        for key in mark.searched() {
            if self.spent.get(key.as_bytes()).map_err(storage)?.is_some() {
                return Ok(false);
            }
        }
        let end = until.plus(MARK_GRACE).as_unix_millis();
        for key in mark.searched() {
            self.spent.insert(key.as_bytes(), end).map_err(storage)?;
            self.marks_by_end.insert((end, key.as_bytes()), ()).map_err(storage)?;
        }
        self.dirty = true;
        Ok(true)
    }

    fn logged_out_at(&self, key: &IndexKey) -> Result<Option<Timestamp>, StoreError> {
        let mark = self.logouts.get(key.as_bytes()).map_err(storage)?;
        Ok(mark.map(|mark| Timestamp::from_unix_millis(mark.value().0)))
    }

    /// Leaves a mark that refuses at least what an earlier one does, at least as long.
    fn mark_logout(&mut self, key: &IndexKey, not_before: Timestamp, until: Timestamp) -> Result<(), StoreError> {
        let key = key.as_bytes();
        let mut mark = (not_before.as_unix_millis(), until.plus(MARK_GRACE).as_unix_millis());
        if let Some(earlier) = self.logouts.get(key).map_err(storage)?.map(|earlier| earlier.value()) {
            self.marks_by_end.remove((earlier.1, key)).map_err(storage)?;
            mark = (max(mark.0, earlier.0), max(mark.1, earlier.1));
        }
        self.logouts.insert(key, mark).map_err(storage)?;
        self.marks_by_end.insert((mark.1, key), ()).map_err(storage)?;
        self.dirty = true;
        Ok(())
    }

    pub(super) fn forget_marks(&mut self, most: usize) -> Result<usize, StoreError> {
        let ended: Vec<_> = self
            .marks_by_end
            .range(..=(self.now.as_unix_millis(), &[u8::MAX; 32]))
            .map_err(storage)?
            .take(most)
            .map(|entry| entry.map(|(key, _)| (key.value().0, *key.value().1)).map_err(storage))
            .collect::<Result<_, _>>()?;
        for (end, key) in &ended {
            self.marks_by_end.remove((*end, key)).map_err(storage)?;
            self.spent.remove(key).map_err(storage)?;
            self.logouts.remove(key).map_err(storage)?;
            self.dirty = true;
        }
        Ok(ended.len())
    }

    /// The sessions that ended unless they were used by `now`, at most `most`.
    pub(super) fn expired(&self, now: Timestamp, most: usize) -> Result<Vec<RecordName>, StoreError> {
        let range = self.by_expiry.range(..=(now.as_unix_millis(), &[u8::MAX; 32])).map_err(storage)?;
        range
            .take(most)
            .map(|entry| entry.map(|(key, _)| RecordName::from_bytes(*key.value().1)).map_err(storage))
            .collect()
    }

    /// The session of this name; one that has expired is deleted at first sight.
    fn live(&mut self, name: &RecordName) -> Result<Option<Row>, StoreError> {
        let Some(row) = self.row(name)? else { return Ok(None) };
        if row.expires_at_ms > self.now.as_unix_millis() {
            return Ok(Some(row));
        }
        self.delete(name)?;
        Ok(None)
    }

    /// The sessions in an index, the oldest first.
    fn live_in_index(&mut self, index: &IndexKeys) -> Result<Vec<(RecordName, Row)>, StoreError> {
        let mut found = Vec::new();
        for key in index.searched() {
            let key = key.as_bytes();
            let range = self.by_index.range((key, 0, &[0; 32])..=(key, u64::MAX, &[u8::MAX; 32])).map_err(storage)?;
            for entry in range {
                let entry = entry.map_err(storage)?;
                let (_, created_at, name) = entry.0.value();
                found.push((created_at, *name));
            }
        }
        found.sort_unstable();
        let mut live = Vec::with_capacity(found.len());
        for (_, name) in found {
            let name = RecordName::from_bytes(name);
            if let Some(row) = self.live(&name)? {
                live.push((name, row));
            }
        }
        Ok(live)
    }

    fn set_expiry(&mut self, name: &RecordName, row: &mut Row, expires_at: Timestamp) -> Result<(), StoreError> {
        self.by_expiry.remove((row.expires_at_ms, name.as_bytes())).map_err(storage)?;
        row.expires_at_ms = expires_at.as_unix_millis();
        self.by_expiry.insert((row.expires_at_ms, name.as_bytes()), ()).map_err(storage)?;
        Ok(())
    }

    pub(super) fn delete(&mut self, name: &RecordName) -> Result<bool, StoreError> {
        let Some(row) = self.row(name)? else { return Ok(false) };
        let key = name.as_bytes();
        self.rows.remove(key).map_err(storage)?;
        self.records.remove(key).map_err(storage)?;
        self.by_expiry.remove((row.expires_at_ms, key)).map_err(storage)?;
        for index in &row.indexes {
            let index: &[u8; 32] = index.as_slice().try_into().map_err(|_| damaged("an index key is not 32 bytes"))?;
            self.by_index.remove((index, row.created_at_ms, key)).map_err(storage)?;
        }
        self.changed.push(*name);
        self.dirty = true;
        Ok(true)
    }

    fn row(&self, name: &RecordName) -> Result<Option<Row>, StoreError> {
        let row = self.rows.get(name.as_bytes()).map_err(storage)?;
        row.map(|row| read_row(row.value())).transpose()
    }

    fn put_row(&mut self, name: &RecordName, row: &Row) -> Result<(), StoreError> {
        self.rows.insert(name.as_bytes(), row.encode_to_vec().as_slice()).map_err(storage)?;
        self.dirty = true;
        Ok(())
    }
}

/// Reads a row as it stands in the file.
pub(super) fn read_row(bytes: &[u8]) -> Result<Row, StoreError> {
    Row::decode(bytes).map_err(|error| damaged(&format!("a row does not read: {error}")))
}
