//! The configuration: one YAML file, strict. What is wrong is told with the field's path, what was found, and what to
//! write; never with the value of a secret.
//!
//! Three steps: what is written (`parse`), what it refers to (`material`: the only step that reads anything), and
//! what it means (`resolve`: pure). Components own their configuration; `app` hands each its part of the [`Settings`].

mod error;
mod key_directory;
mod material;
mod parse;
mod raw;
mod reload;
mod resolve;
mod schema;
mod settings;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use error::{ConfigError, FieldError, FieldPath};
pub use key_directory::{KeyDirectory, KeyDirectoryContents, KeyDirectoryError};
pub use reload::{Metrics, Source};
pub use schema::json_schema;
pub use settings::{
    AdminListener, Bind, CheckListener, Drain, HttpListener, KeySource, Keys, Listeners, Provider, ServerTls,
    ServiceAccounts, Settings,
};

use material::Material;

/// Reads a configuration file and everything that it refers to.
///
/// # Errors
/// Where the file cannot be read, is no YAML, or says something that cannot be.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    let text = read(path)?;
    let file = parse::parse(&text)?;
    resolve::resolve(&file, &Material::read(&file)).map_err(ConfigError::Fields)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |problem: String| ConfigError::Unreadable { path: path.to_path_buf(), problem };
    let contents = material::read_file(path).map_err(unreadable)?;
    String::from_utf8(contents.expose().to_vec()).map_err(|_| unreadable("it is no UTF-8 text".to_owned()))
}
