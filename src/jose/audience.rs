//! Whom a token of ours is meant for.

use thiserror::Error;

/// The longest audience, in bytes.
const MAX_BYTES: usize = 256;

/// Why a text is no [`Audience`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an audience is 1 to 256 visible ASCII characters without spaces, such as `kubeflow`")]
pub struct AudienceError;

/// The audience (`aud`) of our assertions (RFC 7519 section 4.1.3): visible ASCII, at most 256 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Audience(String);

impl Audience {
    /// Reads an audience.
    ///
    /// # Errors
    /// Where it is empty, too long, or holds something else than visible ASCII.
    pub fn parse(text: &str) -> Result<Self, AudienceError> {
        let plain = (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if plain { Ok(Self(text.to_owned())) } else { Err(AudienceError) }
    }

    /// The audience.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
