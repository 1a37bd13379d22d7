//! Ends single sessions, by what lists show of them.

use super::{
    record::{Session, SessionListing},
    service::Sessions,
    ticket::Handle,
};
use crate::{
    principal::Userid,
    secret::{Label, decode, encode},
    store::{RecordName, StoreError},
};

impl Sessions {
    /// Ends the session of this handle, whoever's it is; whether there was one.
    ///
    /// # Errors
    /// Where the store did not delete it: the session may live.
    pub async fn end_one(&self, handle: &Handle) -> Result<bool, StoreError> {
        let mut ended = false;
        for name in handle.names(&self.ring.load_full()) {
            ended |= self.end_name(&name).await?;
        }
        Ok(ended)
    }

    /// Ends the session of this handle where services know its person by this name; whether there was one.
    ///
    /// # Errors
    /// Where the store did not delete it: the session may live.
    pub async fn end_one_of_userid(&self, userid: &Userid, handle: &Handle) -> Result<bool, StoreError> {
        self.end_one_where(handle, |listing| listing.userid == *userid).await
    }

    /// Ends the session of this handle where it is one of the person of `session`; whether there was one.
    ///
    /// # Errors
    /// Where the store did not delete it: the session may live.
    pub async fn end_one_of_same_person(&self, session: &Session, handle: &Handle) -> Result<bool, StoreError> {
        let user = session.user();
        let is_theirs = |listing: &SessionListing| listing.issuer == user.issuer && listing.subject == user.subject;
        self.end_one_where(handle, is_theirs).await
    }

    /// Ends every other session of the person of `session`; how many ended.
    ///
    /// # Errors
    /// Where the store did not: some may live.
    pub async fn end_others_of_same_person(&self, session: &Session) -> Result<usize, StoreError> {
        let user = session.user();
        let listed = self.named_of_subject(&user.issuer, &user.subject).await?;
        self.end_named(listed, |listing| listing.handle != *session.handle()).await
    }

    /// The token of a form that does `what` for the browser of `session`: no other browser's form has it.
    #[must_use]
    pub fn form_token(&self, session: &Session, what: &str) -> String {
        let mac = self.ring.load().mac(session.key(), Label::Forms, &[session.name().as_bytes(), what.as_bytes()]);
        // A key that left the ring while the session was opened makes a token that nothing verifies.
        mac.map(|mac| encode(&mac)).unwrap_or_default()
    }

    /// Whether `token` is the token of that form. Compared in constant time.
    #[must_use]
    pub fn is_form_token(&self, session: &Session, what: &str, token: &str) -> bool {
        let Some(tag) = decode(token).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) else { return false };
        let fields = [session.name().as_bytes().as_slice(), what.as_bytes()];
        self.ring.load().verify_mac(session.key(), Label::Forms, &fields, &tag)
    }

    /// Deletes the session of a handle where its listing is as wanted. The listing is sealed for the record's name: one that
    /// was planted or moved does not open, and is nobody's.
    async fn end_one_where(
        &self,
        handle: &Handle,
        wanted: impl Fn(&SessionListing) -> bool,
    ) -> Result<bool, StoreError> {
        let ring = self.ring.load_full();
        let mut ended = false;
        for name in handle.names(&ring) {
            let stored = self.store.get(&name).await.inspect_err(|error| self.note_failure(error))?;
            let listing = stored.and_then(|stored| SessionListing::open(&ring, &name, &stored.listing).ok());
            if listing.is_some_and(|listing| wanted(&listing)) {
                ended |= self.end_name(&name).await?;
            }
        }
        Ok(ended)
    }

    /// Deletes those of a list that are chosen; how many were there.
    async fn end_named(
        &self,
        listed: Vec<(RecordName, SessionListing)>,
        chosen: impl Fn(&SessionListing) -> bool,
    ) -> Result<usize, StoreError> {
        let mut ended = 0;
        for (name, _) in listed.iter().filter(|(_, listing)| chosen(listing)) {
            ended += usize::from(self.end_name(name).await?);
        }
        Ok(ended)
    }

    /// Deletes a session; whether it was there. The store tells whoever remembers it before this returns.
    async fn end_name(&self, name: &RecordName) -> Result<bool, StoreError> {
        let existed = self.store.remove(name).await.inspect_err(|error| self.note_failure(error))?;
        self.metrics.ended.inc_by(u64::from(existed));
        Ok(existed)
    }
}
