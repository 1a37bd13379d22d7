//! The root key ring: the first key seals, all open, and each use has a key of its own by HKDF (RFC 5869).

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use aws_lc_rs::{hkdf, hmac};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use thiserror::Error;

use super::{SecretBytes, constant_time_eq, random_bytes, sha256};

/// The shortest root key that is accepted, in bytes.
const MIN_KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// A key ring that a reload may replace while it is in use.
pub type SharedRootKeyRing = Arc<ArcSwap<RootKeyRing>>;

macro_rules! labels {
    ($($(#[doc = $doc:literal])+ $variant:ident => $text:literal,)+) => {
        /// What a key derived from the root is used for. One use, one key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Label { $($(#[doc = $doc])+ $variant,)+ }

        impl Label {
            const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The HKDF `info` of this use.
            const fn info(self) -> &'static str {
                match self { $(Self::$variant => concat!("portcullis/v1/", $text),)+ }
            }
        }
    };
}

labels! {
    /// The sealed `state` of a login.
    LoginState => "login-state",
    /// The cookie that binds a login to a browser.
    LoginCookie => "login-cookie",
    /// The tag by which we know a ticket as ours.
    TicketTag => "ticket-tag",
    /// The name under which a session's record is stored.
    RecordName => "record-name",
    /// A session's record, together with the ticket's secret.
    Record => "record",
    /// The part of a session that lists need.
    Listing => "listing",
    /// The index by provider session and by subject.
    Index => "index",
    /// The handle of a session that people and logs see.
    Handle => "handle",
    /// The names of cached tokens.
    TokenCache => "token-cache",
    /// The tokens of our forms.
    Forms => "forms",
    /// The tokens of forms for a browser without a session.
    BrowserForms => "browser-forms",
    /// The mark that says that a login's state was spent.
    SpentState => "spent-state",
    /// What travels with a browser through the provider's logout.
    LogoutState => "logout-state",
    /// The names of leases.
    Lease => "lease",
    /// The names of revocations.
    RevocationName => "revocation-name",
    /// A revocation, and what lifts it.
    Revocation => "revocation",
    /// What vouches for the list of revocations as a whole.
    RevocationDigest => "revocation-digest",
}

/// The name of a root key: the first bytes of a hash of it, so that what is sealed can say which key opens it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; KeyId::BYTES]);

impl KeyId {
    /// The length of a key's name, in bytes.
    pub const BYTES: usize = 4;

    /// Reads a name as it stands in front of what was sealed.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The name's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// Why a key ring was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyRingError {
    /// There is no key.
    #[error("the key ring is empty; it needs one root key at least")]
    Empty,
    /// A key is too short.
    #[error("root key {position} has {length} bytes; it needs 32 random bytes or more (`openssl rand 32`)")]
    TooShort {
        /// Its place in the ring, counted from 1.
        position: usize,
        /// Its length in bytes.
        length: usize,
    },
    /// A key is not random.
    #[error("root key {position} is not random: it repeats few bytes; make one with `openssl rand 32`")]
    NotRandom {
        /// Its place in the ring, counted from 1.
        position: usize,
    },
    /// Two keys are the same.
    #[error("root key {position} occurs twice in the ring")]
    Repeated {
        /// Its place in the ring, counted from 1.
        position: usize,
    },
}

/// What was sealed does not open: damaged, for another use, or by a key that left the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the sealed value does not open")]
pub struct UnsealError;

struct RootKey {
    id: KeyId,
    /// One for each label, in their order.
    derived: Vec<DerivedKey>,
}

/// The key of one use.
struct DerivedKey {
    bytes: SecretBytes,
    /// The same, ready for a MAC: setting it up costs as much as the MAC of a short text.
    mac: hmac::Key,
}

/// The root keys. The first seals; all of them open.
pub struct RootKeyRing {
    keys: Vec<RootKey>,
}

impl fmt::Debug for RootKeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.keys.iter().map(|key| key.id)).finish()
    }
}

