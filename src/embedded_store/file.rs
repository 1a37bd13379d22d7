//! The file: found, or made, without following a link, and readable by nobody else.

use std::{
    ffi::OsStr,
    fs::{DirBuilder, File, Metadata, Permissions, symlink_metadata},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::{Component, Path},
};

use redb::{Builder, Database, backends::FileBackend};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, openat, renameat, renameat_with, statat},
    io::Errno,
    process::geteuid,
};
use tracing::warn;

use super::{
    failure,
    open_error::OpenError,
    tables::{Meta, SCHEMA_VERSION, Tables},
};

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// How much of the file is kept in memory, in bytes, within [`crate::memory::EMBEDDED_STORE`]: pages of many sizes leave
/// gaps between them. The operating system keeps the rest.
const CACHE_BYTES: usize = 16 << 20;

/// A file that was opened and checked.
pub(super) struct OpenFile {
    pub(super) database: Database,
    pub(super) meta: Meta,
    pub(super) identity: Identity,
}

/// Which file it is: its device, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    number: u64,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), number: metadata.ino() }
    }

    /// Whether the path still leads to this file. What is written to one that was removed or replaced is lost when it is
    /// closed.
    pub(super) fn is_at(self, path: &Path) -> bool {
        match symlink_metadata(path) {
            Ok(metadata) => Self::of(&metadata) == self,
            // A failure of another kind says nothing of that.
            Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        }
    }
}

/// Opens the store at `path`, which is there.
pub(super) fn open_existing(path: &Path) -> Result<OpenFile, OpenError> {
    let (folder, name) = split(path)?;
    let folder = open_folder(folder)?;
    match open_file(&folder, name, OFlags::empty()) {
        Ok(file) => check_file(path, file),
        Err(error) => Err(refuse_file(path, error)),
    }
}

/// Opens the store at `path`; makes it, and its folder, where there is none.
///
/// A new file is made under another name and takes its place complete, so that an empty or half-made file at `path` is
/// always damage and never mistaken for a new store.
pub(super) fn open_or_create(path: &Path) -> Result<OpenFile, OpenError> {
    let (folder_path, name) = split(path)?;
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(FOLDER_MODE);
    // An error here is told better by what follows: the folder cannot be opened.
    if let Err(error) = builder.create(folder_path)
        && !folder_path.exists()
    {
        return Err(failure::open_io(folder_path, error));
    }
    let folder = open_folder(folder_path)?;
    match open_file(&folder, name, OFlags::empty()) {
        Ok(file) => check_file(path, file),
        Err(Errno::NOENT) => create(path, &folder, name),
        Err(error) => Err(refuse_file(path, error)),
    }
}

fn split(path: &Path) -> Result<(&Path, &OsStr), OpenError> {
    let no_name = || OpenError::NoFileName { path: path.to_owned() };
    let Some(Component::Normal(name)) = path.components().next_back() else { return Err(no_name()) };
    let folder = path.parent().ok_or_else(no_name)?;
    Ok((if folder.as_os_str().is_empty() { Path::new(".") } else { folder }, name))
}

fn open_folder(path: &Path) -> Result<File, OpenError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder: File = match openat(CWD, path, flags, Mode::empty()) {
        Ok(folder) => folder.into(),
        Err(Errno::LOOP | Errno::NOTDIR) if path.is_symlink() => {
            return Err(OpenError::SymbolicLink { path: path.to_owned() });
        }
        Err(error) => return Err(failure::open_io(path, error.into())),
    };
    keep_private(path, &folder, FOLDER_MODE)?;
    Ok(folder)
}

fn open_file(folder: &File, name: &OsStr, create: OFlags) -> Result<OwnedFd, Errno> {
    // Not blocking, lest a pipe in the file's place holds the start up.
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | create;
    openat(folder, name, flags, Mode::from_raw_mode(FILE_MODE))
}

fn refuse_file(path: &Path, error: Errno) -> OpenError {
    let path_buf = path.to_owned();
    match error {
        Errno::LOOP => OpenError::SymbolicLink { path: path_buf },
        Errno::ISDIR | Errno::NXIO => OpenError::WrongKind { path: path_buf, problem: "this is no regular file" },
        other => failure::open_io(path, other.into()),
    }
}

