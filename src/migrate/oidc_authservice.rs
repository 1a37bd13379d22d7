//! oidc-authservice, which is configured by its environment alone.

mod access;
mod dropped;
mod gather;
mod identity;
mod provider;
mod sessions;

use super::{error::Cause, work::Work};
use crate::gatekeepers::Inputs;

/// Takes its settings, wherever they are found. `asked` is the public address that the operator asked for.
pub(super) fn settings(work: &mut Work, inputs: &Inputs, asked: Option<String>) -> Result<(), Cause> {
    gather::settings(inputs, work)?;
    let origin = provider::origin(work, asked);
    provider::provider(work, &origin)?;
    sessions::sessions(work);
    identity::identity(work);
    access::access(work);
    dropped::dropped(work);
    Ok(())
}
