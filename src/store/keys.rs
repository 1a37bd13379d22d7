//! The names of what is stored: keyed hashes, which reveal neither people nor sessions.

use std::fmt;

use crate::secret::{encode, random_bytes};

macro_rules! keyed_hashes {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $name::BYTES]);

        impl $name {
            /// The length in bytes.
            pub const BYTES: usize = 32;

            /// Takes bytes that are such a hash, computed or read back from a store.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
                Self(bytes)
            }

            /// The hash's bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($name), "({}…)"), encode(self.0.first_chunk::<6>().unwrap_or(&[0; 6])))
            }
        }
    )+};
}

keyed_hashes! {
    /// The name of a session's record: a keyed hash of its ticket's id.
    RecordName,
    /// A key of an index: a keyed hash of an issuer and a subject, of an issuer and a `sid`, or of a user id.
    IndexKey,
    /// The name of a spent mark: a keyed hash of what was spent.
    MarkKey,
    /// The name of a lease: a keyed hash of what is leased.
    LeaseKey,
    /// The name of a revocation: a keyed hash of what is revoked.
    RevocationId,
}

macro_rules! keys_of_a_ring {
    ($($(#[doc = $doc:literal])+ $name:ident of $key:ident,)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(Vec<$key>);

        impl $name {
            pub(super) fn new(hashes: Vec<[u8; $key::BYTES]>) -> Self {
                Self(hashes.into_iter().map($key::from_bytes).collect())
            }

            /// The keys under every key of the ring: what is looked for.
            #[must_use]
            pub fn searched(&self) -> &[$key] {
                &self.0
            }
        }
    )+};
}

keys_of_a_ring! {
    /// One entry of an index, under every key of the root ring.
    IndexKeys of IndexKey,
    /// One spent mark, under every key of the root ring.
    MarkKeys of MarkKey,
}

impl IndexKeys {
    /// The entries of this index and of another one: for what is done to both in one step.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The key under the sealing key: what a new session is stored under.
    ///
    /// # Panics
    /// Never: a ring has a key.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a ring has a key")]
    pub fn stored(&self) -> &IndexKey {
        self.0.first().expect("a key ring has one key at least")
    }
}

/// Who holds leases: random, so that nobody takes himself for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseHolder([u8; LeaseHolder::BYTES]);

impl LeaseHolder {
    /// The length in bytes.
    pub const BYTES: usize = 16;

    /// Somebody new.
    #[must_use]
    pub fn random() -> Self {
        Self(random_bytes())
    }

    /// Somebody whom a test knows again.
    #[cfg(test)]
    pub(super) const fn numbered(number: u8) -> Self {
        Self([number; Self::BYTES])
    }

    /// The holder's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}
