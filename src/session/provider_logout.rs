//! A logout at the provider, carried out once.

use super::service::Sessions;
use crate::{
    store::{IndexKeys, StoreError, index},
    {clock::Timestamp, secret::RootKeyRing},
};

/// A logout that the provider tells of.
#[derive(Clone, Copy, Debug)]
pub struct ProviderLogout<'a> {
    /// The provider.
    pub issuer: &'a str,
    /// Whose sessions end.
    pub whose: LogoutOf<'a>,
    /// The name of what tells of it: that ends sessions once.
    pub mark: &'a [u8],
    /// Until when what tells of it may come again.
    pub mark_until: Timestamp,
}

/// Whose sessions a logout at the provider ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutOf<'a> {
    /// Those that came of one session at the provider. With a subject also those of this person of which the provider
    /// named no session: they may have come of the same one.
    ProviderSession {
        /// `sid`.
        session: &'a str,
        /// `sub`.
        subject: Option<&'a str>,
    },
    /// All of a person: `sub`.
    Subject(&'a str),
}

impl LogoutOf<'_> {
    fn index(self, ring: &RootKeyRing, issuer: &str) -> IndexKeys {
        match self {
            Self::ProviderSession { session, subject } => {
                let index = index::provider_session(ring, issuer, session);
                match subject {
                    Some(subject) => index.and(index::no_provider_session(ring, issuer, subject)),
                    None => index,
                }
            }
            Self::Subject(subject) => index::subject(ring, issuer, subject),
        }
    }
}

impl Sessions {
    /// Ends the sessions of a logout at the provider, and refuses those whose login has begun; how many ended. Nothing,
    /// where that was done before: then what began since goes on. The logout and its mark are one step, so that a
    /// logout that failed can be tried again.
    ///
    /// # Errors
    /// Where the store did not: some may live.
    pub async fn log_out_once(&self, logout: &ProviderLogout<'_>) -> Result<Option<usize>, StoreError> {
        let ring = self.ring.load_full();
        let mark = index::spent(&ring, logout.mark);
        let index = logout.whose.index(&ring, logout.issuer);
        let now = self.clock.now();
        let until = now.plus(self.absolute_lifetime).max(logout.mark_until);
        let ended = self.store.end_all_once(&mark, &index, now, until).await;
        let ended = ended.inspect_err(|error| self.note_failure(error))?;
        let count = ended.map(|names| names.len());
        self.metrics.ended.inc_by(count.unwrap_or(0) as u64);
        Ok(count)
    }
}
