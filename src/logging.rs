//! The log: structured records on standard error, one per line; level and format may change while we run.
//!
//! Standard output stays free for what commands print. Whoever has something to tell puts whole lines into one bounded
//! `queue`, in order, and goes on; one thread, the `writer`, empties it within 10 ms. So a check costs no system call
//! for its record, and never waits for whoever reads the log: what finds no room is counted and told once it goes on.
//!
//! Three things find room longer than the mass does, each longer than the one before: warnings, errors, and records of
//! the audit log, whose acts [wait for it](Log::audit_place) before they begin.

mod audit;
mod config;
mod line;
mod metrics;
mod process_log;
mod queue;
mod records;
mod stamp;
mod tracing_output;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

pub use audit::Audited;
pub use config::{Config, Format};
pub use line::Line;
pub use process_log::{Logging, UntilTheEnd};
pub use records::{AuditPlace, Log};
