//! Keys: a folder of our own, or files.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use super::settings::{KeySource, Keys};
use crate::{
    clock::Timestamp,
    config_file::{FieldError, FieldPath, forms},
    config_values::{Context, context::DAY},
    jose::AssertionKey,
    secret::{KeyRingError, RootKeyRing, SecretBytes, root_key_of_file},
    stores::StoreConfig,
};

const EITHER: &str = "write either `directory` (self-made keys) or both `root` and `assertion` (files)";

pub(super) fn resolve(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &forms::Keys,
    store: Option<&StoreConfig>,
) -> Option<Keys> {
    let publish_ahead = context.duration(&at.key("publish_ahead"), &written.publish_ahead, Duration::ZERO..=7 * DAY);
    let source = match (&written.directory, &written.root, &written.assertion) {
        (Some(_), None, None) if store.is_some_and(StoreConfig::is_shared) => context.refuse(
            FieldError::new(&at.key("directory"), "replicas that share sessions in Redis share their keys")
                .write("write `root` and `assertion`: files that all replicas have"),
        ),
        (Some(directory), None, None) => {
            let at = at.key("directory");
            let directory = context.absolute(&at, directory);
            directory.filter(|directory| is_apart(context, &at, directory, store)).map(KeySource::Directory)
        }
        (None, Some(root), Some(assertion)) => {
            let root = root_ring(context, &at.key("root"), root, store);
            let assertion = assertion_keys(context, &at.key("assertion"), assertion, store);
            root.zip(assertion).map(|(root, assertion)| KeySource::Files { root, assertion })
        }
        (None, None, None) => context.refuse(FieldError::new(at, "no key is named").write(EITHER)),
        (None, None, Some(_)) => {
            context.refuse(FieldError::new(&at.key("root"), "it is missing beside `assertion`").write(EITHER))
        }
        (None, Some(_), None) => {
            context.refuse(FieldError::new(&at.key("assertion"), "it is missing beside `root`").write(EITHER))
        }
        (Some(_), _, _) => {
            context.refuse(FieldError::new(&at.key("directory"), "it excludes `root` and `assertion`").write(EITHER))
        }
    };
    Some(Keys { source: source?, publish_ahead: publish_ahead? })
}

/// Whoever copies the store's folder must not get the keys with it.
fn is_apart(context: &mut Context<'_>, at: &FieldPath, folder: &Path, store: Option<&StoreConfig>) -> bool {
    let Some(store_folder) = store.and_then(StoreConfig::folder) else { return true };
    let apart = !folder.starts_with(store_folder) && !store_folder.starts_with(folder);
    if !apart {
        context.report(
            FieldError::new(at, "the keys lie in one folder with the session store: a copy of it would open it")
                .found(&folder.to_string_lossy())
                .write(format!("write a folder apart from `{}`", store_folder.display())),
        );
    }
    apart
}

fn files_apart(context: &mut Context<'_>, at: &FieldPath, path: &Path, store: Option<&StoreConfig>) -> bool {
    let Some(store_folder) = store.and_then(StoreConfig::folder) else { return true };
    let apart = !path.starts_with(store_folder);
    if !apart {
        context.report(
            FieldError::new(at, "the key lies in the session store's folder: a copy of it would open it")
                .found(&path.to_string_lossy())
                .write(format!("write a file outside of `{}`", store_folder.display())),
        );
    }
    apart
}

fn root_ring(
    context: &mut Context<'_>,
    at: &FieldPath,
    files: &[std::path::PathBuf],
    store: Option<&StoreConfig>,
) -> Option<Arc<RootKeyRing>> {
    let before = context.errors();
    let mut keys = Vec::with_capacity(files.len());
    for (index, path) in files.iter().enumerate() {
        let at = at.index(index);
        let contents = context.file(&at, path);
        if files_apart(context, &at, path, store)
            && let Some(contents) = contents
        {
            keys.push(root_key_of_file(contents));
        }
    }
    if context.errors() > before {
        return None;
    }
    match RootKeyRing::new(&keys) {
        Ok(ring) => Some(Arc::new(ring)),
        Err(error) => {
            let at = match error {
                KeyRingError::Empty => at.clone(),
                KeyRingError::TooShort { position, .. }
                | KeyRingError::NotRandom { position }
                | KeyRingError::Repeated { position } => at.index(position - 1),
            };
            context.refuse(
                FieldError::new(&at, error.to_string())
                    .write("name a file made with `openssl rand 32` or `openssl rand -base64 32`"),
            )
        }
    }
}

fn assertion_keys(
    context: &mut Context<'_>,
    at: &FieldPath,
    files: &[std::path::PathBuf],
    store: Option<&StoreConfig>,
) -> Option<Vec<SecretBytes>> {
    let before = context.errors();
    let mut names = BTreeSet::new();
    let mut keys = Vec::with_capacity(files.len());
    for (index, path) in files.iter().enumerate() {
        let at = at.index(index);
        let contents = context.file(&at, path);
        if files_apart(context, &at, path, store)
            && let Some(contents) = contents
        {
            let problem = match AssertionKey::from_pem(contents, Timestamp::from_unix_seconds(0)) {
                Err(_) => "the file holds no EC P-256 private key in PKCS#8 PEM",
                Ok(key) if !names.insert(key.key_id().to_owned()) => "this key occurs twice",
                Ok(_) => {
                    keys.push(contents.clone());
                    continue;
                }
            };
            context.report(
                FieldError::new(&at, problem)
                    .found(&path.to_string_lossy())
                    .write("make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"),
            );
        }
    }
    if keys.is_empty() && context.errors() == before {
        context.report(FieldError::new(at, "no key is named").write("name one file at least"));
    }
    (context.errors() == before).then_some(keys)
}
