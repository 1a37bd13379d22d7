//! The ticket: the value of a session's cookie.

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    secret::{KeyId, Label, RootKeyRing, SecretString, UnsealError, decode, encode, random_bytes},
    store::RecordName,
};

const PART_BYTES: usize = 32;
const TAG_BYTES: usize = 32;
const TICKET_BYTES: usize = KeyId::BYTES + 2 * PART_BYTES + TAG_BYTES;
/// The length of a ticket as text: base64url without padding.
const TICKET_CHARS: usize = (TICKET_BYTES * 4).div_ceil(3);
/// How much of its MAC a handle shows, in bytes: enough that no two sessions share one by chance. Of a million sessions a
/// new one meets another's handle once in 10^15 times, and then does not begin: a store never replaces a record so.
const HANDLE_BYTES: usize = 9;
/// The length of a handle as text: base64url without padding.
const HANDLE_CHARS: usize = HANDLE_BYTES * 4 / 3;

/// A ticket that we made: a key's name, an id and a secret of 32 random bytes each, and a tag over all of it under the
/// server's key. Whoever made a ticket without that key costs us one MAC and no call to a store.
///
/// The id leads to the session's handle and from there to its record's name, the secret opens the record; only the browser
/// has both.
pub(super) struct Ticket {
    key: KeyId,
    id: Zeroizing<[u8; PART_BYTES]>,
    secret: Zeroizing<[u8; PART_BYTES]>,
    tag: [u8; TAG_BYTES],
    name: RecordName,
    handle: Handle,
}

/// The name of a session that people and logs see; it neither is nor reveals any part of the ticket. With the root keys it
/// leads to the record's name, so that a session is ended by its handle alone; without them it leads nowhere.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Handle(String);

