//! Paths, and the one reading that every server behind could come to.
//!
//! Envoy passes paths on as they came; servers behind decode, fold and resolve them, each in its own way. A rule is
//! chosen for the path as it came and for its canonical form, and the two must agree.

use thiserror::Error;

/// How often a path may be percent-encoded over itself. More is no honest path.
const MAX_DECODINGS: usize = 8;

/// Why a path has no canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the path decodes to something that is no plain text, or not in a few steps")]
pub struct PathError;

/// A path as it came, without its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    raw: String,
    byte_clean: bool,
}

/// A path's canonical form: decoded until it no longer changes, `\` turned to `/`, `;…` cut from each segment, `//` and
/// dot segments resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath(String);

impl Path {
    /// Takes a path as it came.
    #[must_use]
    pub fn new(raw: &str) -> Self {
        Self { raw: raw.to_owned(), byte_clean: is_byte_clean(raw) }
    }

    /// The path as it came.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// Whether every server reads the path alike: none of `%`, `\`, `;`, `#`, `//`, dot segments, controls or bytes that
    /// are not ASCII, nor `!`, which Envoy writes for a byte that is not UTF-8. A public rule and our own endpoints match such paths only.
    #[must_use]
    pub const fn is_byte_clean(&self) -> bool {
        self.byte_clean
    }

    /// The canonical form.
    ///
    /// # Errors
    /// Where the decoded path is not UTF-8, holds a control, or does not settle.
    pub fn canonical(&self) -> Result<CanonicalPath, PathError> {
        if self.byte_clean {
            return Ok(CanonicalPath(self.raw.clone()));
        }
        let decoded = self.decodings()?.pop().unwrap_or_default();
        Ok(CanonicalPath(resolve(&without_parameters(&decoded))))
    }

    /// Whether any step of decoding holds a `..` segment. Servers resolve these in too many ways to think of each (with
    /// empty segments kept or merged, before or after `;…` is cut), and no honest client sends one: browsers resolve
    /// them first.
    ///
    /// # Errors
    /// As for [`Path::canonical`].
    pub fn climbs(&self) -> Result<bool, PathError> {
        if self.byte_clean {
            return Ok(false);
        }
        let up = |segment: &str| segment.split([';', '#', '?']).next() == Some("..");
        Ok(self.decodings()?.iter().any(|path| path.split(['/', '\\']).any(up)))
    }

    /// Every reading that a server behind could come to: the path as it came, each step of decoding, `\` as `/`,
    /// parameters cut, what is left where a decoded `#` or `?` ends a path, and last the canonical form. A byte-clean
    /// path has one.
    ///
    /// # Errors
    /// As for [`Path::canonical`].
    pub fn readings(&self) -> Result<Vec<String>, PathError> {
        if self.byte_clean {
            return Ok(vec![self.raw.clone()]);
        }
        let mut readings = self.decodings()?;
        let decoded = readings.last().cloned().unwrap_or_default();
        let cut = without_parameters(&decoded);
        let canonical = resolve(&cut);
        let parsed_again = resolve(cut.split(['#', '?']).next().unwrap_or_default());
        readings.extend([decoded.replace('\\', "/"), cut, parsed_again, canonical]);
        readings.insert(0, self.raw.clone());
        readings.dedup();
        Ok(readings)
    }

    /// The path after each round of percent-decoding, until it no longer changes.
    fn decodings(&self) -> Result<Vec<String>, PathError> {
        let mut readings = Vec::new();
        let mut current = self.raw.clone().into_bytes();
        for _ in 0..MAX_DECODINGS {
            let next: Vec<u8> = percent_encoding::percent_decode(&current).collect();
            let settled = next == current;
            let text = String::from_utf8(next.clone()).map_err(|_| PathError)?;
            if text.chars().any(char::is_control) {
                return Err(PathError);
            }
            readings.push(text);
            if settled {
                return Ok(readings);
            }
            current = next;
        }
        Err(PathError)
    }
}

