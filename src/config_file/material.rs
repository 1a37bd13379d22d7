//! What the configuration refers to: the contents of files and environment variables, read in one place.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::forms;
use crate::secret::{SecretBytes, sha256};

/// The largest file that a configuration may refer to, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Something outside of the configuration file that it refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reference {
    File(PathBuf),
    Env(String),
}

/// The contents of everything that a configuration refers to, at one moment.
#[derive(Debug, Default)]
pub(crate) struct Material(BTreeMap<Reference, Result<SecretBytes, String>>);

impl Material {
    /// Reads everything that `file` refers to. What cannot be read is an error of the field that asks for it.
    pub(super) fn read(file: &forms::File) -> Self {
        let read = |reference: Reference| {
            let contents = match &reference {
                Reference::File(path) => read_file(path),
                Reference::Env(name) => read_env(name),
            };
            (reference, contents)
        };
        Self(references(file).into_iter().map(read).collect())
    }

    /// Reads files of rules and nothing else, for who judges rules where the other files are elsewhere. One that lies in
    /// `folder` is read there, under whatever path it will be mounted.
    pub(crate) fn of_rules(files: &[PathBuf], folder: &Path) -> Self {
        let read = |path: &PathBuf| {
            let beside = path.file_name().map(|name| folder.join(name)).filter(|path| path.is_file());
            (Reference::File(path.clone()), read_file(beside.as_ref().unwrap_or(path)))
        };
        Self(files.iter().map(read).collect())
    }

    /// The contents of `reference`, or why they cannot be read.
    pub(crate) fn get(&self, reference: &Reference) -> Result<&SecretBytes, &str> {
        match self.0.get(reference) {
            Some(Ok(contents)) => Ok(contents),
            Some(Err(problem)) => Err(problem),
            None => Err("it was not read"),
        }
    }

    /// Whether `reference` was looked for, so that there is something to say about it.
    pub(crate) fn was_read(&self, reference: &Reference) -> bool {
        self.0.contains_key(reference)
    }

    /// A hash of all of it, to see whether anything changed.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut all = Vec::new();
        for (reference, contents) in &self.0 {
            let (name, hash) = match contents {
                Ok(contents) => (format!("{reference:?}"), sha256(contents.expose())),
                Err(problem) => (format!("{reference:?} fails"), sha256(problem.as_bytes())),
            };
            all.extend_from_slice(&sha256(name.as_bytes()));
            all.extend_from_slice(&hash);
        }
        sha256(&all)
    }

    /// Made-up contents, for tests that judge a configuration whose files are elsewhere.
    #[cfg(test)]
    pub(crate) fn invented(file: &forms::File, invent: impl Fn(&Reference) -> Result<Vec<u8>, String>) -> Self {
        let made = |reference: Reference| {
            let contents = invent(&reference).map(SecretBytes::new);
            (reference, contents)
        };
        Self(references(file).into_iter().map(made).collect())
    }
}

/// Everything that `file` refers to.
fn references(file: &forms::File) -> Vec<Reference> {
    let mut files: Vec<&PathBuf> = Vec::new();
    let mut all = Vec::new();
    if let Some(tls) = &file.listeners.check.tls {
        files.extend([&tls.certificate, &tls.key]);
        files.extend(&tls.client_ca);
    }
    if let Some(tls) = file.listeners.admin.as_ref().and_then(|admin| admin.tls.as_ref()) {
        files.extend([&tls.certificate, &tls.key]);
        files.extend(&tls.client_ca);
    }
    if let Some(tls) = &file.listeners.http.tls {
        files.extend([&tls.certificate, &tls.key]);
        files.extend(&tls.client_ca);
    }
    files.extend(file.keys.root.iter().flatten());
    files.extend(file.keys.assertion.iter().flatten());
    for provider in &file.providers {
        files.extend(&provider.ca_file);
        files.extend(&provider.client_key);
        if let Some(secret) = &provider.client_secret {
            files.extend(&secret.file);
            all.extend(secret.env.clone().map(Reference::Env));
        }
    }
    files.extend(file.service_accounts.iter().filter_map(|accounts| accounts.kubeconfig.as_ref()));
    files.extend(&file.rules_from);
    files.extend(file.access_reviews.iter().filter_map(|reviews| reviews.kubeconfig.as_ref()));
    all.extend(files.into_iter().cloned().map(Reference::File));
    all
}

/// Reads a regular file of a sensible size; follows links, as Kubernetes' mounted secrets need.
pub(super) fn read_file(path: &Path) -> Result<SecretBytes, String> {
    let describe = |error: std::io::Error| error.to_string();
    let metadata = std::fs::metadata(path).map_err(describe)?;
    if !metadata.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let mut contents = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut contents)).map_err(describe)?;
    let contents = SecretBytes::new(contents);
    if contents.expose().len() as u64 > MAX_BYTES { Err("it is larger than 1 MiB".to_owned()) } else { Ok(contents) }
}

fn read_env(name: &str) -> Result<SecretBytes, String> {
    use std::os::unix::ffi::OsStringExt as _;
    std::env::var_os(name)
        .map(|value| SecretBytes::new(value.into_vec()))
        .ok_or_else(|| "the environment variable is not set".to_owned())
}
