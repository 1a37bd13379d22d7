//! Why the file was not opened.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why the file was not opened. Never followed by an empty one in its place.
#[derive(Debug, Error)]
pub enum OpenError {
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
    /// Anything else that the operating system says.
    #[error("{path}: the session store cannot be opened: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}
