//! In what honest providers differ: what [`crate::profiles`] says of the real ones.

use serde_json::Value;

/// Changes what is said into what a provider says.
pub type Shape = fn(&mut Value);

/// How a provider answers. The default is this provider's own way.
#[derive(Debug, Clone)]
pub struct Ways {
    /// What follows the address in the issuer, such as `/realms/main`.
    pub issuer_path: &'static str,
    /// Where its endpoints are.
    pub paths: Paths,
    /// What the discovery document says beside the issuer and the endpoints.
    pub metadata: Option<Value>,
    /// The scopes that it knows.
    pub scopes: Scopes,
    /// What it tells the browser's callback beside the code and the state.
    pub callback: &'static [(&'static str, &'static str)],
    /// For whom refresh tokens are, where there are any.
    pub refresh: RefreshFor,
    /// Whether a refresh token is replaced when it is brought, and then works no more.
    pub rotates: bool,
    /// Whether an ID token that comes with a refresh has the nonce of the sign-in.
    pub nonce_at_refresh: bool,
    /// The token endpoint's answer.
    pub token_answer: Shape,
    /// The ID token's claims.
    pub id_token: Shape,
    /// What userinfo tells.
    pub userinfo: Userinfo,
    /// The end of a session, where there is such an endpoint.
    pub end_session: EndSession,
    /// The logout tokens, where it makes any.
    pub logout_token: Option<LogoutToken>,
}

impl Default for Ways {
    fn default() -> Self {
        Self {
            issuer_path: "",
            paths: Paths::default(),
            metadata: None,
            scopes: Scopes::Any,
            callback: &[],
            refresh: RefreshFor::Everybody,
            rotates: true,
            nonce_at_refresh: false,
            token_answer: unchanged,
            id_token: unchanged,
            userinfo: Userinfo::Claims(unchanged),
            end_session: EndSession::default(),
            logout_token: Some(LogoutToken::default()),
        }
    }
}

/// What is said as it is.
fn unchanged(_: &mut Value) {}

/// Where the endpoints are at the provider's address.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "each field is named after its endpoint")]
pub struct Paths {
    pub discovery: &'static str,
    pub authorization: &'static str,
    pub token: &'static str,
    pub jwks: &'static str,
    pub userinfo: Option<&'static str>,
    pub end_session: Option<&'static str>,
    pub revocation: Option<&'static str>,
    pub introspection: Option<&'static str>,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            discovery: "/.well-known/openid-configuration",
            authorization: "/authorize",
            token: "/token",
            jwks: "/jwks",
            userinfo: Some("/userinfo"),
            end_session: Some("/end-session"),
            revocation: Some("/revoke"),
            introspection: Some("/introspect"),
        }
    }
}

impl Paths {
    /// The members of the discovery document that name an endpoint.
    pub(super) fn members(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let members = [
            ("authorization_endpoint", Some(self.authorization)),
            ("token_endpoint", Some(self.token)),
            ("jwks_uri", Some(self.jwks)),
            ("userinfo_endpoint", self.userinfo),
            ("end_session_endpoint", self.end_session),
            ("revocation_endpoint", self.revocation),
            ("introspection_endpoint", self.introspection),
        ];
        members.into_iter().filter_map(|(name, path)| Some((name, path?)))
    }

    /// Where the page of the authorization endpoint posts its form to: `login`, relative to that page.
    pub(super) fn login(&self) -> String {
        let folder = self.authorization.rfind('/').map_or("", |end| &self.authorization[..end]);
        format!("{folder}/login")
    }
}

/// The scopes that a provider knows, and what becomes of others.
#[derive(Debug, Clone, Copy)]
pub enum Scopes {
    /// What it does not know is passed over.
    Any,
    /// With another one the browser is sent back, with `invalid_scope` (RFC 6749 section 4.1.2.1).
    SendsBack(&'static [&'static str]),
    /// With another one the browser sees a page of the provider's, and stays there.
    StaysThere(&'static [&'static str]),
}

impl Scopes {
    /// The first scope of a request that is not known.
    pub(super) fn unknown<'a>(&self, asked: &'a str) -> Option<&'a str> {
        match self {
            Self::Any => None,
            Self::SendsBack(known) | Self::StaysThere(known) => asked.split(' ').find(|scope| !known.contains(scope)),
        }
    }
}

/// For which sign-ins a provider issues refresh tokens.
#[derive(Debug, Clone, Copy)]
pub enum RefreshFor {
    /// For each.
    Everybody,
    /// For those with this scope.
    Scope(&'static str),
    /// For those with all of these parameters in the authorization request.
    Parameters(&'static [(&'static str, &'static str)]),
}

/// What userinfo says to whoever brings a good access token.
#[derive(Debug, Clone, Copy)]
pub enum Userinfo {
    /// The person's claims, in this shape.
    Claims(Shape),
    /// This status: the access token is for something else.
    Refuses(u16),
}

/// How a provider ends a session (OpenID Connect RP-Initiated Logout 1.0, or something like it).
#[derive(Debug, Clone, Copy)]
pub struct EndSession {
    /// What the parameter with the address to come back to is called.
    pub redirect_parameter: &'static str,
    /// The parameters without which the browser sees an error.
    pub wants: &'static [&'static str],
    /// Whether it brings the state back.
    pub brings_state: bool,
}

impl Default for EndSession {
    fn default() -> Self {
        Self { redirect_parameter: "post_logout_redirect_uri", wants: &[], brings_state: true }
    }
}

/// What a provider's logout tokens hold (OpenID Connect Back-Channel Logout 1.0 section 2.4).
#[derive(Debug, Clone, Copy)]
pub struct LogoutToken {
    /// `typ` in the header; none leaves it out.
    pub typ: Option<&'static str>,
    /// Whether `sub` names the person.
    pub sub: bool,
    /// Whether `sid` names the session.
    pub sid: bool,
    /// For how many seconds they are good; without it they have no `exp`.
    pub lifetime: Option<i64>,
}

impl Default for LogoutToken {
    fn default() -> Self {
        Self { typ: Some("logout+jwt"), sub: true, sid: true, lifetime: Some(120) }
    }
}
