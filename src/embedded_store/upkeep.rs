//! What is done though nobody asks: what has expired is deleted, and the time is noted.

use super::tables::Tables;
use crate::store::{SWEEP_BATCH, StoreError};

/// Deletes what has expired, in a bounded step; how much it was.
pub(super) fn sweep(tables: &mut Tables<'_>) -> Result<usize, StoreError> {
    let expired = tables.expired(tables.now, SWEEP_BATCH)?;
    for name in &expired {
        tables.delete(name)?;
    }
    let marks = tables.forget_marks(SWEEP_BATCH.saturating_sub(expired.len()))?;
    let deleted = expired.len() + marks;
    Ok(deleted + tables.forget_revocations(SWEEP_BATCH.saturating_sub(deleted))?)
}

/// Has the time noted though nothing else is written: reads move it on as well.
pub(super) fn keep_time(tables: &mut Tables<'_>) -> Result<(), StoreError> {
    tables.dirty |= tables.meta()?.latest < tables.now;
    Ok(())
}
