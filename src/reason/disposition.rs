//! The kinds of answers that are given instead of the service's. What speaks a protocol alone knows how it spells them.

/// The kind of an answer of our own. `ext_authz` alone knows each one's HTTP and gRPC status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// A page or document of ours.
    Ok,
    /// Something was done; its result is the body (a logout by script).
    Created,
    /// Go there, to sign in.
    Found,
    /// Done; go there with GET.
    SeeOther,
    /// The request cannot be understood in one way.
    BadRequest,
    /// Nobody is authenticated.
    Unauthorized,
    /// Nobody is authenticated: the bearer token that came is not good (RFC 6750 section 3.1, `invalid_token`).
    InvalidToken,
    /// Somebody is authenticated, but not as recently or not in the way that is asked for (RFC 9470 section 3,
    /// `insufficient_user_authentication`).
    InsufficientAuthentication,
    /// Whoever is authenticated may not.
    Forbidden,
    /// There is nothing here.
    NotFound,
    /// Not by this method.
    MethodNotAllowed,
    /// This host is not served here.
    Misdirected,
    /// Too much at once.
    TooManyRequests,
    /// Something that is needed does not answer.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl Disposition {
    /// Every kind there is.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 15] = [
        Self::Ok,
        Self::Created,
        Self::Found,
        Self::SeeOther,
        Self::BadRequest,
        Self::Unauthorized,
        Self::InvalidToken,
        Self::InsufficientAuthentication,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Misdirected,
        Self::TooManyRequests,
        Self::Unavailable,
        Self::Internal,
    ];
}
