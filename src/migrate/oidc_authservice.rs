//! oidc-authservice, which is configured by its environment alone.

mod access;
mod dropped;
mod gather;
mod identity;
mod provider;
mod sessions;

use super::{
    error::Cause,
    input::{Input, Inputs},
    outcome::{Migration, finish},
    place,
    work::Work,
};

/// Our configuration instead of oidc-authservice's.
pub(super) fn migrate(inputs: Vec<Input>, asked: Option<&str>) -> Result<Migration, Cause> {
    let asked = asked.map(place::asked_origin).transpose()?;
    let inputs = Inputs::sort(inputs)?;
    let files: Vec<String> = inputs.names().into_iter().map(str::to_owned).collect();
    let mut work = Work::default();
    gather::settings(&inputs, &mut work)?;
    let origin = provider::origin(&mut work, asked);
    provider::provider(&mut work, &origin)?;
    sessions::sessions(&mut work);
    identity::identity(&mut work);
    access::access(&mut work);
    dropped::dropped(&mut work);
    Ok(finish(work, "oidc-authservice", &files))
}
