//! What a run of all suites leaves behind, to be searched for secrets.
//!
//! Where [`FOLDER`] names a folder, the harness writes there each secret that it makes or learns (a ledger for each
//! process of tests), and everything that must hold none of them: the product's logs and metrics, the pages that its
//! visitors received, and copies of its stores. [`search()`] looks for the ones in the others. Where it names none,
//! nothing is kept.

mod collector;
mod files;
mod forms;
mod kinds;
mod learn;
mod search;

pub use collector::{FOLDER, log_file, metrics, output, page, secret, store};
pub use files::{portcullis_ends, portcullis_runs};
pub use kinds::{Kind, Place};
pub use learn::{callback, check_answer, cookie, fault, received, response, sent, token_answer, token_request};
pub use search::{Finding, Report, search};

#[cfg(test)]
mod tests;
