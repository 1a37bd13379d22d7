//! The strict mode: the provider is asked again and again whether a session's access token is still good, so that what
//! it ended there ends here soon. No answer is no "yes". When it was asked is told by the clock that never steps back.

use std::{sync::Arc, time::Duration};

use openidconnect::{
    AccessToken, IntrospectionUrl, SubjectIdentifier, TokenIntrospectionResponse as _, UserInfoError,
    core::CoreUserInfoClaims,
};
use quick_cache::Weighter;

use super::{
    exchange::{Exchange, ExchangeError},
    login::Login,
    provider::Provider,
    refresh::{NotFresh, Outcome, Presented, Refreshes, not_fresh},
};
use crate::{
    memory::{self, BoundedCache},
    providers::{StrictAsk, StrictConfig, for_log},
    secret::SecretString,
    session::{Handle, Session},
};

/// What an answer that is remembered takes, in bytes.
const USUAL_BYTES: u64 = 256;
/// How long the provider may take altogether: shorter than the gateway waits.
const DEADLINE: Duration = Duration::from_secs(8);

/// When the provider last said yes to us, and the questions that are running.
#[derive(Debug)]
pub(super) struct StrictChecks {
    /// When it was asked, in monotonic time, by the session's handle. What another process asked is not known here: its
    /// dates are of the wall clock, which may step back.
    good_at: BoundedCache<Handle, Duration, Weight>,
    running: Arc<Refreshes>,
}

impl StrictChecks {
    pub(super) fn new() -> Self {
        let good_at = memory::cache(memory::STRICT_ANSWERS, USUAL_BYTES, Weight);
        Self { good_at, running: Arc::default() }
    }

