//! The provider ends sessions here: OpenID Connect Back-Channel Logout 1.0.
//!
//! Anybody may send something that looks like a logout token, so nothing is written before all of section 2.6 holds,
//! the signature included, and what is not our provider's word for us costs no key. A token that the known keys verify
//! waits for nobody: those that want newer keys have places of their own, and share one fetch.
//!
//! A logout and the mark that its token is spent are one step of the store, so that none is spent and not done. A token
//! that comes again, because our answer was lost, ends nothing that began since, and is told that all is well.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;

use super::{
    logout_token::{BackChannelError, Candidate, Known, LogoutToken, Whose},
    metrics::Metrics,
    record::tell,
};
use crate::{
    calls::{Patience, Places},
    clock::SharedClock,
    jose::Expectation,
    principal::ProviderName,
    providers::{PerProvider, Provider, Providers, for_log},
    secret::sha256,
    session::{Ended, LogoutOf, ProviderLogout, Sessions},
};

/// How many logouts by one provider are carried out at once.
const AT_ONCE: usize = 64;
/// How many logout tokens wait for keys at once: anybody who reaches the listener may send some.
const WAITING: usize = 64;
/// How often the end of the sessions is tried, since a provider need not send its token again, and the first pause; it
/// doubles.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What a good logout token did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackChannelLogout {
    /// It ended so many sessions.
    Ended(usize),
    /// It was carried out before. What began since goes on.
    DoneBefore,
}

/// Logouts by the providers that may end sessions here. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BackChannel {
    inner: Arc<Inner>,
}

/// Back-channel logout that a reload may replace while it is in use.
pub type SharedBackChannel = Arc<ArcSwap<BackChannel>>;

#[derive(Debug)]
struct Inner {
    at: PerProvider<Arc<AtProvider>>,
    sessions: Arc<Sessions>,
    clock: SharedClock,
    metrics: Metrics,
}

#[derive(Debug)]
struct AtProvider {
    provider: Arc<Provider>,
    /// One place for each logout that may be carried out: of tokens that the provider has signed.
    logouts: Places,
    /// One place for each logout token that may wait for the provider's keys. Strangers can take these, and so none of
    /// a token that the known keys verify.
    waiting: Places,
}

impl BackChannel {
    pub(crate) fn new(providers: &Providers, sessions: Arc<Sessions>, clock: SharedClock, metrics: Metrics) -> Self {
        let at = providers.each(|provider| {
            let (logouts, waiting) = (Places::new(AT_ONCE), Places::new(WAITING));
            let at = AtProvider { provider: Arc::clone(provider), logouts, waiting };
            provider.config.logout.back_channel.then(|| Arc::new(at))
        });
        Self { inner: Arc::new(Inner { at, sessions, clock, metrics }) }
    }

    /// Ends the sessions that a logout token of this provider names. Whoever calls may give up: a logout that has begun
    /// is completed.
    ///
    /// # Errors
    /// Where the token is not good, or the sessions could not be ended.
    pub async fn log_out(&self, provider: &str, token: String) -> Result<BackChannelLogout, BackChannelError> {
        let at = ProviderName::parse(provider).ok().and_then(|name| self.inner.at.get(&name));
        let at = at.ok_or(BackChannelError::UnknownProvider)?;
        let outcome = Inner::judge(&self.inner, at, &token).await;
        let name = at.provider.name();
        match outcome {
            Ok(Some(ended)) => {
                tell(name, &ended, "by a logout token");
                self.inner.metrics.back_channel(name, "accepted");
                Ok(BackChannelLogout::Ended(ended.count))
            }
            Ok(None) => {
                tracing::info!(provider = name.as_str(), "a logout token came again");
                self.inner.metrics.back_channel(name, "replayed");
                Ok(BackChannelLogout::DoneBefore)
            }
            Err(error) => {
                tracing::warn!(provider = name.as_str(), error = for_log(&error), "a logout token ended nothing");
                self.inner.metrics.back_channel(name, error.outcome());
                Err(error)
            }
        }
    }
}

impl Inner {
    async fn judge(self: &Arc<Self>, at: &Arc<AtProvider>, text: &str) -> Result<Option<Ended>, BackChannelError> {
        let candidate = Candidate::read(&at.provider, text, self.clock.now())?;
        let (inner, at) = (Arc::clone(self), Arc::clone(at));
        let logout = match candidate.verify_with_known_keys(&at.provider)? {
            Known::Verified(token) => tokio::spawn(async move { inner.end_named(&at, &token).await }),
            Known::Not(before) => {
                let place = at.waiting.take_now().ok_or(BackChannelError::Busy)?;
                tokio::spawn(async move {
                    let token = candidate.verify_with_newer_keys(&at.provider, before).await?;
                    drop(place);
                    inner.end_named(&at, &token).await
                })
            }
        };
        logout.await.unwrap_or(Err(BackChannelError::Internal))
    }

    /// Ends the sessions that the token names; nothing, where it did so before.
    async fn end_named(&self, at: &AtProvider, token: &LogoutToken) -> Result<Option<Ended>, BackChannelError> {
        let _place = at.logouts.take_now().ok_or(BackChannelError::Busy)?;
        let provider = &at.provider;
        let issuer = provider.issuer.as_str();
        let whose = match &token.whose {
            Whose::ProviderSession { session, subject } => {
                LogoutOf::ProviderSession { session, subject: subject.as_deref() }
            }
            Whose::Subject(subject) => LogoutOf::Subject(subject),
        };
        let mark = sha256(format!("backchannel-logout\0{issuer}\0{}", token.id).as_bytes());
        let mark_until = token.expires_at.plus(Expectation::DEFAULT_LEEWAY);
        let logout = ProviderLogout { issuer, whose, mark: &mark, mark_until };
        let named = self.sessions.named_by(&logout).await;
        let mut patience = Patience::new(ATTEMPTS, FIRST_PAUSE);
        loop {
            match self.sessions.log_out_once(&logout, &named).await {
                Ok(ended) => return Ok(ended),
                Err(_) if patience.lasts().await => {}
                Err(_) => return Err(BackChannelError::StoreUnavailable),
            }
        }
    }
}
