//! The list of revocations in the file.

use redb::{ReadableTable as _, ReadableTableMetadata as _};

use super::{
    failure::storage,
    tables::{GENERATION, Tables},
};
use crate::{
    clock::Timestamp,
    store::{Generation, MAX_REVOCATIONS, RevocationChange, RevocationEntry, RevocationId, RevocationList, StoreError},
};

impl Tables<'_> {
    pub(super) fn revocations(&mut self, seen: Option<Generation>) -> Result<RevocationList, StoreError> {
        let generation = self.generation()?;
        if seen == Some(generation) {
            return Ok(RevocationList::Unchanged);
        }
        let mut entries = self.all_revocations()?;
        entries.retain(|entry| !self.has_expired(entry));
        Ok(RevocationList::Entries { generation, entries, digest: self.digest()? })
    }

    /// Whether the list was the one that the change was made for; nothing where it would be too long.
    pub(super) fn change_revocations(&mut self, change: &RevocationChange) -> Result<Option<bool>, StoreError> {
        if change.seen != self.generation()? {
            return Ok(Some(false));
        }
        let mut taken = Vec::new();
        let mut added = 0;
        for entry in change.entries.iter().filter(|entry| !self.has_expired(entry)) {
            let stored = self.revocation(&entry.id)?;
            added += usize::from(stored.is_none());
            if stored.as_ref() != Some(entry) {
                taken.push(entry);
            }
        }
        let count = usize::try_from(self.revocations.len().map_err(storage)?).unwrap_or(usize::MAX);
        if added > 0 && count.saturating_add(added) > MAX_REVOCATIONS {
            return Ok(None);
        }
        for entry in &taken {
            let row = (
                entry.updated_at.as_unix_millis(),
                entry.expires_at.map(Timestamp::as_unix_millis),
                entry.sealed.as_slice(),
            );
            self.revocations.insert(entry.id.as_bytes(), row).map_err(storage)?;
        }
        if !taken.is_empty() || self.digest()?.as_ref() != Some(&change.digest) {
            self.revocations_digest.insert((), change.digest.as_slice()).map_err(storage)?;
            self.meta.insert(GENERATION, Generation::random().number()).map_err(storage)?;
            self.dirty = true;
        }
        Ok(Some(true))
    }

    fn generation(&self) -> Result<Generation, StoreError> {
        let generation = self.meta.get(GENERATION).map_err(storage)?.map(|number| number.value());
        Ok(generation.map_or(Generation::NONE, Generation::from_number))
    }

    fn digest(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.revocations_digest.get(()).map_err(storage)?.map(|digest| digest.value().to_vec()))
    }

    /// Deletes revocations that have expired, at most `most`.
    pub(super) fn forget_revocations(&mut self, most: usize) -> Result<usize, StoreError> {
        let expired: Vec<_> =
            self.all_revocations()?.into_iter().filter(|entry| self.has_expired(entry)).take(most).collect();
        for entry in &expired {
            self.revocations.remove(entry.id.as_bytes()).map_err(storage)?;
            self.dirty = true;
        }
        Ok(expired.len())
    }

    fn has_expired(&self, entry: &RevocationEntry) -> bool {
        entry.expires_at.is_some_and(|end| end <= self.now)
    }

    fn revocation(&self, id: &RevocationId) -> Result<Option<RevocationEntry>, StoreError> {
        let row = self.revocations.get(id.as_bytes()).map_err(storage)?;
        Ok(row.map(|row| entry(*id, row.value())))
    }

    fn all_revocations(&self) -> Result<Vec<RevocationEntry>, StoreError> {
        let rows = self.revocations.iter().map_err(storage)?;
        rows.map(|row| {
            let (id, row) = row.map_err(storage)?;
            Ok(entry(RevocationId::from_bytes(*id.value()), row.value()))
        })
        .collect()
    }
}

fn entry(id: RevocationId, (updated_at, expires_at, sealed): (u64, Option<u64>, &[u8])) -> RevocationEntry {
    RevocationEntry {
        id,
        updated_at: Timestamp::from_unix_millis(updated_at),
        expires_at: expires_at.map(Timestamp::from_unix_millis),
        sealed: sealed.to_vec(),
    }
}
