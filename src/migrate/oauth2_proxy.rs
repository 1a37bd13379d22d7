//! oauth2-proxy, to its version 7.15.

mod access;
mod alpha;
mod dropped;
mod gather;
mod headers;
mod names;
mod provider;
mod sessions;
mod tokens;

use super::{error::Cause, work::Work};
use crate::gatekeepers::Inputs;

/// Takes its settings, wherever they are found. `asked` is the public address that the operator asked for.
pub(super) fn settings(work: &mut Work, inputs: &Inputs, asked: Option<String>) -> Result<(), Cause> {
    let found = gather::settings(inputs, work)?;
    let origin = provider::origin(work, asked);
    provider::provider(work, &found, &origin)?;
    sessions::sessions(work, found.replicas);
    access::access(work, &found);
    headers::headers(work);
    tokens::tokens(work);
    dropped::dropped(work);
    Ok(())
}
