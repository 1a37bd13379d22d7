//! A logout at the provider, carried out once, and what may be told of the sessions that it ended.

use super::{record::SessionListing, service::Sessions, ticket::Handle};
use crate::{
    clock::Timestamp,
    principal::Userid,
    secret::RootKeyRing,
    store::{IndexKeys, RecordName, StoreError, index},
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

/// The sessions that a logout names, as they were a moment before it.
#[derive(Debug, Default)]
pub struct Named(Vec<(RecordName, SessionListing)>);

/// Sessions that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many.
    pub count: usize,
    /// Their handles, but of those that began at that very moment.
    pub handles: Vec<Handle>,
    /// The name that services knew their person by.
    pub userid: Option<Userid>,
}

impl Named {
    fn ended(&self, names: &[RecordName]) -> Ended {
        let ended: Vec<_> =
            self.0.iter().filter(|(name, _)| names.contains(name)).map(|(_, listing)| listing).collect();
        Ended {
            count: names.len(),
            handles: ended.iter().map(|listing| listing.handle.clone()).collect(),
            userid: ended.first().map(|listing| listing.userid.clone()),
        }
    }
}

impl Sessions {
    /// The sessions that a logout names now, for what is told of it afterwards: none where the store does not answer.
    pub async fn named_by(&self, logout: &ProviderLogout<'_>) -> Named {
        let ring = self.ring.load_full();
        Named(self.list(&ring, &logout.whose.index(&ring, logout.issuer)).await.unwrap_or_default())
    }

    /// Ends the sessions of a logout at the provider, and refuses those whose login has begun; which ended, of those that
    /// were `named` before. Nothing, where that was done before: then what began since goes on. The logout and its mark
    /// are one step, so that a logout that failed can be tried again.
    ///
    /// # Errors
    /// Where the store did not: some may live.
    pub async fn log_out_once(&self, logout: &ProviderLogout<'_>, named: &Named) -> Result<Option<Ended>, StoreError> {
        let ring = self.ring.load_full();
        let mark = index::spent(&ring, logout.mark);
        let index = logout.whose.index(&ring, logout.issuer);
        let now = self.clock.now();
        let until = now.plus(self.absolute_lifetime).max(logout.mark_until);
        let ended = self.store.end_all_once(&mark, &index, now, until).await;
        let ended = ended.inspect_err(|error| self.note_failure(error))?;
        self.metrics.ended.inc_by(ended.as_ref().map_or(0, Vec::len) as u64);
        Ok(ended.map(|names| named.ended(&names)))
    }

    /// Like [`Sessions::end_provider_session`], but writes nothing where there is no such session: for what anybody may
    /// ask. A login that has begun goes on.
    ///
    /// # Errors
    /// Where the store did not: some may live.
    pub async fn end_known_provider_session(&self, issuer: &str, session: &str) -> Result<Ended, StoreError> {
        let ring = self.ring.load_full();
        let index = index::provider_session(&ring, issuer, session);
        let known = self.list(&ring, &index).await?;
        if known.is_empty() {
            return Ok(Ended::default());
        }
        Ok(Named(known).ended(&self.end_each(&index).await?))
    }
}