impl RootKeyRing {
    /// A ring of these keys, the first of which seals.
    ///
    /// # Errors
    /// Where there is no key, or one is short, not random or repeated.
    pub fn new(keys: &[SecretBytes]) -> Result<Self, KeyRingError> {
        let mut ring: Vec<RootKey> = Vec::with_capacity(keys.len());
        for (index, key) in keys.iter().enumerate() {
            let position = index + 1;
            refuse_weak(key.expose(), position)?;
            let key = RootKey::new(key.expose());
            if ring.iter().any(|other| other.id == key.id) {
                return Err(KeyRingError::Repeated { position });
            }
            ring.push(key);
        }
        if ring.is_empty() { Err(KeyRingError::Empty) } else { Ok(Self { keys: ring }) }
    }

    /// This ring as a value that a reload can replace.
    #[must_use]
    pub fn shared(self) -> SharedRootKeyRing {
        Arc::new(ArcSwap::from_pointee(self))
    }

    /// The key that seals.
    #[must_use]
    pub fn sealing_key(&self) -> KeyId {
        self.first().id
    }

    /// Every key of the ring, the sealing one first.
    pub fn key_ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().map(|key| key.id)
    }

    /// Seals `plaintext` for one use, bound to `associated` data, under the first key. The result names the key:
    /// id, random nonce (XChaCha20-Poly1305: 192 bits, which no number of strangers' requests exhausts), ciphertext.
    #[must_use]
    pub fn seal(&self, label: Label, associated: &[&[u8]], plaintext: &[u8]) -> Vec<u8> {
        let key = self.first();
        seal_with(key.id, &key.derived(label).bytes, associated, plaintext)
    }

    /// Opens what [`RootKeyRing::seal`] made for the same use and the same associated data.
    ///
    /// # Errors
    /// Where it is damaged, was sealed for another use or data, or its key is not in the ring.
    pub fn open(&self, label: Label, associated: &[&[u8]], sealed: &[u8]) -> Result<SecretBytes, UnsealError> {
        let (id, _) = split_key_id(sealed)?;
        let key = self.key(id)?;
        open_with(&key.derived(label).bytes, associated, sealed)
    }

    /// Seals under a key that is made of the named root key **and** a `secret` that is not ours (a ticket's): neither
    /// alone opens it.
    ///
    /// # Errors
    /// Where the named key is not in the ring.
    pub fn seal_with_secret(
        &self,
        id: KeyId,
        label: Label,
        secret: &[u8],
        associated: &[&[u8]],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, UnsealError> {
        let key = self.key(id)?;
        Ok(seal_with(id, &derive(key.derived(label).bytes.expose(), secret, "with-secret"), associated, plaintext))
    }

    /// Opens what [`RootKeyRing::seal_with_secret`] made.
    ///
    /// # Errors
    /// As for [`RootKeyRing::open`], or where the secret is another.
    pub fn open_with_secret(
        &self,
        label: Label,
        secret: &[u8],
        associated: &[&[u8]],
        sealed: &[u8],
    ) -> Result<SecretBytes, UnsealError> {
        let (id, _) = split_key_id(sealed)?;
        let key = self.key(id)?;
        open_with(&derive(key.derived(label).bytes.expose(), secret, "with-secret"), associated, sealed)
    }

    /// HMAC-SHA-256 over `fields`, each with its length before it, under the named key's key for `label`.
    ///
    /// # Errors
    /// Where the named key is not in the ring.
    pub fn mac(&self, id: KeyId, label: Label, fields: &[&[u8]]) -> Result<[u8; 32], UnsealError> {
        let key = self.key(id)?;
        Ok(mac_with(&key.derived(label).mac, fields))
    }

    /// Whether `tag` is [`RootKeyRing::mac`] of the same, compared in constant time.
    #[must_use]
    pub fn verify_mac(&self, id: KeyId, label: Label, fields: &[&[u8]], tag: &[u8]) -> bool {
        self.mac(id, label, fields).is_ok_and(|expected| constant_time_eq(&expected, tag))
    }

    #[expect(clippy::expect_used, reason = "no ring is made without a key")]
    fn first(&self) -> &RootKey {
        self.keys.first().expect("a ring has a key")
    }

    fn key(&self, id: KeyId) -> Result<&RootKey, UnsealError> {
        self.keys.iter().find(|key| key.id == id).ok_or(UnsealError)
    }
}

