//! Go's regular expressions over paths, as far as our path patterns can say the same, or less.
//!
//! What opens paths must never open more than it did. An expression is taken apart into the texts that it can begin with;
//! one that says more than "this path" or "all below it" is left to the operator.

use regex_syntax::{
    ParserBuilder,
    hir::{Class, Hir, HirKind, Look},
};
use thiserror::Error;

/// The most paths that one expression may stand for.
const MOST: usize = 32;
/// A class of more bytes than this is not written out.
const FEW: usize = 8;

/// A path that an expression opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    Exact(String),
    /// A path and all below it.
    Below(String),
}

/// What an expression opens, and how that differs from before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) paths: Vec<Path>,
    pub(crate) differences: Vec<String>,
}

/// Why an expression opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum RouteError {
    #[error("it is no regular expression that can be read")]
    Unreadable,
    #[error("it says more than a path, or all below a path")]
    SaysMore,
    #[error("it opens everything")]
    OpensAll,
}

/// How far a text goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    /// Whatever comes next in the expression.
    #[default]
    Unfinished,
    /// With anything.
    Open,
    /// Not at all.
    Closed,
}

/// One of the texts that an expression stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shape {
    /// Whether it stands at the beginning of a path.
    anchored: bool,
    text: Vec<u8>,
    end: End,
}

/// What an expression opens.
pub(crate) fn opened(expression: &str) -> Result<Opened, RouteError> {
    // Go's classes are of ASCII, and so are the paths of ours.
    let mut builder = ParserBuilder::new();
    let parsed = builder.unicode(false).utf8(false).build().parse(expression);
    let shapes = shapes(&parsed.map_err(|_| RouteError::Unreadable)?).ok_or(RouteError::SaysMore)?;
    let mut paths = Vec::new();
    let mut differences = Vec::new();
    for shape in &shapes {
        let text = std::str::from_utf8(&shape.text).map_err(|_| RouteError::SaysMore)?;
        if shape.end != End::Closed && text.trim_end_matches('/').is_empty() {
            return Err(RouteError::OpensAll);
        }
        if !text.starts_with('/') {
            return Err(RouteError::SaysMore);
        }
        if !shape.anchored {
            differences.push("it held anywhere in a path, and holds at its beginning now".to_owned());
        }
        paths.push(match shape.end {
            End::Closed => Path::Exact(text.to_owned()),
            End::Open | End::Unfinished => below(text, &shapes, &mut differences),
        });
    }
    paths.dedup();
    let covered = |path: &Path| matches!(path, Path::Exact(text) if paths.contains(&Path::Below(text.clone())));
    let paths = paths.iter().filter(|path| !covered(path)).cloned().collect();
    differences.dedup();
    Ok(Opened { paths, differences })
}

/// A text after which anything may follow. Our patterns go by whole segments.
fn below(text: &str, shapes: &[Shape], differences: &mut Vec<String>) -> Path {
    let Some(folder) = text.strip_suffix('/') else {
        differences.push(format!("`{text}` with more in its last segment, such as `{text}x`, is closed now"));
        return Path::Below(text.to_owned());
    };
    let is_exact = |shape: &Shape| shape.text == folder.as_bytes() && shape.end == End::Closed;
    if !shapes.iter().any(is_exact) {
        differences.push(format!("`{folder}` itself is open, too"));
    }
    Path::Below(folder.to_owned())
}

/// All texts that an expression stands for; nothing where they cannot be listed.
fn shapes(expression: &Hir) -> Option<Vec<Shape>> {
    let of_text = |text: &[u8]| Shape { text: text.to_vec(), ..Shape::default() };
    match expression.kind() {
        HirKind::Empty => Some(vec![Shape::default()]),
        HirKind::Literal(literal) => Some(vec![of_text(&literal.0)]),
        HirKind::Class(class) => {
            let bytes = bytes(class).filter(|bytes| bytes.len() <= FEW)?;
            Some(bytes.iter().map(|byte| of_text(&[*byte])).collect())
        }
        HirKind::Look(Look::Start) => Some(vec![Shape { anchored: true, ..Shape::default() }]),
        HirKind::Look(Look::End) => Some(vec![Shape { end: End::Closed, ..Shape::default() }]),
        HirKind::Look(_) => None,
        HirKind::Repetition(repetition) => match (repetition.min, repetition.max) {
            (0 | 1, None) if is_any(&repetition.sub) => Some(vec![Shape { end: End::Open, ..Shape::default() }]),
            (0, Some(1)) => {
                let mut shapes = shapes(&repetition.sub)?;
                shapes.insert(0, Shape::default());
                Some(shapes)
            }
            _ => None,
        },
        HirKind::Capture(capture) => shapes(&capture.sub),
        HirKind::Concat(parts) => parts.iter().try_fold(vec![Shape::default()], |begun, part| {
            let next = shapes(part)?;
            if begun.len() * next.len() > MOST {
                return None;
            }
            begun.iter().flat_map(|left| next.iter().map(|right| left.followed_by(right))).collect()
        }),
        HirKind::Alternation(parts) => {
            let all: Option<Vec<Vec<Shape>>> = parts.iter().map(shapes).collect();
            all.map(|all| all.concat()).filter(|all| all.len() <= MOST)
        }
    }
}

