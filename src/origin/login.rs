//! What sign-in needs to know of an origin.

use url::Url;

use crate::principal::ProviderName;

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
