//! Sign-out at the provider: the browser's way there and back (OpenID Connect RP-Initiated Logout 1.0). The session here is
//! gone before it begins.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    clock::{SharedClock, Timestamp},
    decision::Location,
    origin::LoginOrigin,
    providers::{Known, Provider, ProviderConfig, Providers},
    secret::{Label, SecretString, SharedRootKeyRing, decode, encode},
    session::Registration,
};

/// The longest ID token that is sent as a hint, in bytes: it stands in a URL, which servers bound. A longer one is not kept.
pub(crate) const MAX_HINT_BYTES: usize = 6 * 1024;
/// The longest sealed parameter that is looked at, in bytes.
const MAX_PARAMETER_BYTES: usize = 12 * 1024;
/// How long a browser may take on its way through a logout.
const LIFETIME: Duration = Duration::from_mins(10);
/// How far ahead of our clock another replica's may be.
const SKEW: Duration = Duration::from_mins(1);

/// Where a logout's browser is on its way; part of what its parameter is sealed for.
#[derive(Clone, Copy)]
enum Step {
    /// It is to go on to the provider.
    ToProvider,
    /// It comes back from the provider.
    Back,
}

impl Step {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::ToProvider => b"to-provider",
            Self::Back => b"back",
        }
    }
}

/// What travels with the browser, sealed.
#[derive(Serialize, Deserialize)]
struct Travelling {
    issued_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

/// Sends browsers to be signed out at their provider too. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RpInitiatedLogout {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    providers: Providers,
    keys: SharedRootKeyRing,
    clock: SharedClock,
}

impl RpInitiatedLogout {
    pub(crate) fn new(providers: Providers, keys: SharedRootKeyRing, clock: SharedClock) -> Self {
        Self { inner: Arc::new(Inner { providers, keys, clock }) }
    }

    /// The provider's `end_session_endpoint`, where browsers that sign out at this origin are sent to it.
    #[must_use]
    pub fn end_session_endpoint(&self, origin: &LoginOrigin) -> Option<Location> {
        let (_, _, url) = self.end_session(origin)?;
        Location::new(&url).ok()
    }

    /// Where a browser goes to sign out at the provider too, and to come back from there; none where the configuration
    /// or the provider does not want that, or nothing is known of the provider yet.
    #[must_use]
    pub fn end_session_url(&self, origin: &LoginOrigin, id_token: Option<&SecretString>) -> Option<Location> {
        let (provider, _, url) = self.end_session(origin)?;
        let config = &provider.config.logout;
        let hint = id_token.and_then(as_hint).filter(|_| config.id_token_hint);
        let state = config.state.then(|| self.seal(origin, provider, Step::Back, None));
        Location::new(&logout_request(&provider.config, url, origin, hint, state)).ok()
    }

    /// A parameter with which a browser is sent to the provider later, by [`Self::resumed_logout`]: the ID token is
    /// sealed in it, so that a script that is told where to go does not learn it.
    #[must_use]
    pub fn suspended_logout(&self, origin: &LoginOrigin, id_token: Option<&SecretString>) -> Option<String> {
        let (provider, ..) = self.end_session(origin)?;
        let hint = id_token.and_then(as_hint).filter(|_| provider.config.logout.id_token_hint);
        Some(self.seal(origin, provider, Step::ToProvider, hint))
    }

    /// Where a browser goes that brings a parameter of [`Self::suspended_logout`]; none where it is not ours or old.
    #[must_use]
    pub fn resumed_logout(&self, origin: &LoginOrigin, parameter: &str) -> Option<Location> {
        let travelling = self.open(origin, Step::ToProvider, parameter)?;
        self.end_session_url(origin, travelling.id_token.map(SecretString::new).as_ref())
    }

    /// Whether a browser comes back from a logout at the provider that we sent it to. From a provider that brings no state
    /// back, every browser may be: it is only led on.
    #[must_use]
    pub fn is_back_from_logout(&self, origin: &LoginOrigin, state: Option<&str>) -> bool {
        match state {
            Some(state) => self.open(origin, Step::Back, state).is_some(),
            None => self.end_session(origin).is_some_and(|(provider, ..)| !provider.config.logout.state),
        }
    }

    fn end_session(&self, origin: &LoginOrigin) -> Option<(&Arc<Provider>, Arc<Known>, Url)> {
        let provider =
            self.inner.providers.get(&origin.provider).filter(|provider| provider.config.logout.at_provider)?;
        let known = provider.known_now()?;
        let url = known.endpoints.end_session.as_ref()?.url().clone();
        Some((provider, known, url))
    }

    #[expect(clippy::expect_used, reason = "strings and numbers are JSON")]
    fn seal(&self, origin: &LoginOrigin, provider: &Provider, step: Step, id_token: Option<&str>) -> String {
        let travelling = Travelling { issued_at: self.inner.clock.now(), id_token: id_token.map(str::to_owned) };
        let plaintext = serde_json::to_vec(&travelling).expect("strings and numbers are JSON");
        encode(&self.inner.keys.load().seal(Label::LogoutState, &is_for(origin, provider, step), &plaintext))
    }

    fn open(&self, origin: &LoginOrigin, step: Step, parameter: &str) -> Option<Travelling> {
        if parameter.len() > MAX_PARAMETER_BYTES {
            return None;
        }
        let sealed = decode(parameter)?;
        let is_for = is_for(origin, self.inner.providers.get(&origin.provider)?, step);
        let plaintext = self.inner.keys.load().open(Label::LogoutState, &is_for, &sealed).ok()?;
        let travelling: Travelling = serde_json::from_slice(plaintext.expose()).ok()?;
        let now = self.inner.clock.now();
        let fresh = travelling.issued_at <= now.plus(SKEW) && now < travelling.issued_at.plus(LIFETIME);
        fresh.then_some(travelling)
    }
}

/// What a browser brings to the `end_session_endpoint` (OpenID Connect RP-Initiated Logout section 2).
pub(crate) fn logout_request(
    config: &ProviderConfig,
    mut endpoint: Url,
    origin: &LoginOrigin,
    id_token_hint: Option<&str>,
    state: Option<String>,
) -> Url {
    endpoint
        .query_pairs_mut()
        .extend_pairs(id_token_hint.map(|hint| ("id_token_hint", hint)))
        .append_pair("client_id", &config.client_id)
        .append_pair(&config.logout.redirect_parameter, origin.post_logout_redirect_uri.as_str())
        .extend_pairs(state.map(|state| ("state", state)));
    endpoint
}

/// The ID token as a hint, where one was kept that a URL can hold.
fn as_hint(id_token: &SecretString) -> Option<&str> {
    Some(id_token.expose()).filter(|token| (1..=MAX_HINT_BYTES).contains(&token.len()))
}

/// Of one issuer and one client: no other one learns what was hinted at.
fn is_for<'a>(origin: &'a LoginOrigin, provider: &'a Provider, step: Step) -> [&'a [u8]; 4] {
    let Registration { issuer, client_id, .. } = &provider.registration;
    [origin.url.as_bytes(), step.name(), issuer.as_bytes(), client_id.as_bytes()]
}
