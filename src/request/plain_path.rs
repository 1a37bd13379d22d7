//! Paths of ours.

use thiserror::Error;
use url::Url;

use super::path::Path;

/// Why a text is no [`PlainPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not one plain path, with one reading and sent by browsers as it is written")]
pub struct PlainPathError;

/// A path of ours, or that browsers are led to: one that has one reading only, as a request's path must to get there, and
/// that browsers send as it is written (URL Standard, "path percent-encode set").
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlainPath(String);

impl PlainPath {
    /// Reads a path, which begins with a slash.
    ///
    /// # Errors
    /// Where servers could read it in two ways, or a browser would send something else.
    pub fn parse(text: &str) -> Result<Self, PlainPathError> {
        let as_sent = || Url::parse("https://host.example").and_then(|base| base.join(text)).ok();
        let plain = Path::new(text).is_byte_clean() && as_sent().is_some_and(|url| url.path() == text);
        if plain { Ok(Self(text.to_owned())) } else { Err(PlainPathError) }
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `path`, or a path above it, by whole segments.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        path.strip_prefix(self.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_or_servers_would_change_is_no_path_of_ours() {
        for bad in ["", "a", "//a", "/a//b", "/a/../b", "/a%20b", "/a b", "/a{b}", "/a`b", "/a\"", "/a?b", "/a#b"] {
            assert_eq!(PlainPath::parse(bad), Err(PlainPathError), "{bad}");
        }
        for good in ["/", "/portcullis", "/oauth2/sign_out", "/a/b~c"] {
            assert_eq!(PlainPath::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn a_path_covers_whole_segments() {
        let path = PlainPath::parse("/portcullis").unwrap();
        assert!(path.covers("/portcullis") && path.covers("/portcullis/x"));
        assert!(!path.covers("/portcullisx") && !path.covers("/"));
    }
}