    /// The provider vouched for the session itself, by a sign-in or a refresh that began at `asked_at` (monotonic).
    pub(super) fn vouched(&self, provider: &Provider, session: &Handle, asked_at: Duration) {
        if provider.config.strict.is_some() {
            self.good_at.insert(session.clone(), asked_at);
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Weight;

impl Weighter<Handle, Duration> for Weight {
    fn weight(&self, session: &Handle, _: &Duration) -> u64 {
        memory::entry::<Handle, Duration>(memory::block(session.as_str().len()))
    }
}

impl Login {
    /// The session, where the provider has said of it lately that it counts.
    pub(super) async fn keep_strict(
        &self,
        provider: &Arc<Provider>,
        presented: Presented<'_>,
        session: Arc<Session>,
        waited: &mut bool,
    ) -> Outcome {
        let Some(config) = provider.config.strict else { return Ok(session) };
        let strict = &self.inner.strict;
        let now = self.inner.clock.monotonic();
        let holds = strict.good_at.get(session.handle()).is_some_and(|at| now.saturating_sub(at) < config.every);
        if holds {
            return Ok(session);
        }
        *waited = true;
        let answer = strict.running.share(session.handle(), || {
            let question = Question {
                login: self.clone(),
                provider: Arc::clone(provider),
                config,
                ticket: SecretString::new(presented.ticket.to_owned()),
                origin: presented.origin.to_owned(),
                session: Arc::clone(&session),
            };
            question.run()
        });
        answer.await
    }
}

/// One question about one session.
struct Question {
    login: Login,
    provider: Arc<Provider>,
    config: StrictConfig,
    ticket: SecretString,
    origin: String,
    session: Arc<Session>,
}

impl Question {
    async fn run(self) -> Outcome {
        let (provider, registration) = (&self.provider.config.name, &self.provider.registration);
        let sessions = &self.login.inner.sessions;
        let current = sessions.current(self.ticket.expose(), &self.origin, registration).await.map_err(not_fresh)?;
        // A session from before the strict mode has none: nobody can ask about it.
        let Some(access_token) = current.tokens().access_token.clone() else { return self.not_good().await };
        let asked_at = self.login.inner.clock.monotonic();
        let (outcome, told) = match self.ask(&access_token).await {
            Ok(true) => {
                self.login.inner.strict.vouched(&self.provider, self.session.handle(), asked_at);
                (Ok(Arc::clone(&self.session)), "active")
            }
            Ok(false) => (self.not_good().await, "inactive"),
            Err(error) => {
                let session = self.session.handle();
                tracing::warn!(provider = provider.as_str(), %session, error = for_log(&error), "no strict check");
                (Err(NotFresh::ProviderUnavailable), "failure")
            }
        };
        self.login.inner.metrics.strictly_checked(provider, told);
        outcome
    }

    async fn ask(&self, access_token: &SecretString) -> Result<bool, ExchangeError> {
        let unavailable = |text: &str| ExchangeError::Unavailable(text.to_owned());
        let place = tokio::time::timeout(DEADLINE, self.provider.questions.acquire()).await;
        let _place = place.ok().and_then(Result::ok).ok_or_else(|| unavailable("too many questions at once"))?;
        if !self.provider.question_breaker.allows(self.login.inner.clock.monotonic()) {
            return Err(unavailable("it did not answer just now"));
        }
        let known = self.provider.discovery.known().await.ok_or_else(|| unavailable("it is not known yet"))?;
        let subject = &self.session.user().subject;
        self.provider.is_good(&known, self.config.ask, access_token, subject, DEADLINE).await
    }

    /// The provider does not accept the access token. Where there is a refresh token that says more, that one is brought;
    /// else the session ends.
    async fn not_good(&self) -> Outcome {
        let presented =
            Presented { ticket: self.ticket.expose(), origin: &self.origin, provider: &self.provider.config.name };
        if let (Some(config), Some(_)) = (self.provider.config.refresh, self.session.renewable()) {
            return self.login.refresh(&self.provider, config, presented, &self.session, true).await;
        }
        tracing::info!(session = %self.session.handle(), "a session ends: the provider does not vouch for it any more");
        match self.login.inner.sessions.end(self.ticket.expose()).await {
            Ok(_) => Err(NotFresh::Ended),
            Err(_) => Err(NotFresh::StoreUnavailable),
        }
    }
}

impl Exchange<'_> {
    /// Whether the provider accepts this access token, as one of this person.
    pub(super) async fn is_good(
        &self,
        ask: StrictAsk,
        access_token: &SecretString,
        subject: &str,
    ) -> Result<bool, ExchangeError> {
        let access_token = AccessToken::new(access_token.expose().to_owned());
        match ask {
            StrictAsk::Introspection => self.is_active(&access_token, subject).await,
            StrictAsk::Userinfo => self.is_accepted_by_userinfo(access_token, subject).await,
        }
    }

    /// RFC 7662 section 2.
    async fn is_active(&self, access_token: &AccessToken, subject: &str) -> Result<bool, ExchangeError> {
        let missing = || ExchangeError::Answer("it has no introspection endpoint that can be used".to_owned());
        let endpoint = self.known.endpoints.introspection.as_ref().ok_or_else(missing)?.url().clone();
        let client = self.client().set_introspection_url(IntrospectionUrl::from_url(endpoint));
        let answer = client
            .introspect(access_token)
            .set_token_type_hint("access_token")
            .request_async(self.http)
            .await
            .map_err(ExchangeError::from)?;
        Ok(answer.active() && answer.sub().is_none_or(|found| found == subject))
    }

    async fn is_accepted_by_userinfo(&self, access_token: AccessToken, subject: &str) -> Result<bool, ExchangeError> {
        // What is no header value would make the library panic.
        if !access_token.secret().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ExchangeError::Answer("the access token is no bearer token".to_owned()));
        }
        let missing = || ExchangeError::Answer("it has no userinfo endpoint".to_owned());
        let subject = SubjectIdentifier::new(subject.to_owned());
        let request = self.known.client.user_info(access_token, Some(subject)).map_err(|_| missing())?;
        let claims: Result<CoreUserInfoClaims, _> = request.request_async(self.http).await;
        match claims {
            Ok(_) => Ok(true),
            // RFC 6750 section 3.1: the token, or what it may.
            Err(UserInfoError::Response(status, ..)) if matches!(status.as_u16(), 401 | 403) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use allocation_counter::measure;

    use super::*;

    #[test]
    fn remembered_answers_take_no_more_than_their_part() {
        let checks = StrictChecks::new();
        let filled = measure(|| {
            for number in 0..100_000 {
                checks.good_at.insert(Handle::parse(&format!("{number:012}")).unwrap(), Duration::ZERO);
            }
        });
        assert!(filled.bytes_max <= memory::STRICT_ANSWERS, "{filled:?}");
        assert!(checks.good_at.len() > 10_000, "else nothing was filled: {}", checks.good_at.len());
    }
}
