//! Random ids, the root key ring, and secrets that do not print.

mod key_ring;
mod redacted;
mod root_key_file;

pub use key_ring::{KeyId, KeyRingError, Label, RootKeyRing, SharedRootKeyRing, UnsealError};
pub use redacted::{SecretBytes, SecretString};
pub use root_key_file::root_key_of_file;

/// `N` bytes of the operating system's randomness.
///
/// # Panics
/// Where the operating system has none: nothing that this product does is safe then.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that asks for randomness")]
#[expect(clippy::expect_used, reason = "without randomness nothing is safe; nobody outside causes it")]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system's random number generator works");
    bytes
}

/// A new random id of 128 bits, as 22 characters of base64url: for a `jti`, a nonce, a request id.
#[must_use]
pub fn random_id() -> String {
    encode(&random_bytes::<16>())
}

/// Base64url without padding (RFC 4648 section 5).
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url without padding; refuses every other spelling, so that a value has exactly one.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()
}

/// Whether two byte strings are equal, in time that depends on their lengths alone.
#[must_use]
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    use subtle::ConstantTimeEq as _;
    left.ct_eq(right).into()
}

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut output = [0; 32];
    output.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    output
}
