//! Keys of our own making, in a folder that is nobody else's.
//!
//! The folder holds `root-<n>.key` (base64 of 32 random bytes), `assertion-<n>.pem` (EC P-256, PKCS#8) and
//! `assertion-<n>.published` (since when that key is published, in seconds since the Unix epoch). The highest number
//! is the newest key and stands first in its ring; whoever replaces a key adds a file, and removes the old one later.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::{
    clock::Timestamp,
    jose::{AssertionKey, AssertionKeyError},
    secret::{KeyRingError, RootKeyRing, SecretBytes, random_bytes, random_id, root_key_of_file, sha256},
};

/// The longest file that is read here, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Why a folder of keys cannot be used.
#[derive(Debug, Error)]
pub enum KeyDirectoryError {
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was read or written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something there could be read or replaced by others.
    #[error("{}: {problem}", path.display())]
    Unsafe {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: &'static str,
    },
    /// A root key is none.
    #[error("{}: {source}", path.display())]
    Root {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        source: KeyRingError,
    },
    /// An assertion key is none.
    #[error("{}: {source}", path.display())]
    Assertion {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: AssertionKeyError,
    },
}

/// What a folder of keys held at one moment.
#[derive(Debug)]
pub struct KeyDirectoryContents {
    /// The root keys, the newest first.
    pub root: RootKeyRing,
    /// The assertion keys, the newest first.
    pub assertion: Vec<AssertionKey>,
    /// A hash of all the files, to see whether any changed.
    pub digest: [u8; 32],
}

/// A folder in which we make our own keys.
#[derive(Clone, Debug)]
pub struct KeyDirectory {
    path: PathBuf,
}

