//! The configuration file: its forms, how it is read, and the errors that tell a field's path, what was found and what
//! to write; never the value of a secret.
//!
//! What is written is read strictly (`parse`), then what it refers to (`material`: the only step that reads anything
//! besides the file). What it means is the matter of `config`.

mod error;
pub(crate) mod forms;
mod material;
mod parse;
mod reading;
mod schema;

pub(crate) use error::Segment;
pub use error::{ConfigError, FieldError, FieldPath};
pub(crate) use material::{Material, Reference};
#[cfg(test)]
pub(crate) use parse::parse;
pub(crate) use parse::{parse_form, parse_rules};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use reading::written;
pub(crate) use reading::{Look, Written, look, read_text, written_alone};
pub use schema::json_schema;
