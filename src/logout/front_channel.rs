//! The provider ends sessions through the browser: OpenID Connect Front-Channel Logout 1.0, where it is switched on.
//!
//! The provider's page holds a frame of ours, whose address names its issuer and its session (section 2: `iss`, `sid`).
//! No cookie comes along, since browsers send none into another site's frames, and nothing is signed: whoever knows a
//! `sid` can end that session. So nothing but a session that exists is written to, and the answer never tells whether
//! there was one.

use std::sync::Arc;

use super::{logout_token::MAX_NAME_BYTES, record::tell};
#[cfg(test)]
use crate::{calls::Place, principal::ProviderName};
use crate::{
    calls::Places,
    origin::LoginOrigin,
    pages::HostSource,
    panics::passed_on,
    providers::{Endpoint, PerProvider, Provider, Providers},
    session::Sessions,
};

/// How many logouts of one provider are carried out at once. Strangers can take these places, and so none of a logout
/// token's.
const AT_ONCE: usize = 64;

/// Why nothing is known of a front-channel logout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontChannelError {
    /// Too many at once.
    Busy,
    /// The sessions may live.
    StoreUnavailable,
}

/// Logouts through browsers by the providers that may end sessions so. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FrontChannel {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    at: PerProvider<AtProvider>,
    sessions: Arc<Sessions>,
}

#[derive(Debug)]
struct AtProvider {
    provider: Arc<Provider>,
    /// One place for each logout.
    places: Places,
}

impl FrontChannel {
    pub(crate) fn new(providers: &Providers, sessions: Arc<Sessions>) -> Self {
        let at = providers.each(|provider| {
            let at = AtProvider { provider: Arc::clone(provider), places: Places::new(AT_ONCE) };
            provider.config.logout.front_channel.then_some(at)
        });
        Self { inner: Arc::new(Inner { at, sessions }) }
    }

    /// Whether the provider of this origin may end sessions through browsers.
    #[must_use]
    pub fn is_open(&self, origin: &LoginOrigin) -> bool {
        self.inner.at.contains_key(&origin.provider)
    }

    /// The origins whose pages may hold our frame: the issuer's, and that of its `end_session_endpoint`. One that no
    /// policy can hold is left out.
    #[must_use]
    pub fn pages(&self, origin: &LoginOrigin) -> Vec<HostSource> {
        let Some(AtProvider { provider, .. }) = self.inner.at.get(&origin.provider) else { return Vec::new() };
        let known = provider.known_now();
        let endpoint = known.as_ref().and_then(|known| known.endpoints.end_session.as_ref()).map(Endpoint::url);
        let mut sources: Vec<_> =
            [Some(provider.issuer.url()), endpoint].into_iter().flatten().filter_map(HostSource::of).collect();
        sources.dedup();
        sources
    }

    /// Ends the sessions of the provider's session `sid`, where `iss` is the provider of this origin and such sessions
    /// exist. Whoever calls may give up: a logout that has begun is completed.
    ///
    /// # Errors
    /// Where it is not known whether they ended.
    pub async fn log_out(&self, origin: &LoginOrigin, iss: &str, sid: &str) -> Result<(), FrontChannelError> {
        let Some(at) = self.inner.at.get(&origin.provider).filter(|at| at.provider.issuer.as_str() == iss) else {
            return Ok(());
        };
        if sid.is_empty() || sid.len() > MAX_NAME_BYTES {
            return Ok(());
        }
        let place = at.places.take_now().ok_or(FrontChannelError::Busy)?;
        let (sessions, iss, sid) = (Arc::clone(&self.inner.sessions), iss.to_owned(), sid.to_owned());
        let ended = tokio::spawn(async move {
            let _place = place;
            sessions.end_known_provider_session(&iss, &sid).await
        });
        let ended = passed_on(ended.await).ok().and_then(Result::ok).ok_or(FrontChannelError::StoreUnavailable)?;
        if ended.count > 0 {
            tell(&origin.provider, &ended, "through a browser");
        }
        Ok(())
    }

    /// All places for logouts of this provider.
    #[cfg(test)]
    pub(crate) fn crowd(&self, provider: &ProviderName) -> Vec<Place> {
        let at = self.inner.at.get(provider);
        std::iter::from_fn(|| at?.places.take_now()).collect()
    }
}
