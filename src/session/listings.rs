//! Whose sessions there are, for those whose they are and for administrators.

use super::{record::SessionListing, service::Sessions};
use crate::{
    principal::Userid,
    secret::RootKeyRing,
    store::{IndexKeys, RecordName, StoreError, StoredListing, index},
};

impl Sessions {
    /// The sessions of a person, the oldest first. What was planted in the store is left out.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn list_subject(&self, issuer: &str, subject: &str) -> Result<Vec<SessionListing>, StoreError> {
        Ok(self.named_of_subject(issuer, subject).await?.into_iter().map(|(_, listing)| listing).collect())
    }

    /// As [`Sessions::list_subject`], with the names of the records.
    pub(super) async fn named_of_subject(
        &self,
        issuer: &str,
        subject: &str,
    ) -> Result<Vec<(RecordName, SessionListing)>, StoreError> {
        let ring = self.ring.load_full();
        let mut listings = self.list(&ring, &index::subject(&ring, issuer, subject)).await?;
        listings.retain(|(_, listing)| listing.issuer == issuer && listing.subject == subject);
        Ok(listings)
    }

    /// The sessions of whoever services know by this name, of whatever provider, the oldest first. What was planted in
    /// the store is left out.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn list_userid(&self, userid: &Userid) -> Result<Vec<SessionListing>, StoreError> {
        let ring = self.ring.load_full();
        let listings = self.list(&ring, &index::userid(&ring, userid.as_str())).await?;
        Ok(listings.into_iter().map(|(_, listing)| listing).filter(|listing| listing.userid == *userid).collect())
    }

    pub(super) async fn list(
        &self,
        ring: &RootKeyRing,
        index: &IndexKeys,
    ) -> Result<Vec<(RecordName, SessionListing)>, StoreError> {
        let stored = self.store.list(index).await.inspect_err(|error| self.note_failure(error))?;
        let open = |stored: &StoredListing| {
            Some((stored.name, SessionListing::open(ring, &stored.name, &stored.listing).ok()?))
        };
        Ok(stored.iter().filter_map(open).collect())
    }
}
