//! The spellings in which a secret could stand somewhere.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::kinds::{Kind, Secret, Value};

/// So many bytes of a spelling are looked for: enough that nothing else is the same, and what was cut is still found.
const LENGTH: usize = 24;
/// What is shorter, or holds fewer different bytes than the half, is nothing that can be told from other text.
const SHORTEST: usize = 16;

/// A spelling to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// Its name for messages.
    pub(super) name: &'static str,
    /// Its beginning.
    pub(super) needle: Vec<u8>,
}

impl Form {
    fn new(name: &'static str, spelled: &[u8]) -> Option<Self> {
        let needle = spelled[..spelled.len().min(LENGTH)].to_vec();
        let mut different = needle.clone();
        different.sort_unstable();
        different.dedup();
        (needle.len() >= SHORTEST && different.len() >= SHORTEST / 2).then_some(Self { name, needle })
    }
}

/// The spellings of a secret; none where it is too short or too plain to be looked for.
pub(super) fn forms(secret: &Secret) -> Vec<Form> {
    let mut forms = match &secret.value {
        Value::Text(text) => of_text(secret.kind, text),
        Value::Bytes(bytes) => of_bytes(bytes),
    };
    forms.sort_by(|left, right| left.needle.cmp(&right.needle));
    forms.dedup_by(|left, right| left.needle == right.needle);
    forms
}

fn of_text(kind: Kind, text: &str) -> Vec<Form> {
    // Header and claims of a token are no credential, and tell the same for many tokens.
    let text = signature(text).unwrap_or(text);
    let Some(plain) = Form::new("as it is", text.as_bytes()) else { return Vec::new() };
    let escaped: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let mut forms = vec![plain];
    forms.extend(Form::new("percent-encoded", escaped.as_bytes()));
    if kind == Kind::Bearer {
        // Floods make many, and whoever wrote one down would write it as it came.
        return forms;
    }
    forms.extend(in_base64(text.as_bytes()));
    forms.extend(as_list(text.as_bytes()));
    let decoded = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    match (kind, decoded.as_slice()) {
        // A key's name, which is none of the secret; then id, secret and tag.
        (Kind::Ticket, [_, _, _, _, parts @ ..]) => {
            forms.extend(parts.chunks(32).flat_map(of_bytes));
        }
        (_, bytes) => forms.extend(of_bytes(bytes)),
    }
    forms
}

fn of_bytes(bytes: &[u8]) -> Vec<Form> {
    let Some(raw) = Form::new("as bytes", bytes) else { return Vec::new() };
    let mut forms = vec![raw];
    forms.extend(in_hexadecimal(bytes));
    forms.extend(in_base64(bytes));
    forms.extend(as_list(bytes));
    forms
}

/// In hexadecimal of either case. There are sixteen digits, so whether it is too plain is told by the bytes.
fn in_hexadecimal(bytes: &[u8]) -> Vec<Form> {
    let Some(Form { needle: bytes, .. }) = Form::new("", &bytes[..bytes.len().min(SHORTEST)]) else {
        return Vec::new();
    };
    let lower = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let upper = lower.to_uppercase();
    [lower, upper].map(|digits| Form { name: "hexadecimal", needle: digits.into() }).into()
}

/// In base64 of both alphabets, wherever in a longer text the bytes begin.
fn in_base64(bytes: &[u8]) -> Vec<Form> {
    let mut forms = Vec::new();
    for before in 0..3_usize {
        let longer = [&[0; 2][..before], &bytes[..bytes.len().min(LENGTH)]].concat();
        // The first character that holds bits of ours alone, and the last.
        let (first, last) = ((before * 8).div_ceil(6), longer.len() * 8 / 6);
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            forms.extend(Form::new("in base64", &engine.encode(&longer).as_bytes()[first..last]));
        }
    }
    forms
}

/// As Rust and JSON show a list of bytes.
fn as_list(bytes: &[u8]) -> Vec<Form> {
    let bytes = &bytes[..bytes.len().min(SHORTEST)];
    let shown = format!("{bytes:?}");
    let json = shown.replace(' ', "");
    let list = |shown: &str| Some(Form { name: "as a list of bytes", needle: shown.trim_matches(['[', ']']).into() });
    [list(&shown), list(&json)].into_iter().flatten().filter(|form| form.needle.len() >= SHORTEST).collect()
}

/// The signature of something that looks like a JWT.
pub(super) fn signature(text: &str) -> Option<&str> {
    let mut parts = text.split('.');
    let (header, _claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
    (header.starts_with("eyJ") && parts.next().is_none()).then_some(signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(kind: Kind, text: &str) -> Vec<&'static str> {
        let mut names: Vec<_> =
            forms(&Secret { kind, value: Value::Text(text.to_owned()) }).into_iter().map(|form| form.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    #[test]
    fn what_nobody_could_tell_from_other_text_is_not_looked_for() {
        assert!(names(Kind::Code, "short").is_empty());
        assert!(names(Kind::Bearer, &"a".repeat(40)).is_empty());
        assert!(names(Kind::IdToken, &format!("eyJhbGciOiJub25lIn0.e30.{}", "A".repeat(86))).is_empty());
        assert!(names(Kind::IdToken, "eyJhbGciOiJub25lIn0.e30.").is_empty());
    }

    #[test]
    fn hexadecimal_of_few_digits_is_recognized() {
        // One in 70 texts of base64url has fewer than eight digits in its first twelve bytes.
        let text = b"DfdFwVDgUwdV5eTgEdFV5wTe";
        let digits: std::collections::BTreeSet<_> = text[..12].iter().flat_map(|byte| [byte >> 4, byte & 15]).collect();
        assert!(digits.len() < SHORTEST / 2);
        let lower = text.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let forms = forms(&Secret { kind: Kind::RootKey, value: Value::Bytes(text.to_vec()) });
        for spelling in [lower.to_uppercase(), lower] {
            let found = forms.iter().filter(|form| spelling.as_bytes().starts_with(&form.needle));
            assert_eq!(found.map(|form| form.name).collect::<Vec<_>>(), ["hexadecimal"], "{spelling}");
        }
    }

    #[test]
    fn a_secret_within_longer_base64_is_recognized() {
        let code = "Zm9vYmFyLXNlY3JldC0xMjM0";
        let forms = forms(&Secret { kind: Kind::Code, value: Value::Text(code.to_owned()) });
        for before in ["", "a", "ab", "abc"] {
            let longer = URL_SAFE_NO_PAD.encode(format!("{before}{code}&more"));
            let hits = forms.iter().filter(|form| {
                form.name == "in base64" && longer.as_bytes().windows(form.needle.len()).any(|part| part == form.needle)
            });
            assert_eq!(hits.count(), 1, "{before}");
        }
    }
}
