//! Revocation of ServiceAccount tokens that the API server still accepts.
//!
//! A revocation names a namespace, a service account, a pod or a token. The first two refuse tokens that were issued
//! before a moment ("not before"), or every token ("denied") until that is lifted; the last two refuse what they name.
//! The list lives in the session store, sealed. Every process holds the whole list in memory, reads it again several times
//! a second, and judges each token by it after every cache. What it knows nothing of it does not let pass: a list that
//! was never read, or not for [`STALE_AFTER`], refuses every ServiceAccount token.
//!
//! **A store that lost the list is not "nothing revoked".** Every process compares the whole list with what it holds
//! every two seconds, and writes back what the store lacks or has in an older form. A list that looks as if it was never
//! written is believed only after the time that other processes need to write it back.
//!
//! **A part of the list is not the list.** A digest under the server's key vouches for all entries that are in force. A
//! process that starts and finds a list for which its digest does not vouch takes it for a part, and refuses every
//! ServiceAccount token until another process writes the rest back, or an administrator takes what is left for all.
//! Whoever puts back an older list with its digest, while no process runs, is not seen.
//!
//! Lifting is an entry of its own, kept for [`MARK_LIFE`]: a process that did not hear of it does not bring back what
//! was lifted.
//!
//! **Keys.** Entries are named and sealed under the root ring's first key; when that is replaced, the list is written
//! anew under the next one.

mod digest;
mod entry;
mod held;
mod in_force;
mod limits;
mod metrics;
mod service;
mod target;
#[cfg(test)]
mod tests;
mod wire;

pub use entry::Revocation;
pub use limits::{ISSUE_MARGIN, MARK_LIFE, STALE_AFTER};
pub use metrics::Metrics;
pub use service::{Measure, NotRevoked, Reopening, Revocations, RevokeError, TokenRefusal};
pub use target::{PodUid, Target, TargetError, TokenId};
