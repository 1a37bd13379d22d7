//! A public origin and our addresses on it, in both directions.

use super::login::LoginOrigin;
use crate::{
    decision::{Location, LocationError},
    request::{HostName, Path, PlainPath},
};

/// The query parameter of the login address that says where to come back to.
pub const RETURN_PARAMETER: &str = "return";
/// The same of oauth2-proxy, whose address an alias of ours may be.
pub const FORMER_RETURN_PARAMETER: &str = "rd";
/// The query parameters of the forms that end sessions: which session ends, and the token that says that the form is
/// ours.
pub const END_PARAMETER: &str = "end";
/// See [`END_PARAMETER`].
pub const TOKEN_PARAMETER: &str = "token";

/// A public origin and our addresses on it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The host.
    pub host: HostName,
    /// What a login needs to know.
    pub login: LoginOrigin,
    /// The session cookie's name, `__Host-…`.
    pub session_cookie: String,
    /// Our prefix, without a slash at its end.
    pub path_prefix: PlainPath,
    /// Where a browser goes once it is signed out: a path of this origin or an absolute URL.
    pub after_logout: Location,
    /// Further exact paths of the logout endpoint.
    pub logout_aliases: Vec<PlainPath>,
    /// Further exact paths of the callback endpoint.
    pub callback_aliases: Vec<PlainPath>,
    /// Further exact paths of the login endpoint.
    pub login_aliases: Vec<PlainPath>,
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
    /// Takes a service worker out of the way.
    ServiceWorker,
    /// Nothing: an address below our prefix that is none of these.
    Nothing,
}

