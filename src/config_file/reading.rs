//! One look at the file and at everything that it refers to.

use std::path::Path;

use super::{
    error::ConfigError,
    forms,
    material::{Material, read_file},
    parse::parse,
};
use crate::secret::sha256;

/// A configuration as it is written, with the contents of what it refers to.
#[derive(Debug)]
pub(crate) struct Written {
    /// The file.
    pub(crate) file: forms::File,
    /// What it refers to.
    pub(crate) material: Material,
}

/// What was found at one look.
#[derive(Debug)]
pub(crate) struct Look {
    /// A hash of all of it, to see whether anything changed.
    pub(crate) digest: [u8; 32],
    /// The configuration, or why there is none.
    pub(crate) outcome: Result<Written, ConfigError>,
}

/// Reads the configuration file and everything that it refers to, as it is now. What the file refers to and cannot be
/// read is an error of its field, which is told when that field is resolved.
pub(crate) fn look(path: &Path) -> Look {
    let text = match read_text(path) {
        Ok(text) => text,
        Err(error) => return Look { digest: sha256(error.to_string().as_bytes()), outcome: Err(error) },
    };
    let hash = sha256(text.as_bytes());
    let outcome = written(&text);
    let digest = match &outcome {
        Ok(written) => sha256(&[hash, written.material.digest()].concat()),
        Err(_) => hash,
    };
    Look { digest, outcome }
}

/// What a text says, with what it refers to as it is now.
pub(crate) fn written(text: &str) -> Result<Written, ConfigError> {
    let file = parse(text)?;
    let material = Material::read(&file);
    Ok(Written { file, material })
}

/// What a text says, where nothing that it refers to is there yet.
pub(crate) fn written_alone(text: &str) -> Result<Written, ConfigError> {
    Ok(Written { file: parse(text)?, material: Material::default() })
}

/// The text of a file.
pub(crate) fn read_text(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |problem: String| ConfigError::Unreadable { path: path.to_path_buf(), problem };
    let contents = read_file(path).map_err(unreadable)?;
    String::from_utf8(contents.expose().to_vec()).map_err(|_| unreadable("it is no UTF-8 text".to_owned()))
}
