//! The provider ends sessions through the browser: OpenID Connect Front-Channel Logout 1.0, where it is switched on.
//!
//! The provider's page holds a frame of ours, whose address names its issuer and its session (section 2: `iss`, `sid`).
//! No cookie comes along, since browsers send none into another site's frames, and nothing is signed: whoever knows a
//! `sid` can end that session. So nothing but a session that exists is written to, and the answer never tells whether
//! there was one.

use std::sync::Arc;

use super::{back_channel::MAX_NAME_BYTES, config::LoginOrigin, login::Login};
use crate::{pages::HostSource, panics::passed_on, providers::Endpoint};

/// Why nothing is known of a front-channel logout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontChannelError {
    /// Too many at once.
    Busy,
    /// The sessions may live.
    StoreUnavailable,
}

impl Login {
    /// Whether the provider of this origin may end sessions through browsers.
    #[must_use]
    pub fn has_front_channel(&self, origin: &LoginOrigin) -> bool {
        self.provider(&origin.provider).is_some_and(|provider| provider.config.logout.front_channel)
    }

    /// The origins whose pages may hold our frame: the issuer's, and that of its `end_session_endpoint`. One that no
    /// policy can hold is left out.
    #[must_use]
    pub fn front_channel_pages(&self, origin: &LoginOrigin) -> Vec<HostSource> {
        let Some(provider) = self.provider(&origin.provider) else { return Vec::new() };
        let known = provider.discovery.known_now();
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
    pub async fn front_channel_logout(
        &self,
        origin: &LoginOrigin,
        iss: &str,
        sid: &str,
    ) -> Result<(), FrontChannelError> {
        let provider = self.provider(&origin.provider).filter(|provider| provider.config.logout.front_channel);
        let Some(provider) = provider.filter(|provider| provider.issuer.as_str() == iss) else { return Ok(()) };
        if sid.is_empty() || sid.len() > MAX_NAME_BYTES {
            return Ok(());
        }
        let place =
            Arc::clone(&provider.front_channel_logouts).try_acquire_owned().map_err(|_| FrontChannelError::Busy)?;
        let (login, iss, sid) = (self.clone(), iss.to_owned(), sid.to_owned());
        let ended = tokio::spawn(async move {
            let _place = place;
            login.inner.sessions.end_known_provider_session(&iss, &sid).await
        });
        let ended = passed_on(ended.await).ok().and_then(Result::ok).ok_or(FrontChannelError::StoreUnavailable)?;
        if ended > 0 {
            tracing::info!(provider = origin.provider.as_str(), ended, "the provider ended sessions through a browser");
        }
        Ok(())
    }
}
