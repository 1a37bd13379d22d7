//! The key rings in use, from files or from our own folder.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;

use crate::{
    clock::{SharedClock, Timestamp},
    config::{KeySource, Settings},
    jose::{AssertionKey, AssertionKeyError, AssertionKeyRing, SharedAssertionKeyRing},
    key_directory::{KeyDirectory, KeyDirectoryContents, KeyDirectoryError},
    secret::{RootKeyRing, SecretBytes, SharedRootKeyRing},
};

/// The rings, which everybody shares, and where they come from.
#[derive(Debug)]
pub struct Keyrings {
    root: SharedRootKeyRing,
    assertion: SharedAssertionKeyRing,
    directory: Option<(KeyDirectory, [u8; 32])>,
    /// Since when each assertion key from a file is published by this process, by its name.
    published: HashMap<String, Timestamp>,
    clock: SharedClock,
}

/// Keys that were read and are not in force yet.
#[derive(Debug)]
pub struct NextKeys {
    root: Arc<RootKeyRing>,
    assertion: AssertionKeyRing,
    digest: Option<[u8; 32]>,
    published: HashMap<String, Timestamp>,
}

impl Keyrings {
    /// Reads the keys; makes the first ones where they are our own to make.
    ///
    /// # Errors
    /// Where they cannot be read, or are none.
    pub fn open(settings: &Settings, clock: &SharedClock) -> Result<Self, KeyDirectoryError> {
        let directory = match &settings.keys.source {
            KeySource::Files { .. } => None,
            KeySource::Directory(path) => Some(KeyDirectory::open(path, settings.store.folder(), clock.now())?),
        };
        let NextKeys { root, assertion, digest, published } =
            read(settings, directory.as_ref(), HashMap::new(), clock.now())?;
        Ok(Self {
            root: Arc::new(ArcSwap::new(root)),
            assertion: assertion.shared(),
            directory: directory.zip(digest),
            published,
            clock: Arc::clone(clock),
        })
    }

    /// These keys, which nobody changes.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn given(root: RootKeyRing, assertion: AssertionKeyRing, clock: &SharedClock) -> Self {
        let (root, assertion) = (root.shared(), assertion.shared());
        Self { root, assertion, directory: None, published: HashMap::new(), clock: Arc::clone(clock) }
    }

    /// The keys that seal.
    #[must_use]
    pub fn root(&self) -> SharedRootKeyRing {
        Arc::clone(&self.root)
    }

    /// The keys that sign.
    #[must_use]
    pub fn assertion(&self) -> SharedAssertionKeyRing {
        Arc::clone(&self.assertion)
    }

    /// Reads the keys of changed settings.
    ///
    /// # Errors
    /// As [`Keyrings::open`].
    pub fn read(&self, settings: &Settings) -> Result<NextKeys, KeyDirectoryError> {
        let directory = self.directory.as_ref().map(|(directory, _)| directory);
        read(settings, directory, self.published.clone(), self.clock.now())
    }

    /// Puts keys in force.
    pub fn replace(&mut self, next: NextKeys) {
        self.assertion.store(Arc::new(next.assertion));
        self.root.store(next.root);
        self.published = next.published;
        if let (Some((_, seen)), Some(digest)) = (&mut self.directory, next.digest) {
            *seen = digest;
        }
    }

    /// What tells whether files in our own folder changed.
    #[must_use]
    pub fn watched(&self) -> Watched {
        Watched { directory: self.directory.clone(), now: self.clock.now() }
    }
}

/// Our own folder as it was when it was read.
#[derive(Debug)]
pub struct Watched {
    directory: Option<(KeyDirectory, [u8; 32])>,
    now: Timestamp,
}

impl Watched {
    /// Whether files changed since then. Blocks while they are read.
    ///
    /// # Errors
    /// Where they cannot be read any more.
    pub fn changed(&self) -> Result<bool, KeyDirectoryError> {
        match &self.directory {
            Some((directory, seen)) => Ok(directory.read(self.now)?.digest != *seen),
            None => Ok(false),
        }
    }
}

fn read(
    settings: &Settings,
    directory: Option<&KeyDirectory>,
    mut published: HashMap<String, Timestamp>,
    now: Timestamp,
) -> Result<NextKeys, KeyDirectoryError> {
    let ring = |keys| AssertionKeyRing::new(keys, settings.keys.publish_ahead);
    let of_a_file = |source| KeyDirectoryError::Assertion { path: PathBuf::from("keys.assertion"), source };
    match (&settings.keys.source, directory) {
        (KeySource::Files { root, assertion }, _) => {
            let keys = from_files(assertion, &mut published, now);
            let assertion = keys.and_then(ring).map_err(of_a_file)?;
            Ok(NextKeys { root: Arc::clone(root), assertion, digest: None, published })
        }
        (KeySource::Directory(path), Some(directory)) => {
            let KeyDirectoryContents { root, assertion, digest } = directory.read(now)?;
            let assertion =
                ring(assertion).map_err(|source| KeyDirectoryError::Assertion { path: path.clone(), source })?;
            Ok(NextKeys { root: Arc::new(root), assertion, digest: Some(digest), published })
        }
        (KeySource::Directory(path), None) => {
            Err(KeyDirectoryError::Unsafe { path: path.clone(), problem: "keys in a folder need a restart" })
        }
    }
}

/// Keys from files. One that this process has seen before keeps its date; after a start all have the same one, and so
/// the operator's order decides.
fn from_files(
    pems: &[SecretBytes],
    published: &mut HashMap<String, Timestamp>,
    now: Timestamp,
) -> Result<Vec<AssertionKey>, AssertionKeyError> {
    let dated = |pem: &SecretBytes| {
        let key = AssertionKey::from_pem(pem, now)?;
        let since = *published.entry(key.key_id().to_owned()).or_insert(now);
        AssertionKey::from_pem(pem, since)
    };
    pems.iter().map(dated).collect()
}
