//! What the writer and the readers share: the open file, and the time.

use std::sync::{PoisonError, RwLock};

use redb::{Database, ReadableDatabase as _};

use super::{
    failure::{damaged, storage, table, transaction},
    tables::{RECORDS, ROWS, read_row},
};
use crate::{
    clock::{SharedClock, Timestamp},
    store::{Judged, LatestTime, Observers, OwnLeases, RecordName, StoreError, StoredRecord},
};

/// What the writer and the readers share.
pub(super) struct Shared {
    /// Nothing while the file is closed after a failure.
    pub(super) database: RwLock<Option<Database>>,
    pub(super) clock: SharedClock,
    pub(super) latest: LatestTime,
    pub(super) leases: OwnLeases,
    pub(super) observers: Observers,
}

impl Shared {
    /// A file that was opened, which had seen that time.
    pub(super) fn new(database: Database, clock: SharedClock, latest: Timestamp) -> Self {
        Self {
            database: RwLock::new(Some(database)),
            clock,
            latest: LatestTime::of(latest),
            leases: OwnLeases::default(),
            observers: Observers::default(),
        }
    }

    /// The time by which a read judges.
    pub(super) fn present(&self) -> Judged {
        let now = self.clock.now();
        Judged::by(now, self.latest.note(now))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.database.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    pub(super) fn read(&self, name: &RecordName) -> Result<Option<StoredRecord>, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(closed)?;
        let snapshot = database.begin_read().map_err(transaction)?;
        let rows = snapshot.open_table(ROWS).map_err(table)?;
        let Some(row) = rows.get(name.as_bytes()).map_err(storage)? else { return Ok(None) };
        let row = read_row(row.value())?;
        let records = snapshot.open_table(RECORDS).map_err(table)?;
        let sealed = records.get(name.as_bytes()).map_err(storage)?;
        let sealed = sealed.ok_or_else(|| damaged("a session has no record"))?.value().to_vec();
        let expires_at = Timestamp::from_unix_millis(row.expires_at_ms);
        Ok(Some(StoredRecord { sealed, listing: row.listing, version: row.version, expires_at }))
    }
}

pub(super) fn closed() -> StoreError {
    StoreError::Unavailable("the file is closed after a failure".to_owned())
}
