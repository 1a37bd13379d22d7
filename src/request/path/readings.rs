//! What servers make of a path, step by step.

use std::{borrow::Cow, collections::HashSet};

use icu_normalizer::ComposingNormalizerBorrowed;
use thiserror::Error;

/// The most readings of one path. What honest clients send has fewer than twenty.
pub(super) const MOST: usize = 64;
/// The most bytes of all readings of one path together, so that a long path costs no more than a short one.
pub(super) const MOST_BYTES: usize = 128 * 1024;

/// Why a path has no readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the path decodes to something that is no plain text, or to too many things")]
pub struct PathError;

type Step = fn(&str) -> Result<Cow<'_, str>, PathError>;

/// What a server may do, each as often as it likes and in any order.
const STEPS: &[Step] = &[
    percent_decoded,
    with_utf16_decoded,
    |path| Ok(with_slashes(path)),
    |path| Ok(without_parameters(path)),
    |path| Ok(before(path, &[';'])),
    |path| Ok(before(path, &['#', '?'])),
    |path| Ok(resolved(path)),
    |path| Ok(ComposingNormalizerBorrowed::new_nfkc().normalize(path)),
];

/// Every reading of a path, the path itself first.
pub(super) fn of(raw: &str) -> Result<Vec<String>, PathError> {
    let mut seen = HashSet::from([raw.to_owned()]);
    let mut readings = vec![raw.to_owned()];
    let mut bytes = raw.len();
    let mut at = 0;
    while let Some(reading) = readings.get(at).cloned() {
        for step in STEPS {
            let next = step(&reading)?;
            if seen.contains(&*next) {
                continue;
            }
            let next = next.into_owned();
            bytes += next.len();
            if readings.len() == MOST || bytes > MOST_BYTES {
                return Err(PathError);
            }
            seen.insert(next.clone());
            readings.push(next);
        }
        at += 1;
    }
    Ok(readings)
}

/// What a reading has in common with those that some servers do not tell from it: without regard to case, to dots and
/// spaces at a segment's end (Windows drops them), and to a slash at the path's end.
#[must_use]
pub fn look_alike(path: &str) -> Cow<'_, str> {
    if is_folded(path) { path.into() } else { folded(path).into() }
}

/// Whether a path is the one that [`folded`] makes of it, as most are.
fn is_folded(path: &str) -> bool {
    let is_kept = |segment: &str| !segment.is_empty() && !segment.ends_with(['.', ' ']);
    let segments = path.strip_prefix('/').map(|rest| rest.split('/'));
    (path == "/" || segments.is_some_and(|mut segments| segments.all(is_kept)))
        && !path.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn folded(path: &str) -> String {
    let mut folded = String::with_capacity(path.len());
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        let name = segment.trim_end_matches(['.', ' ']);
        folded.push('/');
        folded.push_str(if name.is_empty() { segment } else { name });
    }
    folded.make_ascii_lowercase();
    while folded.len() > 1 && folded.ends_with('/') {
        folded.pop();
    }
    folded
}

/// One round of percent-decoding (RFC 3986 section 2.1).
fn percent_decoded(path: &str) -> Result<Cow<'_, str>, PathError> {
    if !path.contains('%') {
        return Ok(path.into());
    }
    plain(percent_encoding::percent_decode_str(path).collect()).map(Cow::Owned)
}

/// One round of decoding IIS's `%uXXXX`, a unit of UTF-16 in hexadecimal digits.
fn with_utf16_decoded(path: &str) -> Result<Cow<'_, str>, PathError> {
    if !path.contains("%u") && !path.contains("%U") {
        return Ok(path.into());
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let mut units = Vec::new();
        while let Some((unit, after)) = utf16_unit(rest) {
            units.push(unit);
            rest = after;
        }
        if units.is_empty() {
            decoded.push(first);
            rest = after;
        }
        decoded.extend(String::from_utf16_lossy(&units).bytes());
    }
    plain(decoded).map(Cow::Owned)
}

fn utf16_unit(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (code, rest) = bytes.split_at_checked(6)?;
    let digits = code.strip_prefix(b"%u").or_else(|| code.strip_prefix(b"%U"))?;
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some((u16::from_str_radix(digits, 16).ok()?, rest))
}

/// Text that a path may be: UTF-8 without controls.
fn plain(decoded: Vec<u8>) -> Result<String, PathError> {
    let text = String::from_utf8(decoded).map_err(|_| PathError)?;
    if text.chars().any(char::is_control) { Err(PathError) } else { Ok(text) }
}

fn with_slashes(path: &str) -> Cow<'_, str> {
    if path.contains('\\') { path.replace('\\', "/").into() } else { path.into() }
}

/// `;…` cut from each segment, as servlet containers do.
fn without_parameters(path: &str) -> Cow<'_, str> {
    if !path.contains(';') {
        return path.into();
    }
    let cut = |segment: &'_ str| -> String { segment.split(';').next().unwrap_or_default().to_owned() };
    path.split('/').map(cut).collect::<Vec<_>>().join("/").into()
}

/// What stands before the first of these: some servers take a `;` for the beginning of one parameter that reaches to the
/// path's end, and a `#` or `?` that they decoded for the beginning of what is no path any more.
fn before<'a>(path: &'a str, ends: &[char]) -> Cow<'a, str> {
    path.split(ends).next().unwrap_or_default().into()
}

/// `//` merged and dot segments resolved (RFC 3986 section 5.2.4).
fn resolved(path: &str) -> Cow<'_, str> {
    let mut kept: Vec<&str> = Vec::new();
    let mut directory = false;
    for segment in path.split('/') {
        directory = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    let tail = if directory && !kept.is_empty() { "/" } else { "" };
    format!("/{}{tail}", kept.join("/")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_do_not_tell_apart_looks_alike() {
        for (path, folded) in [
            ("/", "/"),
            ("/Admin", "/admin"),
            ("/admin/", "/admin"),
            ("/admin./x. ", "/admin/x"),
            ("/admin ", "/admin"),
            ("/admin.json", "/admin.json"),
            ("/...", "/..."),
            ("/a//", "/a"),
            ("/Größe", "/größe"),
        ] {
            assert_eq!(look_alike(path), folded, "{path}");
        }
    }

    #[test]
    fn the_usual_path_is_not_copied() {
        for path in ["/", "/api/v1/files", "/a.b/c_d-e~1"] {
            assert!(matches!(look_alike(path), Cow::Borrowed(have) if have == path), "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_folded_folds_to_itself(path in "/?([aA. é]{0,3}/){0,4}[aA. é]{0,3}") {
            proptest::prop_assert!(!is_folded(&path) || folded(&path) == path);
            proptest::prop_assert_eq!(look_alike(&path), folded(&path));
        }
    }
}