impl KeyDirectory {
    /// Opens the folder, and makes it and a first key of each kind where they are missing. `store` is the session
    /// store's folder, from which the keys must stay apart, links resolved.
    ///
    /// # Errors
    /// Where the folder, or a file in it, is a link, belongs to another user or is open to others, and where nothing
    /// can be written.
    pub fn open(path: &Path, store: Option<&Path>, now: Timestamp) -> Result<Self, KeyDirectoryError> {
        let directory = Self { path: path.to_path_buf() };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| directory.io(path, source))?;
        let owner = directory.own_user()?;
        directory.refuse_foreign(path, owner, true)?;
        if let Some(store) = store
            && is_nested(path, store)
        {
            return Err(KeyDirectoryError::Unsafe {
                path: path.to_path_buf(),
                problem: "it lies in one folder with the session store, by a link; a copy of the store would open itself",
            });
        }
        // Two processes that start at once make one key, not two.
        let lock = directory.path.join(".lock");
        let lock_file = private(OpenOptions::new().create(true).write(true).truncate(false))
            .open(&lock)
            .map_err(|source| directory.io(&lock, source))?;
        lock_file.lock().map_err(|source| directory.io(&lock, source))?;
        directory.make_missing(now)?;
        Ok(directory)
    }

    /// Reads all keys. A new assertion key is published from `now` on, which is written down beside it.
    ///
    /// # Errors
    /// As for [`KeyDirectory::open`], and where a file holds no key.
    pub fn read(&self, now: Timestamp) -> Result<KeyDirectoryContents, KeyDirectoryError> {
        let owner = fs::metadata(&self.path).map_err(|source| self.io(&self.path, source))?.uid();
        let mut seen = Vec::new();
        let mut root = Vec::new();
        for path in self.files("root-", ".key")? {
            let contents = self.read_private(&path, owner)?;
            seen.extend_from_slice(&sha256(contents.expose()));
            root.push(root_key_of_file(&contents));
        }
        let mut assertion = Vec::new();
        for path in self.files("assertion-", ".pem")? {
            let contents = self.read_private(&path, owner)?;
            seen.extend_from_slice(&sha256(contents.expose()));
            let published_at = self.published_at(&path, owner, now)?;
            let key = AssertionKey::from_pem(&contents, published_at)
                .map_err(|source| KeyDirectoryError::Assertion { path, source })?;
            assertion.push(key);
        }
        let root =
            RootKeyRing::new(&root).map_err(|source| KeyDirectoryError::Root { path: self.path.clone(), source })?;
        Ok(KeyDirectoryContents { root, assertion, digest: sha256(&seen) })
    }

    fn make_missing(&self, now: Timestamp) -> Result<(), KeyDirectoryError> {
        if self.files("root-", ".key")?.is_empty() {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(random_bytes::<32>());
            self.write(&self.path.join("root-1.key"), SecretBytes::new(text.into_bytes()).expose())?;
        }
        if self.files("assertion-", ".pem")?.is_empty() {
            let path = self.path.join("assertion-1.pem");
            // First the date, so that a crash in between leaves no key without one.
            self.write(&published_beside(&path), now.as_unix_seconds().to_string().as_bytes())?;
            self.write(&path, AssertionKey::generate_pem().expose().as_bytes())?;
        }
        Ok(())
    }

    /// The files of one kind, the highest number first.
    fn files(&self, prefix: &str, suffix: &str) -> Result<Vec<PathBuf>, KeyDirectoryError> {
        let entries = fs::read_dir(&self.path).map_err(|source| self.io(&self.path, source))?;
        let mut numbered = Vec::new();
        for entry in entries {
            let name = entry.map_err(|source| self.io(&self.path, source))?.file_name();
            let number = name
                .to_str()
                .and_then(|name| name.strip_prefix(prefix)?.strip_suffix(suffix))
                .and_then(|number| number.parse::<u32>().ok());
            numbered.extend(number.map(|number| (number, self.path.join(&name))));
        }
        numbered.sort_unstable_by(|left, right| right.cmp(left));
        Ok(numbered.into_iter().map(|(_, path)| path).collect())
    }

    fn published_at(&self, key: &Path, owner: u32, now: Timestamp) -> Result<Timestamp, KeyDirectoryError> {
        let path = published_beside(key);
        if path.symlink_metadata().is_err() {
            self.write(&path, now.as_unix_seconds().to_string().as_bytes())?;
            return Ok(now);
        }
        let contents = self.read_private(&path, owner)?;
        let seconds = std::str::from_utf8(contents.expose()).ok().and_then(|text| text.trim().parse().ok());
        seconds.map(Timestamp::from_unix_seconds).ok_or(KeyDirectoryError::Unsafe {
            path,
            problem: "it holds no number of seconds; remove it, and the key counts as published from now on",
        })
    }

    fn read_private(&self, path: &Path, owner: u32) -> Result<SecretBytes, KeyDirectoryError> {
        self.refuse_foreign(path, owner, false)?;
        let contents = fs::read(path).map(SecretBytes::new).map_err(|source| self.io(path, source))?;
        Ok(contents)
    }

    fn refuse_foreign(&self, path: &Path, owner: u32, folder: bool) -> Result<(), KeyDirectoryError> {
        let metadata = path.symlink_metadata().map_err(|source| self.io(path, source))?;
        let problem = if metadata.is_symlink() {
            "it is a link; keys lie in the folder itself"
        } else if folder && !metadata.is_dir() {
            "it is no folder"
        } else if !folder && !metadata.is_file() {
            "it is no regular file"
        } else if metadata.uid() != owner {
            "it belongs to another user; `chown` it to the user of this process"
        } else if metadata.mode() & 0o077 != 0 {
            "others may read or write it; make the folder 0700 and the files 0600"
        } else if !folder && metadata.len() > MAX_BYTES {
            "it is too large for a key"
        } else {
            return Ok(());
        };
        Err(KeyDirectoryError::Unsafe { path: path.to_path_buf(), problem })
    }

    /// Writes a file that is whole or absent.
    fn write(&self, path: &Path, contents: &[u8]) -> Result<(), KeyDirectoryError> {
        let aside = self.path.join(format!(".new-{}", random_id()));
        let written = private(OpenOptions::new().create_new(true).write(true)).open(&aside).and_then(|mut file| {
            file.write_all(contents)?;
            file.sync_all()?;
            fs::rename(&aside, path)?;
            File::open(&self.path)?.sync_all()
        });
        written.map_err(|source| self.io(path, source))
    }

    /// The user that files of ours belong to: the one that a new file gets.
    fn own_user(&self) -> Result<u32, KeyDirectoryError> {
        let probe = self.path.join(format!(".new-{}", random_id()));
        let uid = private(OpenOptions::new().create_new(true).write(true))
            .open(&probe)
            .and_then(|file| file.metadata())
            .map(|metadata| metadata.uid());
        let _ = fs::remove_file(&probe);
        uid.map_err(|source| self.io(&self.path, source))
    }

    #[expect(clippy::unused_self, reason = "an error's constructor, which reads best at the end of a chain")]
    fn io(&self, path: &Path, source: io::Error) -> KeyDirectoryError {
        KeyDirectoryError::Io { path: path.to_path_buf(), source }
    }
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

fn published_beside(key: &Path) -> PathBuf {
    key.with_extension("published")
}

