//! Where a person wanted to go before they had to sign in.

use serde::{Deserialize, Serialize};
use url::Url;

/// The longest target that is kept, in bytes: it travels inside the `state` parameter, through the provider and back.
const MAX_BYTES: usize = 2048;

/// A path and query of our own origin, to return to after sign-in.
///
/// Begins with one `/`, holds visible ASCII only, is at most 2048 bytes long and is none of our own endpoints.
/// Whatever is not like that is `/`: a wrong target costs the person a click, never the sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ReturnTarget(String);

impl ReturnTarget {
    /// The origin's root.
    #[must_use]
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// Reads a request's path and query as a target. `is_own_endpoint` is asked for the path, as it came and as a
    /// browser would read it: to return to one of our endpoints would run in a circle.
    #[must_use]
    pub fn parse(path_and_query: &str, is_own_endpoint: impl Fn(&str) -> bool) -> Self {
        let target = Self::from(path_and_query.to_owned());
        let path = target.0.split('?').next().unwrap_or_default();
        if is_own_endpoint(path) || browser_path(&target.0).is_none_or(|path| is_own_endpoint(&path)) {
            return Self::root();
        }
        target
    }

    /// The path and query.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ReturnTarget {
    /// Anything that is no target is the root.
    fn from(text: String) -> Self {
        let plain = text.len() <= MAX_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        // `//host` and `/\host` are relative references to another authority (WHATWG URL, "relative slash state").
        let on_origin = text.starts_with('/') && !matches!(text.as_bytes().get(1), Some(b'/' | b'\\'));
        if plain && on_origin { Self(text) } else { Self::root() }
    }
}

impl From<ReturnTarget> for String {
    fn from(target: ReturnTarget) -> Self {
        target.0
    }
}

/// The path that a browser asks for when it is sent to `target`: dot segments resolved, `\` read as `/`.
fn browser_path(target: &str) -> Option<String> {
    let url = Url::parse("https://origin.invalid").ok()?.join(target).ok()?;
    Some(url.path().to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decision::Location;

    fn parse(text: &str) -> String {
        ReturnTarget::parse(text, |path| path == "/portcullis" || path.starts_with("/portcullis/")).into()
    }

    #[test]
    fn a_target_keeps_its_bytes() {
        for target in ["/", "/a%2fb?x=1&y=%0a", "/notebook/ns/x/?token=a,b;c", "/a?next=//evil", "/a\\b"] {
            assert_eq!(parse(target), target);
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_the_root() {
        let long = format!("/{}", "a".repeat(MAX_BYTES));
        let bad = [
            "",
            "evil",
            "//evil",
            "///evil",
            "/\\evil",
            "\\\\evil",
            "https:evil",
            "https://evil/",
            "//kf@evil",
            "/a b",
            "/a\tb",
            "/a\r\nSet-Cookie: x",
            "/\u{7f}",
            "/ü",
            "@evil",
            "?x",
            "/a#b",
            " /a",
            &long,
        ];
        for target in bad {
            assert_eq!(parse(target), "/", "{target:?}");
        }
    }

    #[test]
    fn our_own_endpoints_are_no_targets() {
        for target in [
            "/portcullis/login?x=1",
            "/portcullis",
            "/x/../portcullis/callback?code=1",
            "/./portcullis/logout",
            "/x/%2e%2e/portcullis/login",
            "/x\\..\\..\\portcullis/login",
        ] {
            assert_eq!(parse(target), "/", "{target}");
        }
        assert_eq!(parse("/portcullisx"), "/portcullisx");
    }

    proptest! {
        /// Whatever comes in, what goes out is a place on our origin.
        #[test]
        fn a_target_never_leaves_the_origin(text in "\\PC{0,40}|/[/\\\\@:.%a-z0-9?#&\t\r\n]{0,30}|[a-z]{0,6}:?/{0,3}[a-z@./\\\\]{0,20}") {
            let target = ReturnTarget::parse(&text, |_| false);
            for origin in ["https://kf.example.com", "https://kf.example.com:8443"] {
                let location = Location::on_origin(origin, target.as_str()).unwrap();
                let url = Url::parse(location.as_str()).unwrap();
                prop_assert_eq!(url.origin(), Url::parse(origin).unwrap().origin());
                prop_assert_eq!(url.username(), "");
            }
        }
    }
}
