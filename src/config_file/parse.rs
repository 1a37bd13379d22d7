//! YAML to the forms, strictly, and with every wrong field told at once where that can be done.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment as SerdeSegment;
use serde_saphyr::{DuplicateKeyPolicy, Error as YamlError, MergeKeyPolicy, options};

use super::{
    error::{ConfigError, FieldError, FieldPath, Segment},
    forms,
    schema::describe,
};

/// How many wrong fields are looked for before the search ends.
const MOST_ERRORS: usize = 20;
/// Fields in which somebody may have written the secret itself: what was found there is never shown.
const SECRET_FIELDS: [&str; 2] = ["client_secret", "keys"];

/// Reads the text of a configuration file.
pub(crate) fn parse(text: &str) -> Result<forms::File, ConfigError> {
    parse_form(text)
}

/// Reads the text of a file of rules, which is as if it stood in a configuration file.
pub(crate) fn parse_rules(text: &str) -> Result<Vec<forms::Rule>, ConfigError> {
    parse_form::<forms::RulesFile>(text).map(|file| file.rules)
}

/// Reads the text of a file that has another form than the configuration, as strictly and with the same words.
pub(crate) fn parse_form<Form: DeserializeOwned + JsonSchema>(text: &str) -> Result<Form, ConfigError> {
    let first = match read::<Form>(text) {
        Ok(file) => return Ok(file),
        Err(failure) => failure,
    };
    // What is wrong is cut out, and the rest is read again, to find what else is wrong.
    let mut tree = match serde_saphyr::from_str_with_options::<Value>(text, yaml_options()) {
        Ok(tree @ Value::Object(_)) => tree,
        Ok(_) => return Err(ConfigError::Syntax("it must be a mapping of fields to values".to_owned())),
        Err(YamlError::DuplicateMappingKey { .. }) => return Err(first.into_error::<Form>()),
        Err(error) => return Err(syntax(&error)),
    };
    let mut failure = first;
    let mut errors = Vec::new();
    while errors.len() < MOST_ERRORS {
        let Failure { path, problem } = failure;
        match problem.into_field_error::<Form>(&path) {
            // Missing because it was cut out, or something in it was: told already.
            Some(error) if errors.iter().any(|told: &FieldError| told.path().is_within(error.path())) => break,
            Some(error) => errors.push(error),
            None => break,
        }
        if !prune(&mut tree, path.segments()) {
            break;
        }
        match read::<Form>(&tree.to_string()) {
            Ok(_) => break,
            Err(next) => failure = next,
        }
    }
    Err(ConfigError::Fields(errors))
}

fn yaml_options() -> serde_saphyr::Options {
    options! {
        strict_booleans: true,
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        with_snippet: false,
    }
}

struct Failure {
    path: FieldPath,
    problem: Problem,
}

struct Problem(Box<YamlError>);

fn read<Form: DeserializeOwned>(text: &str) -> Result<Form, Failure> {
    let mut path = FieldPath::root();
    let outcome = serde_saphyr::with_deserializer_from_str_with_options(text, yaml_options(), |deserializer| {
        serde_path_to_error::deserialize::<_, Form>(deserializer).map_err(|error| {
            path = error.path().iter().fold(FieldPath::root(), |path, segment| match segment {
                SerdeSegment::Map { key } => path.with(Segment::Key(key.clone())),
                SerdeSegment::Seq { index } => path.with(Segment::Index(*index)),
                SerdeSegment::Enum { .. } | SerdeSegment::Unknown => path,
            });
            error.into_inner()
        })
    });
    outcome.map_err(|error| Failure { path, problem: Problem(Box::new(error)) })
}

impl Failure {
    fn into_error<Form: JsonSchema>(self) -> ConfigError {
        let syntax = syntax(&self.problem.0);
        self.problem.into_field_error::<Form>(&self.path).map_or(syntax, |error| ConfigError::Fields(vec![error]))
    }
}

/// The text is no YAML: the line is all that can be told.
fn syntax(error: &YamlError) -> ConfigError {
    let text = error.without_snippet().to_string();
    ConfigError::Syntax(match error.location() {
        Some(at) if !text.contains("line ") => format!("line {}, column {}: {text}", at.line(), at.column()),
        _ => text,
    })
}

impl Problem {
    /// What is wrong, in the words of the configuration; nothing where the text is no YAML at all.
    fn into_field_error<Form: JsonSchema>(self, path: &FieldPath) -> Option<FieldError> {
        let hidden = path.segments().iter().any(|segment| match segment {
            Segment::Key(key) => SECRET_FIELDS.contains(&key.as_str()),
            Segment::Index(_) => false,
        });
        let found = |error: FieldError, value: &str| if hidden { error } else { error.found(value) };
        Some(match self.0.without_snippet() {
            YamlError::SerdeUnknownField { expected, .. } => {
                FieldError::new(path, "there is no such field").write(format!("fields here: {}", expected.join(", ")))
            }
            YamlError::SerdeMissingField { field, .. } => {
                advise::<Form>(FieldError::new(&path.key(field), "it is missing"))
            }
            YamlError::SerdeUnknownVariant { variant, expected, .. } => {
                found(FieldError::new(path, "there is no such value"), variant)
                    .write(format!("write one of: {}", expected.join(", ")))
            }
            YamlError::SerdeInvalidType { unexpected, expected, .. }
            | YamlError::SerdeInvalidValue { unexpected, expected, .. } => {
                advise::<Form>(found(FieldError::new(path, format!("it must be {expected}")), unexpected))
            }
            YamlError::DuplicateMappingKey { key, .. } => {
                let twice = key.as_ref().map_or_else(|| path.clone(), |key| path.key(key));
                FieldError::new(&twice, "it is written twice").write("keep one of the two")
            }
            _ if path.segments().is_empty() => return None,
            _ if hidden => advise::<Form>(FieldError::new(path, "it cannot be read")),
            other => advise::<Form>(FieldError::new(path, format!("it cannot be read: {other}"))),
        })
    }
}

fn advise<Form: JsonSchema>(error: FieldError) -> FieldError {
    match describe::<Form>(error.path()) {
        Some(description) => error.write(format!("what to write: {description}")),
        None => error,
    }
}

/// Cuts the node at `path` out of the tree. False where there is none.
fn prune(tree: &mut Value, path: &[Segment]) -> bool {
    let Some((last, parents)) = path.split_last() else { return false };
    let parent = parents.iter().try_fold(tree, |node, segment| match segment {
        Segment::Key(key) => node.get_mut(key),
        Segment::Index(index) => node.get_mut(index),
    });
    match (parent, last) {
        (Some(Value::Object(fields)), Segment::Key(key)) => fields.remove(key).is_some(),
        // An item of a list stays: its neighbours keep their places, so that errors tell where they stand.
        _ => false,
    }
}
