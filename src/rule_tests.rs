//! Rules tested where they are written: a table of requests, of who sends them and of what is expected, run through the
//! whole product, offline and in milliseconds.
//!
//! Nothing is evaluated twice over: [`run`] builds the product as the process does (`crate::assembly`), and plays what is
//! outside. Sessions are real ones in memory, tokens are accepted by an API server that knows the one of the case, and a
//! provider can be discovered and does nothing else. Each case has a product of its own, so that none leaves anything to
//! the next. No file that the configuration names is read, and nobody is called.

mod assumed;
mod caller;
mod case;
mod coverage;
mod expectation;
mod form;
mod product;
mod report;
mod request;
mod table;
#[cfg(test)]
mod tests;

pub use case::{RunError, run};
pub use report::{CaseReport, Found, Mismatch, Report, RuleReport};
pub use table::{Table, TableError};