impl Handle {
    /// The handle: 12 characters of base64url.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a handle as lists show it; `None` where it is spelled in any other way.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == HANDLE_CHARS && decode(text).is_some()).then(|| Self(text.to_owned()))
    }

    pub(super) fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The names that the session's record may have: one for each key of the ring, the sealing one first, since a handle
    /// does not say which key its session began under.
    pub(super) fn names(&self, ring: &RootKeyRing) -> Vec<RecordName> {
        ring.key_ids().filter_map(|key| self.name(ring, key).ok()).collect()
    }

    /// The name of the record of a session that began under this key. A MAC under the root key: who knows the handle, and
    /// even reads the store, does not learn it, and a ticket is not made from it.
    fn name(&self, ring: &RootKeyRing, key: KeyId) -> Result<RecordName, UnsealError> {
        Ok(RecordName::from_bytes(ring.mac(key, Label::RecordName, &[self.0.as_bytes()])?))
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Ticket {
    /// A new ticket under the ring's sealing key.
    #[expect(clippy::expect_used, reason = "the sealing key is in its own ring")]
    pub(super) fn issue(ring: &RootKeyRing) -> Self {
        let key = ring.sealing_key();
        let id = Zeroizing::new(random_bytes());
        let secret = Zeroizing::new(random_bytes());
        ring.mac(key, Label::TicketTag, &[key.as_bytes(), id.as_slice(), secret.as_slice()])
            .and_then(|tag| Self::assemble(ring, key, id, secret, tag))
            .expect("the sealing key is in its own ring")
    }

    /// Reads a cookie's value. `None` where we did not make it, its key left the ring, or it is spelled in any other
    /// way than we spell it. The tag is compared in constant time.
    pub(super) fn parse(ring: &RootKeyRing, text: &str) -> Option<Self> {
        if text.len() != TICKET_CHARS {
            return None;
        }
        let bytes = Zeroizing::new(decode(text)?);
        let (key, rest) = bytes.split_first_chunk::<{ KeyId::BYTES }>()?;
        let (id, rest) = rest.split_first_chunk::<PART_BYTES>()?;
        let (secret, rest) = rest.split_first_chunk::<PART_BYTES>()?;
        let tag: [u8; TAG_BYTES] = rest.try_into().ok()?;
        let key = KeyId::from_bytes(*key);
        if !ring.verify_mac(key, Label::TicketTag, &[key.as_bytes(), id, secret], &tag) {
            return None;
        }
        Self::assemble(ring, key, Zeroizing::new(*id), Zeroizing::new(*secret), tag).ok()
    }

    fn assemble(
        ring: &RootKeyRing,
        key: KeyId,
        id: Zeroizing<[u8; PART_BYTES]>,
        secret: Zeroizing<[u8; PART_BYTES]>,
        tag: [u8; TAG_BYTES],
    ) -> Result<Self, UnsealError> {
        let handle = ring.mac(key, Label::Handle, &[id.as_slice()])?;
        let handle = Handle(encode(handle.first_chunk::<HANDLE_BYTES>().ok_or(UnsealError)?));
        let name = handle.name(ring, key)?;
        Ok(Self { key, id, secret, tag, name, handle })
    }

    /// The cookie's value: `[A-Za-z0-9_-]{134}`.
    pub(super) fn to_cookie_value(&self) -> SecretString {
        let bytes = Zeroizing::new(
            [self.key.as_bytes().as_slice(), self.id.as_slice(), self.secret.as_slice(), &self.tag].concat(),
        );
        SecretString::new(encode(&bytes))
    }

    /// The root key that the ticket, and with it the record, belongs to.
    pub(super) const fn key(&self) -> KeyId {
        self.key
    }

    /// The half that opens the record.
    pub(super) fn secret(&self) -> &[u8] {
        self.secret.as_slice()
    }

    /// The name of the session's record in the store.
    pub(super) const fn name(&self) -> &RecordName {
        &self.name
    }

    /// The session's name for people.
    pub(super) const fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Ticket({}, [redacted])", self.handle)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::testing::ring;

    #[test]
    fn a_ticket_reads_back_to_the_same_record() {
        let ring = ring(&[1]);
        let ticket = Ticket::issue(&ring);
        let text = ticket.to_cookie_value();
        assert_eq!(text.expose().len(), TICKET_CHARS);
        let read = Ticket::parse(&ring, text.expose()).unwrap();
        assert_eq!(read.name(), ticket.name());
        assert_eq!(read.secret(), ticket.secret());
        assert_eq!(read.handle(), ticket.handle());
        assert_eq!(read.to_cookie_value(), text);
    }

    #[test]
    fn a_ticket_outlives_rotation_but_not_its_key() {
        let text = Ticket::issue(&ring(&[1])).to_cookie_value();
        assert!(Ticket::parse(&ring(&[2, 1]), text.expose()).is_some());
        assert!(Ticket::parse(&ring(&[2]), text.expose()).is_none());
    }

    #[test]
    fn a_handle_leads_to_its_record_under_every_key_of_the_ring_and_no_other() {
        let ticket = Ticket::issue(&ring(&[1]));
        let handle = Handle::parse(ticket.handle().as_str()).unwrap();
        assert_eq!(handle, *ticket.handle());
        assert_eq!(handle.names(&ring(&[1])), [*ticket.name()]);
        let names = handle.names(&ring(&[2, 1]));
        assert_eq!((names.len(), &names[1]), (2, ticket.name()));
        assert_ne!(names[0], names[1]);
        assert!(!handle.names(&ring(&[2, 3])).contains(ticket.name()));
        assert_ne!(Ticket::issue(&ring(&[1])).handle(), ticket.handle());
    }

    #[test]
    fn what_is_no_handle_is_not_read_as_one() {
        for text in ["", "0J3cLZ6yT1q", "0J3cLZ6yT1qkk", "0J3cLZ6yT1q=", "0J3cLZ6yT1q+", "0J3cLZ6yT1q ", "0J3cLZ6yT1é"]
        {
            assert!(Handle::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn every_changed_character_is_refused() {
        let ring = ring(&[1]);
        let text = Ticket::issue(&ring).to_cookie_value().expose().to_owned();
        for index in 0..text.len() {
            for replacement in ["A", "B", "_", "=", "+"] {
                let mut changed = text.clone();
                changed.replace_range(index..=index, replacement);
                assert_eq!(Ticket::parse(&ring, &changed).is_some(), changed == text, "{index} {replacement}");
            }
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let ring = ring(&[1]);
        let text = Ticket::issue(&ring).to_cookie_value().expose().to_owned();
        // 100 bytes leave four unused bits in the last character: only zeros are ours.
        let last = text.chars().last().unwrap();
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let position = alphabet.find(last).unwrap();
        let sibling = alphabet.chars().nth(position + 1).unwrap();
        for other in [
            format!("{}{sibling}", &text[..text.len() - 1]),
            format!("{text}=="),
            format!(" {text}"),
            format!("\"{text}\""),
            text[..text.len() - 1].to_owned(),
            String::new(),
        ] {
            assert!(Ticket::parse(&ring, &other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn nothing_of_a_ticket_prints() {
        let ticket = Ticket::issue(&ring(&[1]));
        let printed = format!("{ticket:?}");
        assert_eq!(printed, format!("Ticket({}, [redacted])", ticket.handle()));
        assert!(!ticket.to_cookie_value().expose().contains(ticket.handle().as_str()));
    }

    proptest! {
        #[test]
        fn nothing_that_we_did_not_make_is_a_ticket(text in "[A-Za-z0-9_-]{134}", any in "\\PC{0,200}") {
            let ring = ring(&[1]);
            prop_assert!(Ticket::parse(&ring, &text).is_none());
            prop_assert!(Ticket::parse(&ring, &any).is_none());
        }
    }
}
