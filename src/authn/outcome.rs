//! What comes of a credential.

use std::sync::Arc;

use crate::{
    decision::Refusal,
    principal::{Method, Principal},
    reason::Reason,
    session::{Login, Session},
    told::Told,
};

/// What an authenticator found.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// No credential of its kind.
    NotPresented,
    /// Something that counts as none: not ours to judge, ended, or brought by another site's page. The reason is told to
    /// whoever is refused for want of a credential.
    NotCounted(Reason),
    /// A good credential.
    Authenticated(Authenticated),
    /// A credential of its kind that is not good, or that nobody could judge.
    Rejected(Refusal),
}

impl Outcome {
    pub(super) const fn rejected(reason: Reason) -> Self {
        Self::Rejected(Refusal::new(reason))
    }
}

/// A good credential, and whose it is. Only an authenticator makes one.
#[derive(Clone, Debug)]
pub struct Authenticated {
    pub(super) principal: Principal,
    pub(super) method: Method,
    pub(super) reason: Reason,
    pub(super) told: Arc<Told>,
    pub(super) owns_authorization: bool,
    pub(super) holds_to_method: bool,
    /// Where somebody signed in for it, and the rule asks.
    pub(super) session: Option<Arc<Session>>,
}

impl Authenticated {
    /// Whose credential it is.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// How it was presented.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The reason of a request that passes with it.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// What services were told by it, for as long as it says the same of the principal.
    #[must_use]
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// Whether it stands in the `authorization` header.
    #[must_use]
    pub const fn owns_authorization(&self) -> bool {
        self.owns_authorization
    }

    /// How its person signed in, where somebody did and the rule asks something of that.
    #[must_use]
    pub fn login(&self) -> Option<&Login> {
        self.session.as_deref().map(Session::login)
    }

    /// Whether it counts for the method alone that the request came with: nothing may make another one of it behind us.
    #[must_use]
    pub const fn holds_to_method(&self) -> bool {
        self.holds_to_method
    }
}

/// Who is signed in with the browser that asks.
#[derive(Clone, Debug)]
#[must_use]
pub enum BrowserSession {
    /// Nobody.
    Nobody,
    /// Whose session this is.
    SignedIn(Arc<Session>),
    /// Nobody can tell.
    Unknown(Refusal),
}

impl BrowserSession {
    /// The session, where there is one for certain.
    #[must_use]
    pub const fn session(&self) -> Option<&Arc<Session>> {
        match self {
            Self::SignedIn(session) => Some(session),
            Self::Nobody | Self::Unknown(_) => None,
        }
    }

    /// The name that services know the person by.
    #[must_use]
    pub fn userid(&self) -> Option<&str> {
        self.session().map(|session| session.user().userid.as_str())
    }
}
