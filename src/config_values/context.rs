//! What the resolving functions share: the contents that were read, and the list of what is wrong.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    config_file::{FieldError, FieldPath, Material, Reference, forms::DurationText},
    secret::SecretBytes,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_mins(1);
pub(crate) const DAY: Duration = Duration::from_hours(24);

/// Collects what is wrong while the fields are read.
pub(crate) struct Context<'a> {
    material: &'a Material,
    errors: Vec<FieldError>,
    /// The fields that name what was not looked for. Each has its error, too.
    unread: Vec<FieldPath>,
}

impl<'a> Context<'a> {
    pub(crate) const fn new(material: &'a Material) -> Self {
        Self { material, errors: Vec::new(), unread: Vec::new() }
    }

    pub(crate) fn into_errors(self) -> Vec<FieldError> {
        self.errors
    }

    /// What is wrong, but for what was not looked for.
    pub(crate) fn into_errors_but_unread(self) -> Vec<FieldError> {
        let Self { errors, unread, .. } = self;
        errors.into_iter().filter(|error| !unread.contains(error.path())).collect()
    }

    /// Notes that something is wrong.
    pub(crate) fn report(&mut self, error: FieldError) {
        self.errors.push(error);
    }

    /// Notes that something is wrong, where a value would have been.
    pub(crate) fn refuse<T>(&mut self, error: FieldError) -> Option<T> {
        self.report(error);
        None
    }

    /// How many errors were noted so far.
    pub(crate) const fn errors(&self) -> usize {
        self.errors.len()
    }

    /// A duration between two bounds.
    pub(crate) fn duration(
        &mut self,
        at: &FieldPath,
        text: &DurationText,
        bounds: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let range = || {
            let (least, most) = (bounds.start(), bounds.end());
            format!(
                "write a duration from `{}` to `{}`",
                humantime::format_duration(*least),
                humantime::format_duration(*most)
            )
        };
        match humantime::parse_duration(&text.0) {
            Ok(duration) if bounds.contains(&duration) => Some(duration),
            Ok(_) => self.refuse(FieldError::new(at, "it is out of bounds").found(&text.0).write(range())),
            Err(_) => self.refuse(
                FieldError::new(at, "it is no duration such as `5s`, `90m` or `24h`").found(&text.0).write(range()),
            ),
        }
    }

    /// A path that means the same wherever the process was started.
    pub(crate) fn absolute(&mut self, at: &FieldPath, path: &Path) -> Option<PathBuf> {
        let plain = !path.components().any(|part| matches!(part, std::path::Component::ParentDir));
        if path.is_absolute() && plain {
            return Some(path.to_path_buf());
        }
        // Not shown: somebody may have written the secret where its path belongs.
        self.refuse(
            FieldError::new(at, "it is no absolute path").write("write a path that begins with `/`, without `..`"),
        )
    }

    /// The contents of a file.
    pub(crate) fn file(&mut self, at: &FieldPath, path: &Path) -> Option<&'a SecretBytes> {
        let path = self.absolute(at, path)?;
        let material = self.material;
        let reference = Reference::File(path.clone());
        self.note_unread(at, &reference);
        match material.get(&reference) {
            Ok(contents) => Some(contents),
            Err(problem) => {
                let error = FieldError::new(at, format!("the file cannot be read ({problem})"))
                    .found(&path.to_string_lossy())
                    .write("write the path of a file that this process may read");
                self.refuse(error)
            }
        }
    }

    /// The contents of an environment variable.
    pub(crate) fn env(&mut self, at: &FieldPath, name: &str) -> Option<&'a SecretBytes> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(plain) {
            return self.refuse(
                // Not shown: somebody may have written the secret where its name belongs.
                FieldError::new(at, "it is no name of an environment variable")
                    .write("write a name such as `CLIENT_SECRET`"),
            );
        }
        let material = self.material;
        let reference = Reference::Env(name.to_owned());
        self.note_unread(at, &reference);
        match material.get(&reference) {
            Ok(contents) => Some(contents),
            Err(problem) => {
                self.refuse(FieldError::new(at, problem).write("set it for this process, or name another one"))
            }
        }
    }

    fn note_unread(&mut self, at: &FieldPath, reference: &Reference) {
        if !self.material.was_read(reference) {
            self.unread.push(at.clone());
        }
    }
}
