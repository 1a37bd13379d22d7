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

use super::{
    error::Cause,
    input::{Input, Inputs},
    outcome::{Migration, finish},
    place,
    work::Work,
};

/// Our configuration instead of oauth2-proxy's.
pub(super) fn migrate(inputs: Vec<Input>, asked: Option<&str>) -> Result<Migration, Cause> {
    let asked = asked.map(place::asked_origin).transpose()?;
    let inputs = Inputs::sort(inputs)?;
    let files: Vec<String> = inputs.names().into_iter().map(str::to_owned).collect();
    let mut work = Work::default();
    let found = gather::settings(&inputs, &mut work)?;
    let origin = provider::origin(&mut work, asked);
    provider::provider(&mut work, &found, &origin)?;
    sessions::sessions(&mut work, found.replicas);
    access::access(&mut work, &found);
    headers::headers(&mut work);
    tokens::tokens(&mut work);
    dropped::dropped(&mut work);
    Ok(finish(work, "oauth2-proxy", &files))
}
