//! Ends single sessions of a person, by what lists show of them.

use super::{
    record::{Session, SessionListing},
    service::Sessions,
    store::{RecordName, StoreError},
};
use crate::{
    principal::Userid,
    secret::{Label, decode, encode},
};

impl Sessions {
    /// Ends the session that `handle` names among those of whoever services know by this name; whether there was one.
    /// Another person's handle names none.
    ///
    /// # Errors
    /// Where the store did not delete it: the session may live.
    pub async fn end_one_of_userid(&self, userid: &Userid, handle: &str) -> Result<bool, StoreError> {
        let listed = self.named_of_userid(userid).await?;
        Ok(self.end_named(listed, |listing| listing.handle.as_str() == handle).await? > 0)
    }

    /// Ends the session that `handle` names among those of the person of `session`; whether there was one. Another
    /// person's handle names none.
    ///
    /// # Errors
    /// Where the store did not delete it: the session may live.
    pub async fn end_one_of_same_person(&self, session: &Session, handle: &str) -> Result<bool, StoreError> {
        let user = session.user();
        let listed = self.named_of_subject(&user.issuer, &user.subject).await?;
        Ok(self.end_named(listed, |listing| listing.handle.as_str() == handle).await? > 0)
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

    /// Deletes those of a list that are chosen; how many were there.
    async fn end_named(
        &self,
        listed: Vec<(RecordName, SessionListing)>,
        chosen: impl Fn(&SessionListing) -> bool,
    ) -> Result<usize, StoreError> {
        let mut ended = 0;
        for (name, _) in listed.iter().filter(|(_, listing)| chosen(listing)) {
            // The store tells whoever remembers the session before this returns.
            let existed = self.store.remove(name).await.inspect_err(|error| self.note_failure(error))?;
            ended += usize::from(existed);
            self.metrics.ended.inc_by(u64::from(existed));
        }
        Ok(ended)
    }
}
