//! The components of sign-in, built of one configuration.

use std::sync::Arc;

use super::{
    browser_forms::BrowserForms, config::Config, freshness::Freshness, metrics::Metrics, sign_in::SignIn,
    vouchers::Vouchers,
};
use crate::{
    clock::SharedClock,
    logout::{BackChannel, FrontChannel, RpInitiatedLogout, TokenRevocation},
    providers::{ConfigError, Providers},
    secret::SharedRootKeyRing,
    session::Sessions,
};

/// All that is done with the providers. Cheap to clone; whoever needs a part takes that alone.
#[derive(Clone, Debug)]
pub struct Oidc {
    /// The providers themselves.
    pub providers: Providers,
    /// Signing in.
    pub sign_in: SignIn,
    /// The forms of whoever is not signed in.
    pub browser_forms: BrowserForms,
    /// Keeping sessions fresh.
    pub freshness: Freshness,
    /// Signing out at the provider too.
    pub rp_initiated_logout: RpInitiatedLogout,
    /// Revoking the tokens of sessions that have ended.
    pub token_revocation: TokenRevocation,
    /// Logouts by the provider.
    pub back_channel: BackChannel,
    /// Logouts by the provider, through browsers.
    pub front_channel: FrontChannel,
}

impl Oidc {
    /// Everything as `config` says. Discovery of every provider begins in the background; what `previous` knew of an
    /// unchanged provider stays in use, so that a reload does no harm while the provider is down.
    ///
    /// # Errors
    /// Where a provider's configuration cannot be used.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(
        config: Config,
        keys: SharedRootKeyRing,
        sessions: Arc<Sessions>,
        clock: SharedClock,
        metrics: Metrics,
        previous: Option<&Self>,
    ) -> Result<Self, ConfigError> {
        let previous = previous.map(|previous| &previous.providers);
        let providers = Providers::start(config.providers, &clock, &metrics.providers, previous)?;
        let vouchers = Arc::new(Vouchers::new());
        let token_revocation = TokenRevocation::new(&providers, Arc::clone(&clock), metrics.logout.clone());
        Ok(Self {
            sign_in: SignIn::new(
                &providers,
                config.limits,
                Arc::clone(&keys),
                Arc::clone(&sessions),
                Arc::clone(&clock),
                metrics.clone(),
                Arc::clone(&vouchers),
            ),
            browser_forms: BrowserForms::new(Arc::clone(&keys), Arc::clone(&clock)),
            freshness: Freshness::new(&providers, &sessions, &clock, &metrics, &token_revocation, &vouchers),
            rp_initiated_logout: RpInitiatedLogout::new(providers.clone(), keys, Arc::clone(&clock)),
            token_revocation,
            back_channel: BackChannel::new(&providers, Arc::clone(&sessions), clock, metrics.logout),
            front_channel: FrontChannel::new(&providers, sessions),
            providers,
        })
    }
}
