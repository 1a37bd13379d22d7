//! Other gatekeepers' configuration, read whatever form it has: a file of its own, flags, an environment, or the
//! Kubernetes objects that run it (`input`, `manifests`, `container`). What is found are settings by their names
//! (`found`); the report tells what became of each.
//!
//! They are programs in Go: how these read values is in `go`, and what their expressions over paths open in `routes`.

mod container;
mod found;
pub(crate) mod go;
mod input;
mod manifests;
mod report;
pub(crate) mod routes;

pub(crate) use container::{Container, Mounted, SeveralContainers, Variable};
pub(crate) use found::{Setting, Settings, Value};
pub use input::Input;
pub(crate) use input::{InputError, Inputs, is_toml, is_variable, line_of, yaml};
pub(crate) use manifests::{Objects, text_of};
pub use report::Report;