impl RootKey {
    fn new(key: &[u8]) -> Self {
        let hash = sha256(&[b"portcullis/v1/key-id".as_slice(), key].concat());
        let mut id = [0; KeyId::BYTES];
        id.iter_mut().zip(hash).for_each(|(id, byte)| *id = byte);
        let derived = |label: &Label| {
            let bytes = derive(key, b"portcullis", label.info());
            DerivedKey { mac: hmac::Key::new(hmac::HMAC_SHA256, bytes.expose()), bytes }
        };
        let derived = Label::ALL.iter().map(derived).collect();
        Self { id: KeyId(id), derived }
    }

    #[expect(clippy::expect_used, reason = "a key is derived for every label when the root key is read")]
    fn derived(&self, label: Label) -> &DerivedKey {
        self.derived.get(label as usize).expect("there is one for each label")
    }
}

fn refuse_weak(key: &[u8], position: usize) -> Result<(), KeyRingError> {
    if key.len() < MIN_KEY_BYTES {
        return Err(KeyRingError::TooShort { position, length: key.len() });
    }
    // 32 random bytes hold fewer than 10 different ones about once in 10^30.
    let distinct = key.iter().collect::<std::collections::BTreeSet<_>>().len();
    if distinct < 10 { Err(KeyRingError::NotRandom { position }) } else { Ok(()) }
}

#[expect(clippy::expect_used, reason = "HKDF-SHA-256 gives up to 8160 bytes")]
fn derive(key: &[u8], salt: &[u8], info: &str) -> SecretBytes {
    let info = [info.as_bytes()];
    let mut output = vec![0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(key)
        .expand(&info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut output))
        .expect("HKDF-SHA-256 gives 32 bytes");
    SecretBytes::new(output)
}

fn mac_with(key: &hmac::Key, fields: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for field in fields {
        context.update(&(field.len() as u64).to_be_bytes());
        context.update(field);
    }
    let mut output = [0; 32];
    output.copy_from_slice(context.sign().as_ref());
    output
}

#[expect(clippy::expect_used, reason = "the cipher refuses only what no memory holds")]
fn seal_with(id: KeyId, key: &SecretBytes, associated: &[&[u8]], plaintext: &[u8]) -> Vec<u8> {
    let nonce = random_bytes::<NONCE_BYTES>();
    let associated = join(associated);
    let ciphertext = cipher(key)
        .encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad: &associated })
        .expect("XChaCha20-Poly1305 seals every message that memory holds");
    [id.0.as_slice(), &nonce, &ciphertext].concat()
}

fn open_with(key: &SecretBytes, associated: &[&[u8]], sealed: &[u8]) -> Result<SecretBytes, UnsealError> {
    let (_, rest) = split_key_id(sealed)?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(UnsealError)?;
    let associated = join(associated);
    cipher(key)
        .decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: &associated })
        .map(SecretBytes::new)
        .map_err(|_| UnsealError)
}

#[expect(clippy::expect_used, reason = "`derive` makes keys of 32 bytes, and nothing else does")]
fn cipher(key: &SecretBytes) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new_from_slice(key.expose()).expect("derived keys have 32 bytes")
}

fn split_key_id(sealed: &[u8]) -> Result<(KeyId, &[u8]), UnsealError> {
    let (id, rest) = sealed.split_first_chunk::<{ KeyId::BYTES }>().ok_or(UnsealError)?;
    Ok((KeyId(*id), rest))
}

