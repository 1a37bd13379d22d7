//! What the file's failures mean.

use std::{io, path::Path};

use redb::{CommitError, DatabaseError, StorageError, TableError, TransactionError};

use super::open_error::OpenError;
use crate::store::StoreError;

/// The kinds of failure that somebody can do something about.
enum Kind {
    Full,
    ReadOnly,
    Damaged,
    Other,
}

impl Kind {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly,
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Self::Damaged,
            _ => Self::Other,
        }
    }
}

pub(super) fn damaged(detail: &str) -> StoreError {
    StoreError::Damaged(detail.to_owned())
}

pub(super) fn storage(error: StorageError) -> StoreError {
    match error {
        StorageError::Io(error) => {
            let text = error.to_string();
            match Kind::of(&error) {
                Kind::Full => StoreError::Full(text),
                Kind::ReadOnly => StoreError::ReadOnly(text),
                Kind::Damaged => StoreError::Damaged(text),
                Kind::Other => StoreError::Unavailable(text),
            }
        }
        StorageError::Corrupted(detail) => StoreError::Damaged(detail),
        other => StoreError::Unavailable(other.to_string()),
    }
}

pub(super) fn table(error: TableError) -> StoreError {
    match error {
        TableError::Storage(error) => storage(error),
        other => StoreError::Damaged(other.to_string()),
    }
}

pub(super) fn transaction(error: TransactionError) -> StoreError {
    match error {
        TransactionError::Storage(error) => storage(error),
        other => StoreError::Unavailable(other.to_string()),
    }
}

pub(super) fn commit(error: CommitError) -> StoreError {
    match error {
        CommitError::Storage(error) => storage(error),
        other => StoreError::Unavailable(other.to_string()),
    }
}

pub(super) fn open(path: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            OpenError::AlreadyOpen { path: path.to_owned() }
        }
        DatabaseError::Storage(StorageError::Io(error)) => open_io(path, error),
        other => OpenError::Damaged { path: path.to_owned(), detail: other.to_string() },
    }
}

/// What a failure of a step means while the file is being opened.
pub(super) fn open_step(path: &Path, error: StoreError) -> OpenError {
    let path = path.to_owned();
    match error {
        StoreError::Damaged(detail) => OpenError::Damaged { path, detail },
        StoreError::Full(text) => OpenError::Full { path, source: io::Error::other(text) },
        StoreError::ReadOnly(text) => OpenError::ReadOnly { path, source: io::Error::other(text) },
        StoreError::Unavailable(text) => OpenError::Io { path, source: io::Error::other(text) },
    }
}

pub(super) fn open_io(path: &Path, source: io::Error) -> OpenError {
    let path = path.to_owned();
    match Kind::of(&source) {
        Kind::Full => OpenError::Full { path, source },
        Kind::ReadOnly => OpenError::ReadOnly { path, source },
        Kind::Damaged => OpenError::Damaged { path, detail: source.to_string() },
        Kind::Other => OpenError::Io { path, source },
    }
}
