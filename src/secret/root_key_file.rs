//! Root keys as they lie in files.

use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::redacted::SecretBytes;

/// A root key as it lies in a file: base64 in either alphabet, padded or not, with white space around it; else raw.
#[must_use]
pub fn root_key_of_file(contents: &SecretBytes) -> SecretBytes {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text = contents.expose().trim_ascii();
    [&STANDARD, &URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, LENIENT).decode(text).ok())
        .map_or_else(|| contents.clone(), SecretBytes::new)
}