impl Shape {
    /// This text with another behind it.
    fn followed_by(&self, next: &Self) -> Option<Self> {
        let is_start = self.text.is_empty() && self.end == End::Unfinished;
        if next.anchored && !is_start {
            return None;
        }
        let end = match (self.end, next.end) {
            (End::Unfinished, end) => end,
            // Nothing may follow what is finished, but for its own end.
            _ if !next.text.is_empty() => return None,
            (End::Open, _) => End::Open,
            (End::Closed, End::Open) => return None,
            (End::Closed, _) => End::Closed,
        };
        let text = [self.text.as_slice(), &next.text].concat();
        Some(Self { anchored: self.anchored || next.anchored, text, end })
    }
}

/// Whether an expression stands for any character, `/` among them; not for `[^/]`.
fn is_any(expression: &Hir) -> bool {
    match expression.kind() {
        HirKind::Class(class) => bytes(class).is_some_and(|bytes| {
            let has = |byte: u8| bytes.contains(&byte);
            (u8::MIN..=u8::MAX).all(|byte| has(byte) || byte == b'\n')
        }),
        HirKind::Capture(capture) => is_any(&capture.sub),
        _ => false,
    }
}

/// The bytes of a class; nothing where it is of more than bytes.
fn bytes(class: &Class) -> Option<Vec<u8>> {
    match class {
        Class::Bytes(class) => Some(class.iter().flat_map(|range| range.start()..=range.end()).collect()),
        Class::Unicode(class) => {
            let each = class.iter().flat_map(|range| range.start()..=range.end());
            each.map(|next| u8::try_from(next).ok().filter(u8::is_ascii)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths as one text: `/a/**` for all below, and how many differences there are.
    fn told(expression: &str) -> Result<(String, usize), RouteError> {
        opened(expression).map(|opened| {
            let paths = opened.paths.iter().map(|path| match path {
                Path::Exact(text) => text.clone(),
                Path::Below(text) => format!("{text}/**"),
            });
            (paths.collect::<Vec<_>>().join(" "), opened.differences.len())
        })
    }

    #[test]
    fn expressions_over_paths_become_patterns() {
        for (expression, paths, differences) in [
            ("^/dex/", "/dex/**", 1),
            ("^/dex(/.*)?$", "/dex/**", 0),
            ("^/dex/.*", "/dex/**", 1),
            ("/dex/.*", "/dex/**", 2),
            ("^/healthz$", "/healthz", 0),
            ("^/healthz/?$", "/healthz /healthz/", 0),
            ("^/$", "/", 0),
            ("^/healthz", "/healthz/**", 1),
            (r"^/favicon\.ico$", "/favicon.ico", 0),
            ("^/(api|apis)/v1$", "/api/v1 /apis/v1", 0),
            ("^/a$|^/b$", "/a /b", 0),
            ("^/v[12]/x$", "/v1/x /v2/x", 0),
            (r"^\/static\/.+$", "/static/**", 1),
            ("^(/dex/auth|/dex/token)$", "/dex/auth /dex/token", 0),
        ] {
            assert_eq!(told(expression), Ok((paths.to_owned(), differences)), "{expression}");
        }
    }

    #[test]
    fn what_opens_everything_or_says_more_opens_nothing() {
        for all in ["", "^", "/", "^/", ".*", "^/.*", "^.*$", "^/?", "(/.*)?", "^//", "^/a$|.*"] {
            assert_eq!(told(all), Err(RouteError::OpensAll), "{all}");
        }
        for more in [
            r"\.css$",
            "^/a/.*/b$",
            "^/a/[^/]+$",
            "dex",
            "^/a+$",
            r"^/\d+$",
            "(?i)^/dexterous-long-name-of-a-path$",
            "^/[a-z]*$",
            r"^/a\b",
            "^/a/[^x]*",
            "^/a$b",
        ] {
            assert_eq!(told(more), Err(RouteError::SaysMore), "{more}");
        }
        assert_eq!(told("^/a(["), Err(RouteError::Unreadable));
        assert_eq!(told("^/a(?=b)"), Err(RouteError::Unreadable));
    }
}
