//! Names by which one service wants to be told what others are told by the configured headers.

use super::header::HeaderName;

/// Headers that tell a service who was authenticated, beside the usual ones: each where it has a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FurtherHeaders {
    /// The user id's.
    pub user: Option<HeaderName>,
    /// The e-mail address's.
    pub email: Option<HeaderName>,
    /// The groups'.
    pub groups: Option<HeaderName>,
}

impl FurtherHeaders {
    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        [&self.user, &self.email, &self.groups].into_iter().flatten()
    }

    /// Whether `other` has each of these names, for the same.
    #[must_use]
    pub fn are_within(&self, other: &Self) -> bool {
        let within = |own: &Option<HeaderName>, other: &Option<HeaderName>| own.is_none() || own == other;
        within(&self.user, &other.user) && within(&self.email, &other.email) && within(&self.groups, &other.groups)
    }
}
