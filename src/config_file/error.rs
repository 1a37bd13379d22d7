//! What is wrong with a configuration, field by field.

use std::{fmt, path::PathBuf};

use thiserror::Error;

/// How much of a wrong value is shown, in characters.
const SHOWN: usize = 120;

/// Where a field stands, for example `providers[0].client_secret.file`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(Vec<Segment>);

/// A step on the way to a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Key(String),
    Index(usize),
}

impl FieldPath {
    /// The whole file.
    #[must_use]
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The field `key` of this one.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with(Segment::Key(key.to_owned()))
    }

    /// The item `index` of this list, counted from 0.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    pub(super) fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }

    /// Whether this is `other`, or a field of it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The steps from the whole file to the field.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("(the file)");
        }
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if position == 0 => write!(formatter, "{}", key.escape_debug())?,
                Segment::Key(key) => write!(formatter, ".{}", key.escape_debug())?,
                Segment::Index(index) => write!(formatter, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// One thing that is wrong: where, what, what was found (never a secret), and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    path: FieldPath,
    problem: String,
    found: Option<String>,
    advice: Option<String>,
}

impl FieldError {
    /// `problem` at `path`, for example "must be an https URL".
    #[must_use]
    pub fn new(path: &FieldPath, problem: impl Into<String>) -> Self {
        Self { path: path.clone(), problem: problem.into(), found: None, advice: None }
    }

    /// Tells what was found. Never called with a secret.
    #[must_use]
    pub fn found(mut self, value: &str) -> Self {
        let value = without_userinfo(value);
        let shown: String = value.chars().take(SHOWN).collect();
        let dots = if shown.len() < value.len() { "…" } else { "" };
        self.found = Some(format!("`{}{dots}`", shown.escape_debug()));
        self
    }

    /// Tells what to write instead.
    #[must_use]
    pub fn write(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The same of a file that stands at `at` of another one.
    #[must_use]
    pub(crate) fn below(self, at: &FieldPath) -> Self {
        Self { path: FieldPath([at.0.as_slice(), &self.path.0].concat()), ..self }
    }

    /// The field.
    #[must_use]
    pub const fn path(&self) -> &FieldPath {
        &self.path
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.problem)?;
        if let Some(found) = &self.found {
            write!(formatter, "; found {found}")?;
        }
        if let Some(advice) = &self.advice {
            write!(formatter, "; {advice}")?;
        }
        Ok(())
    }
}

/// A URL's user name and password are nobody's business (RFC 3986 section 3.2.1).
fn without_userinfo(value: &str) -> String {
    match (value.split_once("://"), value.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => value.to_owned(),
    }
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The file itself cannot be read.
    #[error("{}: the configuration cannot be read: {problem}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// The file is no YAML.
    #[error("the configuration is no YAML: {0}")]
    Syntax(String),
    /// Fields are wrong.
    #[error("the configuration has {} {}:{}", .0.len(), if .0.len() == 1 { "error" } else { "errors" }, list(.0))]
    Fields(Vec<FieldError>),
}

impl ConfigError {
    /// The wrong fields; none where the file cannot be read at all.
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        match self {
            Self::Fields(fields) => fields,
            Self::Unreadable { .. } | Self::Syntax(_) => &[],
        }
    }
}

fn list(errors: &[FieldError]) -> String {
    use fmt::Write as _;
    errors.iter().fold(String::new(), |mut text, error| {
        let _ = write!(text, "\n  {error}");
        text
    })
}