/// Whether one of two folders lies in the other, or they are the same, links resolved.
fn is_nested(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one.starts_with(&other) || other.starts_with(&one),
        // What is not there yet cannot be reached by a link; the names were compared before.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_000_000);

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        (folder, path)
    }

    fn open(path: &Path) -> Result<KeyDirectoryContents, KeyDirectoryError> {
        KeyDirectory::open(path, None, START)?.read(START)
    }

    fn mode(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().mode() & 0o7777
    }

    #[test]
    fn keys_are_made_once_and_kept() {
        let (_folder, path) = folder();
        let first = open(&path).unwrap();
        let second = open(&path).unwrap();
        assert_eq!(first.root.sealing_key(), second.root.sealing_key());
        assert_eq!(first.assertion[0].key_id(), second.assertion[0].key_id());
        assert_eq!(first.digest, second.digest);
        assert_eq!(mode(&path), 0o700);
        let names: Vec<String> =
            fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(names.iter().filter(|name| name.starts_with(".new")).count(), 0, "{names:?}");
        for name in ["root-1.key", "assertion-1.pem", "assertion-1.published"] {
            assert_eq!(mode(&path.join(name)), 0o600, "{name}");
        }
    }

    #[test]
    fn the_newest_key_stands_first_and_its_publication_is_remembered() {
        let (_folder, path) = folder();
        let first = open(&path).unwrap();
        let directory = KeyDirectory::open(&path, None, START).unwrap();
        directory.write(&path.join("root-10.key"), &random_bytes::<32>()).unwrap();
        directory.write(&path.join("assertion-2.pem"), AssertionKey::generate_pem().expose().as_bytes()).unwrap();

        let later = START.plus(std::time::Duration::from_mins(1));
        let second = directory.read(later).unwrap();
        assert_ne!(first.digest, second.digest);
        assert_eq!(second.root.key_ids().nth(1), Some(first.root.sealing_key()));
        assert_eq!(second.assertion[1].key_id(), first.assertion[0].key_id());
        assert_eq!(second.assertion.iter().map(AssertionKey::published_at).collect::<Vec<_>>(), [later, START]);

        let restarted = directory.read(later.plus(std::time::Duration::from_hours(1))).unwrap();
        assert_eq!(restarted.assertion[0].published_at(), later);
    }

    #[test]
    fn what_others_could_read_or_replace_is_refused() {
        let (_folder, path) = folder();
        open(&path).unwrap();
        let set = |name: &str, mode| fs::set_permissions(path.join(name), fs::Permissions::from_mode(mode)).unwrap();
        set("root-1.key", 0o640);
        assert!(matches!(open(&path), Err(KeyDirectoryError::Unsafe { .. })));
        set("root-1.key", 0o600);
        assert!(open(&path).is_ok());
        set("", 0o750);
        assert!(matches!(open(&path), Err(KeyDirectoryError::Unsafe { .. })));
    }

    #[test]
    fn links_are_refused() {
        let (folder, path) = folder();
        open(&path).unwrap();
        let linked = folder.path().join("linked");
        symlink(&path, &linked).unwrap();
        assert!(matches!(open(&linked), Err(KeyDirectoryError::Unsafe { .. })));
        fs::rename(path.join("root-1.key"), folder.path().join("elsewhere")).unwrap();
        symlink(folder.path().join("elsewhere"), path.join("root-1.key")).unwrap();
        assert!(matches!(open(&path), Err(KeyDirectoryError::Unsafe { .. })));
    }

    #[test]
    fn a_link_into_the_store_s_folder_is_seen() {
        let (folder, path) = folder();
        let store = folder.path().join("store");
        fs::create_dir(&store).unwrap();
        symlink(&store, folder.path().join("alias")).unwrap();
        let hidden = folder.path().join("alias").join("keys");
        assert!(matches!(
            KeyDirectory::open(&hidden, Some(&store), START),
            Err(KeyDirectoryError::Unsafe { problem, .. }) if problem.contains("session store")
        ));
        assert!(KeyDirectory::open(&path, Some(&store), START).is_ok());
    }

    #[test]
    fn a_damaged_file_is_an_error_and_never_replaced() {
        let (_folder, path) = folder();
        open(&path).unwrap();
        for (name, damaged) in [("root-1.key", "short"), ("assertion-1.pem", "-"), ("assertion-1.published", "soon")] {
            let good = fs::read(path.join(name)).unwrap();
            fs::write(path.join(name), damaged).unwrap();
            assert!(open(&path).is_err(), "{name}");
            assert_eq!(fs::read(path.join(name)).unwrap(), damaged.as_bytes(), "{name}");
            fs::write(path.join(name), good).unwrap();
        }
        assert!(open(&path).is_ok());
    }
}
