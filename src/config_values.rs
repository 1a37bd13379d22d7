//! From the text of a field to its value: durations, files, names, hosts and addresses, each read once and strictly; and what
//! is wrong, collected until all fields were read.

pub(crate) mod context;
pub(crate) mod names;
pub(crate) mod weak_secrets;

pub(crate) use context::Context;