impl CanonicalPath {
    /// The canonical path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_byte_clean(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'\\' | b';' | b'#' | b'?' | b'!');
    let inner = path.strip_prefix('/').unwrap_or(path);
    let mut segments = inner.split('/').peekable();
    let mut segments_clean = true;
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        segments_clean &= !matches!(segment, "." | "..") && (last || !segment.is_empty());
    }
    path.starts_with('/') && path.bytes().all(plain) && segments_clean
}

/// `\` turned to `/` and `;…` cut from each segment, as servlet containers do.
fn without_parameters(path: &str) -> String {
    let cut = |segment: &str| segment.split(';').next().unwrap_or_default().to_owned();
    path.replace('\\', "/").split('/').map(cut).collect::<Vec<_>>().join("/")
}

fn resolve(path: &str) -> String {
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
    format!("/{}{tail}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reading_of_a_path_comes_to_one() {
        for (raw, canonical) in [
            ("/api/..;/public", "/public"),
            ("/public%2f..%2fapi", "/api"),
            ("/public/../api", "/api"),
            ("/public/%2e%2e/api", "/api"),
            ("/public/%252e%252e/api", "/api"),
            ("/public#/api", "/public#/api"),
            ("//public", "/public"),
            ("/public/..\\api", "/api"),
            ("/public%5c..%5capi", "/api"),
            ("/PUBLIC", "/PUBLIC"),
            ("/a;x=1/b;y", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/a/..", "/"),
            ("/../../a", "/a"),
            ("/my%20file", "/my file"),
            ("/100%", "/100%"),
            ("/%zz", "/%zz"),
        ] {
            assert_eq!(Path::new(raw).canonical().unwrap().as_str(), canonical, "{raw}");
        }
    }

    #[test]
    fn a_path_without_a_plain_reading_has_none() {
        let deep = format!("/%{}2e", "25".repeat(12));
        for raw in ["/public%00", "/%c0%afpublic", "/%0d%0a", "/%ff", deep.as_str()] {
            assert_eq!(Path::new(raw).canonical(), Err(PathError), "{raw}");
        }
    }

    #[test]
    fn a_server_that_decodes_but_does_not_resolve_is_thought_of() {
        let readings = Path::new("/api%2f..%2fpublic").readings().unwrap();
        assert_eq!(readings, ["/api%2f..%2fpublic", "/api/../public", "/public"]);
    }

    #[test]
    fn a_server_that_parses_what_it_decoded_is_thought_of() {
        for raw in ["/api%23/x", "/api%3f/x", "/api%2523x", "/public/../api%23/x"] {
            let readings = Path::new(raw).readings().unwrap();
            assert!(readings.iter().any(|reading| reading == "/api"), "{raw}: {readings:?}");
        }
    }

    #[test]
    fn byte_clean_means_one_reading() {
        for clean in ["/", "/a", "/a/", "/a/b.c/d~e$&'()*+,:@=", "/.well-known/x", "/..."] {
            assert!(Path::new(clean).is_byte_clean(), "{clean}");
            assert_eq!(Path::new(clean).canonical().unwrap().as_str(), clean);
        }
        for dirty in [
            "/a%20", "/a\\b", "/a;b", "/a#b", "/a!", "//", "//a", "/a//b", "/a/./b", "/a/..", "/..", "/.", "/ü",
            "/a\u{1}", "",
        ] {
            assert!(!Path::new(dirty).is_byte_clean(), "{dirty}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_canonical_path_is_its_own_canonical_form(raw in "/[a-z%2eEfF5cC;./\\\\]{0,40}") {
            if let Ok(canonical) = Path::new(&raw).canonical() {
                let again = Path::new(canonical.as_str()).canonical();
                proptest::prop_assert_eq!(again, Ok(canonical));
            }
        }

        #[test]
        fn a_byte_clean_path_is_canonical(raw in "/[ -~]{0,40}") {
            let path = Path::new(&raw);
            if path.is_byte_clean() {
                proptest::prop_assert_eq!(path.decodings().unwrap(), vec![raw.clone()]);
                proptest::prop_assert_eq!(resolve(&without_parameters(&raw)), raw);
            }
        }
    }
}
