//! Protocol buffers as they stand on the wire ("Encoding", protobuf.dev), read in place: a field is a slice of the message.

use prost::encoding::{WireType, check_wire_type, decode_key, decode_varint};

/// How deep messages and groups may lie in each other, as in `prost`.
const MOST_NESTED: u32 = 100;

/// The bytes are not the message that they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its bytes are no CheckRequest")]
pub(crate) struct Malformed;

impl From<prost::DecodeError> for Malformed {
    fn from(_: prost::DecodeError) -> Self {
        Self
    }
}

/// The key of a field.
#[derive(Clone, Copy)]
pub(super) struct Key {
    /// Its number.
    pub(super) number: u32,
    kind: WireType,
}

/// The fields of a message that are still to be read.
///
/// Whoever takes a key takes its value next: as what it should be, or skips it.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    /// How many messages or groups may lie in this one.
    nested: u32,
}

impl<'a> Fields<'a> {
    /// Those of a whole message.
    pub(super) const fn of(message: &'a [u8]) -> Self {
        Self { rest: message, nested: MOST_NESTED }
    }

    /// The key of the next field; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Key>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (number, kind) = decode_key(&mut self.rest)?;
        Ok(Some(Key { number, kind }))
    }

    /// A message within this one.
    pub(super) fn message(&mut self, key: Key) -> Result<Self, Malformed> {
        Ok(Self { rest: self.bytes(key)?, nested: self.nested.saturating_sub(1) })
    }

    /// A field of the type `bytes`.
    pub(super) fn bytes(&mut self, key: Key) -> Result<&'a [u8], Malformed> {
        check_wire_type(WireType::LengthDelimited, key.kind)?;
        self.delimited()
    }

    /// A field of the type `string`.
    pub(super) fn text(&mut self, key: Key) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes(key)?).map_err(|_| Malformed)
    }

    /// A field of the type `uint32`, whose value nobody reads.
    pub(super) fn number(&mut self, key: Key) -> Result<(), Malformed> {
        check_wire_type(WireType::Varint, key.kind)?;
        decode_varint(&mut self.rest)?;
        Ok(())
    }

    /// A field that nobody reads.
    pub(super) fn skip(&mut self, key: Key) -> Result<(), Malformed> {
        self.skip_within(key, self.nested)
    }

    /// All that is left, which nobody reads.
    pub(super) fn skip_all(&mut self) -> Result<(), Malformed> {
        while let Some(key) = self.next()? {
            self.skip(key)?;
        }
        Ok(())
    }

    fn skip_within(&mut self, key: Key, nested: u32) -> Result<(), Malformed> {
        if nested == 0 {
            return Err(Malformed);
        }
        match key.kind {
            WireType::Varint => {
                decode_varint(&mut self.rest)?;
            }
            WireType::ThirtyTwoBit => {
                self.take(4)?;
            }
            WireType::SixtyFourBit => {
                self.take(8)?;
            }
            WireType::LengthDelimited => {
                self.delimited()?;
            }
            WireType::StartGroup => loop {
                let inner = self.next()?.ok_or(Malformed)?;
                if inner.kind == WireType::EndGroup {
                    return if inner.number == key.number { Ok(()) } else { Err(Malformed) };
                }
                self.skip_within(inner, nested - 1)?;
            },
            WireType::EndGroup => return Err(Malformed),
        }
        Ok(())
    }

    fn delimited(&mut self) -> Result<&'a [u8], Malformed> {
        let length = decode_varint(&mut self.rest)?;
        self.take(usize::try_from(length).map_err(|_| Malformed)?)
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}
