//! What a request is, found once and handed on: the origin that it is for, the session cookie and the bearer token that it
//! brings, and whose that one is.
//!
//! Nothing here is judged. What is dear to find (a token's issuer) is found when somebody first asks.

mod bearer;
mod session_cookie;

use std::sync::{Arc, OnceLock};

pub use bearer::Bearer;
pub use session_cookie::SessionCookie;

use crate::{
    origin::{Origin, Origins},
    request::{Authorization, Kind, Provenance, Request},
};

/// A request and what was found of it. Its credentials do not print.
#[derive(Debug)]
pub struct Visit<'a> {
    request: &'a Request,
    origin: Option<&'a Arc<Origin>>,
    authorization: Authorization<'a>,
    bearer: OnceLock<Bearer>,
    session_cookie: OnceLock<SessionCookie<'a>>,
}

impl<'a> Visit<'a> {
    /// Looks at a request that came to one of `origins`, or to a host that has none.
    #[must_use]
    pub fn new(request: &'a Request, origins: &'a Origins) -> Self {
        Self {
            request,
            origin: origins.of(request.host()),
            authorization: request.authorization(),
            bearer: OnceLock::new(),
            session_cookie: OnceLock::new(),
        }
    }

    /// The request.
    #[must_use]
    pub const fn request(&self) -> &'a Request {
        self.request
    }

    /// Who asks: a browser's navigation, a script, gRPC.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.request.kind()
    }

    /// The origin that the request is for, where its host has one.
    #[must_use]
    pub const fn origin(&self) -> Option<&'a Arc<Origin>> {
        self.origin
    }

    /// What the `authorization` header holds.
    #[must_use]
    pub const fn authorization(&self) -> Authorization<'a> {
        self.authorization
    }

    /// Whether a bearer token comes along, anybody's.
    #[must_use]
    pub const fn brings_bearer(&self) -> bool {
        matches!(self.authorization, Authorization::Bearer(_) | Authorization::Ambiguous)
    }

    /// Whose the bearer token says that it is.
    pub fn bearer(&self) -> &Bearer {
        self.bearer.get_or_init(|| Bearer::of(self.authorization))
    }

    /// The session cookie of this origin, good or not.
    pub fn session_cookie(&self) -> SessionCookie<'a> {
        *self.session_cookie.get_or_init(|| SessionCookie::of(self.request, self.origin))
    }

    /// Whether the request comes from a page of this host, or of an origin that is `allowed` by the rule.
    #[must_use]
    pub fn provenance(&self, allowed: &[String]) -> Provenance {
        self.request.provenance(self.origin.map(|origin| origin.login.url.as_str()), allowed)
    }
}
