//! The tokens of sessions that have ended are revoked at their provider (RFC 7009).

use std::sync::Arc;

use http::StatusCode;

use super::metrics::{Metrics, TokenRevocationOutcome};
use crate::{
    calls::Places,
    clock::{SharedClock, Timestamp},
    principal::ProviderName,
    providers::{
        self, Endpoint, Known, PerProvider, Provider, ProviderCall, Providers, TokenEndpointError, for_log, refusal_of,
    },
    secret::SecretString,
    session::Tokens,
};

/// How many tokens of one provider are revoked at once; more are not revoked, so that logouts cannot pile up before a slow
/// provider.
const AT_ONCE: usize = 16;

/// Revokes tokens at every provider where that is wanted. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TokenRevocation {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    at: PerProvider<Arc<AtProvider>>,
    clock: SharedClock,
    metrics: Metrics,
}

#[derive(Debug)]
struct AtProvider {
    provider: Arc<Provider>,
    /// One place for each revocation that may run.
    places: Places,
}

impl TokenRevocation {
    pub(crate) fn new(providers: &Providers, clock: SharedClock, metrics: Metrics) -> Self {
        let at = providers.each(|provider| {
            let at = AtProvider { provider: Arc::clone(provider), places: Places::new(AT_ONCE) };
            provider.config.logout.revoke_tokens.then(|| Arc::new(at))
        });
        Self { inner: Arc::new(Inner { at, clock, metrics }) }
    }

    /// Revokes the tokens of a session that has ended, in the background: whether that works is counted, and nobody
    /// waits for it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn revoke(&self, provider: &ProviderName, tokens: &Tokens) {
        let Some(at) = self.inner.at.get(provider) else { return };
        // The provider ends the access token with the refresh token (RFC 7009 section 2.1).
        let (token, kind) = match (&tokens.refresh_token, &tokens.access_token) {
            (Some(token), _) => (token.clone(), "refresh_token"),
            (None, Some(token)) => (token.clone(), "access_token"),
            (None, None) => return,
        };
        let Some(known) = at.provider.known_now() else { return };
        let Some(endpoint) = known.endpoints.revocation.clone() else { return };
        let Some(place) = at.places.take_now() else {
            return self.inner.metrics.revoked(provider, TokenRevocationOutcome::Dropped);
        };
        let (at, metrics) = (Arc::clone(at), self.inner.metrics.clone());
        let now = self.inner.clock.now();
        tokio::spawn(async move {
            let _place = place;
            let name = at.provider.name();
            match revoke(&at.provider, &known, &endpoint, &token, kind, now).await {
                Ok(()) => metrics.revoked(name, TokenRevocationOutcome::Success),
                Err(error) => {
                    // What is wrong for many is told once for all of them.
                    tracing::debug!(provider = name.as_str(), error = for_log(&error), "a token was not revoked");
                    metrics.revoked(name, TokenRevocationOutcome::Failure);
                }
            }
        });
    }
}

/// RFC 7009 section 2.
async fn revoke(
    provider: &Provider,
    known: &Known,
    endpoint: &Endpoint,
    token: &SecretString,
    kind: &str,
    now: Timestamp,
) -> Result<(), TokenEndpointError> {
    let call = ProviderCall::Revocation;
    let fields = [("token", token.expose()), ("token_type_hint", kind)];
    let asked = async {
        let request = providers::form(&provider.config, &known.method, endpoint, &fields, now)?;
        let response = provider.discovery.http().send_plain(request).await?;
        // RFC 7009 section 2.2: also for a token that the provider does not know.
        if response.status() == StatusCode::OK { Ok(()) } else { Err(refusal_of(&response)) }
    };
    provider.troubles.noted(call, endpoint, asked, |error: &TokenEndpointError| error.trouble(call)).await
}
