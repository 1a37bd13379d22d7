//! An origin's addresses of ours.

use crate::{
    decision::{Location, LocationError},
    oidc::{LoginOrigin, ReturnTarget},
    request::Path,
};

/// The query parameter of the login address that says where to come back to.
pub(super) const RETURN_PARAMETER: &str = "return";

/// A public origin and our addresses on it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The host, in lower case, without port.
    pub host: String,
    /// What a login needs to know.
    pub login: LoginOrigin,
    /// The session cookie's name, `__Host-…`.
    pub session_cookie: String,
    /// Our prefix: begins with a slash, ends without one.
    pub path_prefix: String,
    /// Where a browser goes once it is signed out: a path of this origin or an absolute URL.
    pub after_logout: Location,
    /// Further exact paths of the logout endpoint.
    pub logout_aliases: Vec<String>,
    /// Further exact paths of the callback endpoint.
    pub callback_aliases: Vec<String>,
    /// Further exact paths of the login endpoint.
    pub login_aliases: Vec<String>,
}

/// What answers at an address of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Starts a login.
    Login,
    /// Where the provider sends browsers back to.
    Callback,
    /// Ends the session.
    Logout,
    /// Ends the sessions that the provider's page names.
    FrontChannelLogout,
    /// The page after a logout.
    SignedOut,
    /// Tells who is signed in.
    WhoAmI,
    /// Lists the person's own sessions, and ends them.
    Sessions,
    /// Nothing: an address below our prefix that is none of these.
    Nothing,
}

impl Origin {
    /// What answers at a path, where that is ours. Only a byte-clean path is an address; one that any server could read
    /// as lying below our prefix is ours all the same, and nothing.
    pub(super) fn endpoint(&self, path: &Path) -> Option<Endpoint> {
        if !path.is_byte_clean() {
            let readings = path.readings().unwrap_or_default();
            return readings.iter().any(|reading| self.is_below_prefix(reading)).then_some(Endpoint::Nothing);
        }
        let raw = path.raw();
        let named = |aliases: &[String]| aliases.iter().any(|alias| alias == raw);
        if named(&self.logout_aliases) {
            return Some(Endpoint::Logout);
        }
        if named(&self.callback_aliases) {
            return Some(Endpoint::Callback);
        }
        if named(&self.login_aliases) {
            return Some(Endpoint::Login);
        }
        match raw.strip_prefix(self.path_prefix.as_str())? {
            "/login" => Some(Endpoint::Login),
            "/callback" => Some(Endpoint::Callback),
            "/logout" => Some(Endpoint::Logout),
            "/frontchannel-logout" => Some(Endpoint::FrontChannelLogout),
            "/signed-out" => Some(Endpoint::SignedOut),
            "/whoami" => Some(Endpoint::WhoAmI),
            "/sessions" => Some(Endpoint::Sessions),
            _ => self.is_below_prefix(raw).then_some(Endpoint::Nothing),
        }
    }

    /// Whether a path is an address of ours, so that no login ends there.
    pub(super) fn owns(&self, path: &str) -> bool {
        let path = Path::new(path);
        path.readings().is_err() || self.endpoint(&path).is_some()
    }

    /// The address that starts a login and comes back to `target`.
    pub(super) fn login_url(&self, target: &ReturnTarget) -> Result<Location, LocationError> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair(RETURN_PARAMETER, target.as_str())
            .finish();
        Location::on_origin(&self.login.url, &format!("{}/login?{query}", self.path_prefix))
    }

    /// The address of the logout page.
    pub(super) fn logout_url(&self) -> Result<Location, LocationError> {
        Location::on_origin(&self.login.url, &format!("{}/logout", self.path_prefix))
    }

    fn is_below_prefix(&self, path: &str) -> bool {
        path.strip_prefix(self.path_prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}