impl Origin {
    /// What answers at a path, where that is ours. Only a byte-clean path is an address; one that any server could read
    /// as lying below our prefix is ours all the same, and nothing.
    #[must_use]
    pub fn endpoint(&self, path: &Path) -> Option<Endpoint> {
        if !path.is_byte_clean() {
            let readings = path.readings().unwrap_or_default();
            return readings.iter().any(|reading| self.path_prefix.covers(reading)).then_some(Endpoint::Nothing);
        }
        let raw = path.raw();
        let named = |aliases: &[PlainPath]| aliases.iter().any(|alias| alias.as_str() == raw);
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
            "/service-worker" => Some(Endpoint::ServiceWorker),
            _ => self.path_prefix.covers(raw).then_some(Endpoint::Nothing),
        }
    }

    /// Whether a path is an address of ours, so that no login ends there.
    #[must_use]
    pub fn owns(&self, path: &str) -> bool {
        let path = Path::new(path);
        path.readings().is_err() || self.endpoint(&path).is_some()
    }

    /// The address that starts a login and comes back to `target`, a path with its query.
    ///
    /// # Errors
    /// Where no header could hold the address.
    pub fn login_url(&self, target: &str) -> Result<Location, LocationError> {
        self.login_url_asking(target, &[])
    }

    /// The same, for a sign-in that asks for more: with these parameters.
    ///
    /// # Errors
    /// As for [`Origin::login_url`].
    pub fn login_url_asking(
        &self,
        target: &str,
        parameters: &[(&'static str, String)],
    ) -> Result<Location, LocationError> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair(RETURN_PARAMETER, target)
            .extend_pairs(parameters)
            .finish();
        Location::on_origin(&self.login.url, &format!("{}/login?{query}", self.path_prefix.as_str()))
    }

    /// The address that takes a service worker out of the way and comes back to `target`: with the form's token, or
    /// without one to be asked.
    ///
    /// # Errors
    /// As for [`Origin::login_url`].
    pub fn service_worker_url(&self, target: &str, token: Option<&str>) -> Result<Location, LocationError> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair(RETURN_PARAMETER, target);
        if let Some(token) = token {
            query.append_pair(TOKEN_PARAMETER, token);
        }
        Location::on_origin(
            &self.login.url,
            &format!("{}/service-worker?{}", self.path_prefix.as_str(), query.finish()),
        )
    }

    /// The address of the logout page.
    ///
    /// # Errors
    /// As for [`Origin::login_url`].
    pub fn logout_url(&self) -> Result<Location, LocationError> {
        Location::on_origin(&self.login.url, &format!("{}/logout", self.path_prefix.as_str()))
    }

    /// The address of the page of a person's own sessions.
    ///
    /// # Errors
    /// As for [`Origin::login_url`].
    pub fn sessions_url(&self) -> Result<Location, LocationError> {
        Location::on_origin(&self.login.url, &format!("{}/sessions", self.path_prefix.as_str()))
    }

    /// The address of a form that ends the session that `end` names, with the form's token.
    ///
    /// # Errors
    /// As for [`Origin::login_url`].
    pub fn end_session_url(&self, end: &str, token: &str) -> Result<Location, LocationError> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair(END_PARAMETER, end)
            .append_pair(TOKEN_PARAMETER, token)
            .finish();
        Location::on_origin(&self.login.url, &format!("{}/sessions?{query}", self.path_prefix.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::principal::ProviderName;

    fn origin() -> Origin {
        let url = "https://kf.example.com".to_owned();
        Origin {
            host: HostName::parse("kf.example.com").unwrap(),
            after_logout: Location::on_origin(&url, "/portcullis/signed-out").unwrap(),
            login: LoginOrigin {
                redirect_uri: Url::parse("https://kf.example.com/portcullis/callback").unwrap(),
                post_logout_redirect_uri: Url::parse("https://kf.example.com/portcullis/signed-out").unwrap(),
                url,
                provider: ProviderName::parse("idp").unwrap(),
                login_cookie: "__Host-portcullis-login".into(),
            },
            session_cookie: "__Host-portcullis".into(),
            path_prefix: PlainPath::parse("/portcullis").unwrap(),
            logout_aliases: vec![PlainPath::parse("/oauth2/sign_out").unwrap()],
            callback_aliases: vec![],
            login_aliases: vec![],
        }
    }

    #[test]
    fn our_addresses_are_exact_and_the_rest_below_the_prefix_is_nothing() {
        let origin = origin();
        for (path, endpoint) in [
            ("/portcullis/login", Some(Endpoint::Login)),
            ("/portcullis/callback", Some(Endpoint::Callback)),
            ("/portcullis/logout", Some(Endpoint::Logout)),
            ("/oauth2/sign_out", Some(Endpoint::Logout)),
            ("/portcullis/signed-out", Some(Endpoint::SignedOut)),
            ("/portcullis/whoami", Some(Endpoint::WhoAmI)),
            ("/portcullis/sessions", Some(Endpoint::Sessions)),
            ("/portcullis/service-worker", Some(Endpoint::ServiceWorker)),
            ("/portcullis/sessions/", Some(Endpoint::Nothing)),
            ("/portcullis", Some(Endpoint::Nothing)),
            ("/portcullis/", Some(Endpoint::Nothing)),
            ("/portcullis/callback/", Some(Endpoint::Nothing)),
            ("/portcullis/%63allback", Some(Endpoint::Nothing)),
            ("/portcullis/x/../callback", Some(Endpoint::Nothing)),
            ("//portcullis/callback", Some(Endpoint::Nothing)),
            ("/portcullis%2fcallback", Some(Endpoint::Nothing)),
            ("/portcullisx", None),
            ("/oauth2/sign_out/", None),
            ("/oauth2/sign_in", None),
            ("/", None),
        ] {
            assert_eq!(origin.endpoint(&Path::new(path)), endpoint, "{path}");
        }
    }

    #[test]
    fn a_login_link_keeps_its_target_and_our_origin() {
        let location = origin().login_url("/a?b=c&d=%20").unwrap();
        assert_eq!(location.as_str(), "https://kf.example.com/portcullis/login?return=%2Fa%3Fb%3Dc%26d%3D%2520");
    }
}
