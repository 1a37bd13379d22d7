//! What the log says of sessions that a provider ended.

use crate::{
    principal::{ProviderName, Userid},
    session::{Ended, Handle},
};

/// How many sessions are told by their handles.
const MOST: usize = 16;

/// Tells which sessions ended, and whose they were, as far as that is known.
pub(super) fn tell(provider: &ProviderName, ended: &Ended, by: &'static str) {
    let Ended { count, handles, userid } = ended;
    let session = handles.iter().take(MOST).map(Handle::as_str).collect::<Vec<_>>().join(" ");
    let principal = userid.as_ref().map(Userid::as_str);
    tracing::info!(provider = provider.as_str(), ended = count, session, principal, by, "the provider ended sessions");
}
