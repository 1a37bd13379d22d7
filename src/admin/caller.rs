//! Who calls the API for administrators.

use std::fmt;

use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

/// An administrator, as the listener knows them.
#[derive(Clone, Debug)]
pub struct Caller {
    identity: Identity,
    /// Cancelled once the caller's certificate is no longer one of those that may call.
    superseded: Option<CancellationToken>,
}

#[derive(Clone, Debug)]
enum Identity {
    LocalUser { uid: u32 },
    Certificate { san: String },
}

impl Caller {
    /// The user at the other end of a unix socket (`SO_PEERCRED`).
    #[must_use]
    pub const fn local_user(uid: u32) -> Self {
        Self { identity: Identity::LocalUser { uid }, superseded: None }
    }

    /// The bearer of a verified certificate with this subject alternative name, until `superseded` is cancelled.
    #[must_use]
    pub const fn certificate(san: String, superseded: CancellationToken) -> Self {
        Self { identity: Identity::Certificate { san }, superseded: Some(superseded) }
    }

    /// Who makes this call.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` where the listener named nobody, or the name no longer counts.
    pub(super) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let caller = request.extensions().get::<Self>().cloned();
        let caller = caller.ok_or_else(|| Status::unauthenticated("the listener does not know who calls"))?;
        if caller.superseded.as_ref().is_some_and(CancellationToken::is_cancelled) {
            return Err(Status::unauthenticated("the certificates changed: connect again"));
        }
        Ok(caller)
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.identity {
            Identity::LocalUser { uid } => write!(formatter, "uid:{uid}"),
            Identity::Certificate { san } => formatter.write_str(san),
        }
    }
}
