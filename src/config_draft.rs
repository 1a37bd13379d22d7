//! Our configuration while it is put together (`draft`), and how it is written: as YAML, with comments that say where
//! each value is from (`tree`).

mod draft;
mod tree;

pub(crate) use draft::{CLIENT_SECRET, Draft, PROVIDER_CA, closed_rule};
pub(crate) use tree::{Entry, Fields, Node};
