//! The key rings in use, from files or from our own folder.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use crate::{
    clock::{SharedClock, Timestamp},
    config::{KeyDirectory, KeyDirectoryContents, KeyDirectoryError, KeySource, Settings},
    jose::{AssertionKey, AssertionKeyError, AssertionKeyRing, SharedAssertionKeyRing},
    secret::{SecretBytes, SharedRootKeyRing},
    session::StoreConfig,
};

/// The rings, which everybody shares, and where they come from.
#[derive(Debug)]
pub(super) struct Keyrings {
    root: SharedRootKeyRing,
    assertion: SharedAssertionKeyRing,
    directory: Option<(KeyDirectory, [u8; 32])>,
    /// Since when each assertion key from a file is published by this process, by its name.
    published: HashMap<String, Timestamp>,
    clock: SharedClock,
}

impl Keyrings {
    /// Reads the keys; makes the first ones where they are our own to make.
    pub(super) fn open(settings: &Settings, clock: &SharedClock) -> Result<Self, KeyDirectoryError> {
        let now = clock.now();
        let mut published = HashMap::new();
        let (root, assertion, directory) = match &settings.keys.source {
            KeySource::Directory(path) => {
                let store = match &settings.sessions.store {
                    StoreConfig::Embedded { path } => path.parent(),
                    StoreConfig::Memory => None,
                };
                let directory = KeyDirectory::open(path, store, now)?;
                let KeyDirectoryContents { root, assertion, digest } = directory.read(now)?;
                (Arc::new(root), assertion, Some((directory, digest)))
            }
            KeySource::Files { root, assertion } => {
                let keys = from_files(assertion, &mut published, now);
                let keys = keys.map_err(|source| of_files(&settings.keys.source, source))?;
                (Arc::clone(root), keys, None)
            }
        };
        let assertion =
            ring(assertion, settings.keys.publish_ahead).map_err(|source| of_files(&settings.keys.source, source))?;
        Ok(Self {
            root: Arc::new(arc_swap::ArcSwap::new(root)),
            assertion: assertion.shared(),
            directory,
            published,
            clock: Arc::clone(clock),
        })
    }

    pub(super) fn root(&self) -> SharedRootKeyRing {
        Arc::clone(&self.root)
    }

    pub(super) fn assertion(&self) -> SharedAssertionKeyRing {
        Arc::clone(&self.assertion)
    }

    /// Puts the keys of changed settings in force. All or nothing.
    pub(super) fn replace(&mut self, settings: &Settings) -> Result<(), KeyDirectoryError> {
        let now = self.clock.now();
        let publish_ahead = settings.keys.publish_ahead;
        let named = |source| of_files(&settings.keys.source, source);
        match (&settings.keys.source, &mut self.directory) {
            (KeySource::Files { root, assertion }, _) => {
                let mut published = self.published.clone();
                let assertion = from_files(assertion, &mut published, now).and_then(|keys| ring(keys, publish_ahead));
                self.assertion.store(Arc::new(assertion.map_err(named)?));
                self.root.store(Arc::clone(root));
                self.published = published;
            }
            (KeySource::Directory(_), Some((directory, digest))) => {
                let contents = directory.read(now)?;
                let assertion = ring(contents.assertion, publish_ahead).map_err(named)?;
                self.assertion.store(Arc::new(assertion));
                self.root.store(Arc::new(contents.root));
                *digest = contents.digest;
            }
            // From files to a folder: that needs a restart, and is refused before.
            (KeySource::Directory(_), None) => {}
        }
        Ok(())
    }

    /// Whether files in our own folder changed since they were read.
    pub(super) fn directory_changed(&self) -> Result<bool, KeyDirectoryError> {
        match &self.directory {
            Some((directory, seen)) => Ok(directory.read(self.clock.now())?.digest != *seen),
            None => Ok(false),
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

fn ring(keys: Vec<AssertionKey>, publish_ahead: Duration) -> Result<AssertionKeyRing, AssertionKeyError> {
    AssertionKeyRing::new(keys, publish_ahead)
}

fn of_files(source: &KeySource, error: AssertionKeyError) -> KeyDirectoryError {
    let path = match source {
        KeySource::Directory(path) => path.as_path(),
        KeySource::Files { .. } => Path::new("keys.assertion"),
    };
    KeyDirectoryError::Assertion { path: path.to_path_buf(), source: error }
}
