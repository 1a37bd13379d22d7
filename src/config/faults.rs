//! What is wrong with a configuration before the files that it names are there.

use super::resolve::resolve;
use crate::config_file::{ConfigError, FieldError, FieldPath, written_alone};

/// All that is wrong with a text; among it, that no file and no variable that it names can be read.
pub(crate) fn faults(text: &str) -> Vec<FieldError> {
    match written_alone(text).and_then(|written| resolve(&written)) {
        Ok(_) => Vec::new(),
        Err(ConfigError::Fields(faults)) => faults,
        Err(error) => vec![FieldError::new(&FieldPath::root(), error.to_string())],
    }
}
