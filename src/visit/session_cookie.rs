//! The session cookie of a request.

use std::{fmt, sync::Arc};

use crate::{origin::Origin, request::Request};

/// What a request brings under the name of its origin's session cookie. It does not print.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SessionCookie<'a> {
    /// Nothing, or the host has no origin.
    Absent,
    /// One ticket, of ours or not.
    One(&'a str),
    /// Several: a sibling or a script may have planted one, and nobody can say which counts.
    Several,
}

impl fmt::Debug for SessionCookie<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Absent => "Absent",
            Self::One(_) => "One [redacted]",
            Self::Several => "Several",
        })
    }
}

impl<'a> SessionCookie<'a> {
    pub(super) fn of(request: &'a Request, origin: Option<&'a Arc<Origin>>) -> Self {
        let Some(origin) = origin else { return Self::Absent };
        let cookies = request.cookies();
        let mut tickets = cookies.values(&origin.session_cookie);
        match (tickets.next(), tickets.next()) {
            (None, _) => Self::Absent,
            (Some(ticket), None) => Self::One(ticket),
            (Some(_), Some(_)) => Self::Several,
        }
    }

    /// The ticket, where there is one alone.
    #[must_use]
    pub const fn ticket(self) -> Option<&'a str> {
        match self {
            Self::One(ticket) => Some(ticket),
            Self::Absent | Self::Several => None,
        }
    }
}
