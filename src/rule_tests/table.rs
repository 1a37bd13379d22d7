//! A table, read against the configuration that it is about: what it could not mean is an error of the table.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::{
    caller::Caller,
    expectation::Expectation,
    form::{self, Review},
    request::Request,
};
use crate::{
    clock::Timestamp,
    config::{self, Settings},
    config_file::{self, ConfigError, FieldError, FieldPath},
};

/// A table that can be run.
#[derive(Debug)]
pub struct Table {
    pub(super) path: PathBuf,
    pub(super) sources: Sources,
    pub(super) settings: Settings,
    /// None: now.
    pub(super) now: Option<Timestamp>,
    pub(super) unreached_on_purpose: BTreeSet<String>,
    pub(super) cases: Vec<Case>,
}

/// What a table is about.
#[derive(Debug)]
pub(super) struct Sources {
    configuration: PathBuf,
    rules: Vec<PathBuf>,
}

/// A case that can be run.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) request: Request,
    pub(super) caller: Caller,
    pub(super) reviews: Vec<Review>,
    pub(super) with_shadow: bool,
    pub(super) expectation: Expectation,
}

/// Why a table cannot be run.
#[derive(Debug, Error)]
pub enum TableError {
    /// The file cannot be read.
    #[error("{}: the table cannot be read: {problem}", path.display())]
    Unreadable {
        /// The table.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// The file is no YAML.
    #[error("{}: the table is no YAML: {problem}", path.display())]
    Syntax {
        /// The table.
        path: PathBuf,
        /// Where, and what is wrong there.
        problem: String,
    },
    /// Fields are wrong.
    #[error("{}: the table has {} {}:{}", path.display(), errors.len(), if errors.len() == 1 { "error" } else { "errors" }, list(errors))]
    Fields {
        /// The table.
        path: PathBuf,
        /// The fields.
        errors: Vec<FieldError>,
    },
    /// The configuration is wrong.
    #[error("{}: {source}", path.display())]
    Config {
        /// The configuration.
        path: PathBuf,
        /// What is wrong.
        source: ConfigError,
    },
}

impl Table {
    /// Reads a table and its configuration, and nothing else.
    ///
    /// # Errors
    /// All that is wrong with the table, or with the configuration.
    pub fn read(path: &Path) -> Result<Self, TableError> {
        let of_table = |error| TableError::of(path, error);
        let written: form::File =
            config_file::read_text(path).and_then(|text| config_file::parse_form(&text)).map_err(of_table)?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let sources = Sources {
            configuration: folder.join(&written.config),
            rules: written.rules_from.iter().map(|rules| folder.join(rules)).collect(),
        };
        let of_config = |source| TableError::Config { path: sources.configuration.clone(), source };
        let settings = sources.settings().map_err(of_config)?;
        Self::of(path, &written, settings, sources)
            .map_err(|errors| TableError::Fields { path: path.to_path_buf(), errors })
    }

    fn of(path: &Path, written: &form::File, settings: Settings, sources: Sources) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let root = FieldPath::root();
        let rules: BTreeSet<&str> = settings.rules.rules.iter().map(|rule| rule.name.as_str()).collect();
        let now = written.now.as_deref().and_then(|text| time(&root.key("now"), text, &mut errors));
        for (index, name) in written.unreached_on_purpose.iter().enumerate() {
            if !rules.contains(name.as_str()) {
                let at = root.key("unreached_on_purpose").index(index);
                errors.push(FieldError::new(&at, "the configuration has no such rule").found(name));
            }
        }
        let mut names = BTreeSet::new();
        let mut cases = Vec::with_capacity(written.cases.len());
        for (index, written) in written.cases.iter().enumerate() {
            let at = root.key("cases").index(index);
            if written.name.trim().is_empty() || !names.insert(&written.name) {
                let error = FieldError::new(&at.key("name"), "it is empty, or another case's").found(&written.name);
                errors.push(error.write("say in a few words what this case shows"));
            }
            cases.extend(case(&at, written, &settings, &rules, &mut errors));
        }
        if written.cases.is_empty() {
            errors.push(FieldError::new(&root.key("cases"), "there is none").write("write one for each rule at least"));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let unreached_on_purpose = written.unreached_on_purpose.iter().cloned().collect();
        Ok(Self { path: path.to_path_buf(), sources, now, unreached_on_purpose, cases, settings })
    }
}

impl Sources {
    /// The settings, read anew.
    pub(super) fn settings(&self) -> Result<Settings, ConfigError> {
        config::without_files(&self.configuration, &self.rules)
    }
}

fn case(
    at: &FieldPath,
    written: &form::Case,
    settings: &Settings,
    rules: &BTreeSet<&str>,
    errors: &mut Vec<FieldError>,
) -> Option<Case> {
    let request = Request::read(&at.key("request"), &written.request, errors);
    let caller = match (&written.who, &request) {
        (None, _) => Some(Caller::Nobody),
        (Some(who), Some(request)) => {
            let caller = Caller::read(&at.key("who"), who, settings, request.host());
            caller.map_err(|error| errors.push(error)).ok()
        }
        (Some(_), None) => None,
    };
    let expectation = Expectation::read(&at.key("expect"), &written.expect, rules, request.as_ref(), errors);
    Some(Case {
        name: written.name.clone(),
        request: request?,
        caller: caller?,
        reviews: written.reviews.clone(),
        with_shadow: written.with_shadow,
        expectation: expectation?,
    })
}

fn time(at: &FieldPath, text: &str, errors: &mut Vec<FieldError>) -> Option<Timestamp> {
    let read = humantime::parse_rfc3339(text).ok().map(Timestamp::from_system_time);
    if read.is_none() {
        errors.push(FieldError::new(at, "it is no time").found(text).write("write one such as `2027-01-15T12:00:00Z`"));
    }
    read
}

impl TableError {
    fn of(path: &Path, error: ConfigError) -> Self {
        let path = path.to_path_buf();
        match error {
            ConfigError::Unreadable { problem, .. } => Self::Unreadable { path, problem },
            ConfigError::Syntax(problem) => Self::Syntax { path, problem },
            ConfigError::Fields(errors) => Self::Fields { path, errors },
        }
    }
}

fn list(errors: &[FieldError]) -> String {
    errors.iter().fold(String::new(), |mut text, error| {
        let _ = write!(text, "\n  {error}");
        text
    })
}
