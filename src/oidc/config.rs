//! What sign-in needs to know, as resolved plain values.

use std::time::Duration;

use openidconnect::RedirectUrl;
use url::Url;

use crate::{principal::ProviderName, providers::ProviderConfig};

/// The configuration of sign-in.
#[derive(Clone, Debug)]
pub struct Config {
    /// The identity providers.
    pub providers: Vec<ProviderConfig>,
    /// What strangers can cause, and how much of it.
    pub limits: Limits,
}

/// One public origin, as far as sign-in goes.
#[derive(Clone, Debug)]
pub struct LoginOrigin {
    /// Scheme, host and port, as configured, without a trailing slash.
    pub url: String,
    /// The provider that people of this origin sign in at.
    pub provider: ProviderName,
    /// The name of the login cookie, `__Host-…-login`.
    pub login_cookie: String,
    /// Where the provider sends browsers back to: the absolute URL of the callback, from the configuration alone.
    pub redirect_uri: Url,
    /// Where the provider sends browsers back to once they are signed out there.
    pub post_logout_redirect_uri: Url,
}

impl LoginOrigin {
    pub(super) fn redirect_url(&self) -> RedirectUrl {
        RedirectUrl::from_url(self.redirect_uri.clone())
    }
}

/// Bounds on what anybody can cause without being signed in.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Code exchanges that run at once with one provider.
    pub concurrent_exchanges: usize,
    /// Spent marks written a second, in the long run.
    pub marks_per_second: u32,
    /// Spent marks written at once.
    pub marks_burst: u32,
    /// How long a callback may take altogether: shorter than the gateway waits, so that our own 503 comes first.
    pub callback_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent_exchanges: 64,
            marks_per_second: 50,
            marks_burst: 200,
            callback_deadline: Duration::from_secs(8),
        }
    }
}