fn join(fields: &[&[u8]]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|field| (field.len() as u64).to_be_bytes().into_iter().chain(field.iter().copied()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(keys: &[u8]) -> RootKeyRing {
        let keys: Vec<_> =
            keys.iter().map(|seed| SecretBytes::new((0..32).map(|byte| byte ^ seed).collect())).collect();
        RootKeyRing::new(&keys).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_for_the_same_use_and_data_only() {
        let ring = ring(&[1]);
        let sealed = ring.seal(Label::LoginState, &[b"a", b"b"], b"secret");
        assert_eq!(ring.open(Label::LoginState, &[b"a", b"b"], &sealed).unwrap().expose(), b"secret");
        let again = ring.seal(Label::LoginState, &[b"a", b"b"], b"secret");
        assert_ne!(sealed[KeyId::BYTES..][..NONCE_BYTES], again[KeyId::BYTES..][..NONCE_BYTES], "a nonce is used once");
        assert_eq!(ring.open(Label::Listing, &[b"a", b"b"], &sealed), Err(UnsealError));
        assert_eq!(ring.open(Label::LoginState, &[b"ab", b""], &sealed), Err(UnsealError));
        for index in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[index] ^= 1;
            assert_eq!(ring.open(Label::LoginState, &[b"a", b"b"], &damaged), Err(UnsealError), "byte {index}");
        }
        for length in 0..sealed.len() {
            assert!(ring.open(Label::LoginState, &[b"a", b"b"], &sealed[..length]).is_err());
        }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let old = ring(&[1]).seal(Label::Record, &[], b"x");
        let rotated = ring(&[2, 1]);
        assert!(rotated.open(Label::Record, &[], &old).is_ok());
        let new = rotated.seal(Label::Record, &[], b"x");
        assert!(ring(&[1]).open(Label::Record, &[], &new).is_err());
        assert!(ring(&[2]).open(Label::Record, &[], &new).is_ok());
    }

    #[test]
    fn a_record_needs_both_the_root_key_and_the_secret() {
        let ring = ring(&[1]);
        let sealed = ring.seal_with_secret(ring.sealing_key(), Label::Record, b"ticket", &[b"n"], b"x").unwrap();
        assert!(ring.open_with_secret(Label::Record, b"ticket", &[b"n"], &sealed).is_ok());
        assert!(ring.open_with_secret(Label::Record, b"other", &[b"n"], &sealed).is_err());
        assert!(ring.open(Label::Record, &[b"n"], &sealed).is_err());
    }

    #[test]
    fn macs_do_not_confuse_fields_or_uses() {
        let ring = ring(&[1]);
        let id = ring.sealing_key();
        let tag = ring.mac(id, Label::Index, &[b"ab", b"c"]).unwrap();
        assert!(ring.verify_mac(id, Label::Index, &[b"ab", b"c"], &tag));
        assert!(!ring.verify_mac(id, Label::Index, &[b"a", b"bc"], &tag));
        assert!(!ring.verify_mac(id, Label::Handle, &[b"ab", b"c"], &tag));
        assert!(!ring.verify_mac(KeyId([9; 4]), Label::Index, &[b"ab", b"c"], &tag));
    }

    #[test]
    fn weak_rings_are_refused() {
        assert_eq!(RootKeyRing::new(&[]).unwrap_err(), KeyRingError::Empty);
        let short = SecretBytes::new((0..31).collect());
        assert_eq!(RootKeyRing::new(&[short]).unwrap_err(), KeyRingError::TooShort { position: 1, length: 31 });
        let flat = SecretBytes::new(vec![b'0'; 64]);
        assert_eq!(RootKeyRing::new(&[flat]).unwrap_err(), KeyRingError::NotRandom { position: 1 });
        let good = SecretBytes::new((0..32).collect());
        assert_eq!(RootKeyRing::new(&[good.clone(), good]).unwrap_err(), KeyRingError::Repeated { position: 2 });
    }
}