fn check_file(path: &Path, file: OwnedFd) -> Result<OpenFile, OpenError> {
    let file = File::from(file);
    let metadata = file.metadata().map_err(|error| failure::open_io(path, error))?;
    let wrong = |problem| OpenError::WrongKind { path: path.to_owned(), problem };
    if !metadata.is_file() {
        return Err(wrong("this is no regular file"));
    }
    if metadata.nlink() != 1 {
        return Err(wrong("this file has a second name (a hard link); the session store is the only one"));
    }
    keep_private(path, &file, FILE_MODE)?;
    if metadata.len() == 0 {
        return Err(OpenError::Damaged { path: path.to_owned(), detail: "the file is empty".to_owned() });
    }
    let database = open_database(path, file)?;
    let meta = read_meta(path, &database)?;
    match meta.schema {
        Some(SCHEMA_VERSION) => Ok(OpenFile { database, meta, identity: Identity::of(&metadata) }),
        Some(found) => Err(OpenError::Schema { path: path.to_owned(), found, expected: SCHEMA_VERSION }),
        None => Err(OpenError::Damaged { path: path.to_owned(), detail: "it names no schema".to_owned() }),
    }
}

fn create(path: &Path, folder: &File, name: &OsStr) -> Result<OpenFile, OpenError> {
    let io = |error: Errno| failure::open_io(path, error.into());
    let mut making = name.to_owned();
    making.push(".new");
    // What a killed process left of an earlier attempt holds nothing; a live one holds the lock on it.
    let file = File::from(open_file(folder, &making, OFlags::CREATE).map_err(|error| refuse_file(path, error))?);
    keep_private(path, &file, FILE_MODE)?;
    let identity = Identity::of(&file.metadata().map_err(|error| failure::open_io(path, error))?);
    let database = open_database(path, file)?;
    write_schema(path, &database)?;
    match take_place(folder, &making, name) {
        // Another process made the store since we looked, and holds it.
        Err(Errno::EXIST) => return Err(OpenError::AlreadyOpen { path: path.to_owned() }),
        outcome => outcome.map_err(io)?,
    }
    folder.sync_all().map_err(|error| failure::open_io(path, error))?;
    let meta = read_meta(path, &database)?;
    Ok(OpenFile { database, meta, identity })
}

/// Renames a file, unless the new name is taken.
fn take_place(folder: &File, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    match renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
        // A file system that knows no such condition, for example NFS.
        Err(Errno::INVAL | Errno::NOSYS) => match statat(folder, to, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => renameat(folder, from, folder, to),
            outcome => outcome.and(Err(Errno::EXIST)),
        },
        outcome => outcome,
    }
}

/// Refuses what belongs to somebody else; takes from others what rights they have.
fn keep_private(path: &Path, file: &File, mode: u32) -> Result<(), OpenError> {
    let metadata = file.metadata().map_err(|error| failure::open_io(path, error))?;
    let user = geteuid().as_raw();
    if metadata.uid() != user {
        return Err(OpenError::Owner { path: path.to_owned(), owner: metadata.uid(), user });
    }
    let found = metadata.mode() & 0o7777;
    if found != mode {
        // Kubernetes widens the modes of a volume's files whenever it mounts one with an fsGroup.
        warn!(path = %path.display(), found = format_args!("{found:o}"), set = format_args!("{mode:o}"), "took the rights of others from the session store");
        file.set_permissions(Permissions::from_mode(mode)).map_err(|error| failure::open_io(path, error))?;
    }
    Ok(())
}

/// Locks the file and verifies every page of it.
fn open_database(path: &Path, file: File) -> Result<Database, OpenError> {
    let backend = FileBackend::new(file).map_err(|error| failure::open(path, error))?;
    Builder::new()
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true)
        .create_with_backend(backend)
        .map_err(|error| failure::open(path, error))
}

fn read_meta(path: &Path, database: &Database) -> Result<Meta, OpenError> {
    let step = |error| failure::open_step(path, error);
    let transaction = database.begin_write().map_err(failure::transaction).map_err(step)?;
    let meta = Tables::open(&transaction, &mut Vec::new())
        .map_err(failure::table)
        .and_then(|tables| tables.meta())
        .map_err(step)?;
    transaction.abort().map_err(failure::storage).map_err(step)?;
    Ok(meta)
}

fn write_schema(path: &Path, database: &Database) -> Result<(), OpenError> {
    let step = |error| failure::open_step(path, error);
    let transaction = database.begin_write().map_err(failure::transaction).map_err(step)?;
    Tables::open(&transaction, &mut Vec::new())
        .map_err(failure::table)
        .and_then(|mut tables| tables.initialize())
        .map_err(step)?;
    transaction.commit().map_err(failure::commit).map_err(step)
}
