//! The way of a check: match, authenticate, authorize, inject; and its one record.
//!
//! [`Checker::evaluate`] has no effect on anything but caches: what a check would be decided as can be asked without
//! starting a login. [`Checker::check`] evaluates, carries out what our own endpoints do, and writes the record.

mod checker;
mod durations;
mod evaluation;
mod explanation;
mod metrics;
mod outcome;
mod pipeline;
mod problem_page;
mod record;
mod shadow;

pub use checker::{Checker, Parts};
pub use evaluation::Evaluation;
pub use explanation::{Explanation, ReviewExplained, Verdict};
pub use metrics::Metrics;
pub use outcome::Outcome;
pub use pipeline::Checked;
pub use record::CheckRecord;
pub use shadow::{Differs, TARGET as SHADOW_TARGET};
