//! Where a request names what a rule asks about.
//!
//! Every place that names something must name the same, and in a way that all servers behind read alike: a path in each
//! of its readings, a parameter that occurs once in whatever spelling, a header that has one line.

use super::{captured::Captured, template::Template};
use crate::{
    reason::Reason,
    request::{Parameter, Request, fully_decoded},
};

/// A place in a request that names something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capture {
    /// The path, by the first of these that stands for it.
    Path(Vec<Template>),
    /// The host, by the first of these that stands for it.
    Host(Vec<Template>),
    /// A parameter of the query.
    Query {
        /// Its name.
        parameter: String,
        /// What its value is.
        value: Value,
    },
    /// A header.
    Header {
        /// Its name, in lower case.
        name: String,
        /// What its value is.
        value: Value,
    },
}

/// What a value of a parameter or a header is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The value of this variable.
    Of(String),
    /// A key, decoded to its end, by the first of these that stands for it.
    Key(Vec<Template>),
}

impl Capture {
    /// The names of the variables that it may name.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let (templates, one) = match self {
            Self::Path(templates) | Self::Host(templates) => (templates.as_slice(), None),
            Self::Query { value, .. } | Self::Header { value, .. } => match value {
                Value::Of(name) => (&[][..], Some(name.as_str())),
                Value::Key(templates) => (templates.as_slice(), None),
            },
        };
        templates.iter().flat_map(Template::variables).chain(one)
    }

    /// What the request names here; nothing where it lacks the parameter or the header.
    fn of(&self, request: &Request) -> Result<Captured, Reason> {
        match self {
            Self::Path(templates) => of_path(templates, request),
            Self::Host(templates) => first(templates, request.host().name()).ok_or(Reason::ResourceMissing),
            Self::Query { parameter, value } => match request.query().for_every_server(parameter) {
                Parameter::Absent => Ok(Captured::default()),
                Parameter::Once(text) => value.of(&text),
                Parameter::Ambiguous => Err(Reason::ResourceAmbiguous),
            },
            Self::Header { name, value } => match request.headers().single(name) {
                Some(text) => value.of(text),
                None if request.headers().contains(name) => Err(Reason::ResourceAmbiguous),
                None => Ok(Captured::default()),
            },
        }
    }
}

impl Value {
    fn of(&self, text: &str) -> Result<Captured, Reason> {
        match self {
            // Nothing is named by nothing.
            _ if text.is_empty() => Ok(Captured::default()),
            Self::Of(name) => {
                let mut captured = Captured::default();
                captured.add(name, text);
                Ok(captured)
            }
            Self::Key(templates) => {
                let decoded = fully_decoded(text).ok_or(Reason::ResourceAmbiguous)?;
                if !is_plain_key(&decoded) {
                    return Err(Reason::ResourceAmbiguous);
                }
                first(templates, &decoded).ok_or(Reason::ResourceAmbiguous)
            }
        }
    }
}

/// All that a request names. Each variable has one value.
///
/// # Errors
/// [`Reason::ResourceAmbiguous`] where two places or two servers disagree; [`Reason::ResourceMissing`] where path or host
/// are none that a template stands for; [`Reason::AmbiguousPath`] where two readings of the path name two things.
pub(super) fn all(captures: &[Capture], request: &Request) -> Result<Captured, Reason> {
    let mut all = Captured::default();
    for capture in captures {
        all.agree(capture.of(request)?)?;
    }
    Ok(all)
}

/// What all these places of a request name, each variable once, as rules take it.
///
/// # Errors
/// As [`all`].
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn named(captures: &[Capture], request: &Request) -> Result<Vec<(String, String)>, Reason> {
    let named = all(captures, request)?;
    Ok(named.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn of_path(templates: &[Template], request: &Request) -> Result<Captured, Reason> {
    let readings = request.path().readings().map_err(|_| Reason::AmbiguousPath)?;
    let mut found = readings.iter().map(|reading| first(templates, reading));
    let one = found.next().flatten();
    if found.any(|other| other != one) {
        return Err(Reason::AmbiguousPath);
    }
    one.ok_or(Reason::ResourceMissing)
}

fn first(templates: &[Template], text: &str) -> Option<Captured> {
    templates.iter().find_map(|template| template.capture(text))
}

/// Whether a key names what it says: no segment of it is empty or climbs, and nothing in it parts it otherwise.
fn is_plain_key(key: &str) -> bool {
    // What was no text is anything.
    !key.contains(['\\', char::REPLACEMENT_CHARACTER])
        && !key.chars().any(char::is_control)
        && !key.trim_end_matches('/').split('/').any(|segment| matches!(segment.trim(), "" | "." | ".."))
        && !key.ends_with("//")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{authz::Separator, request::RawRequest};

    fn templates(texts: &[&str], separator: Separator) -> Vec<Template> {
        texts.iter().map(|text| Template::parse(text, separator).unwrap()).collect()
    }

    fn captures() -> Vec<Capture> {
        let namespace = || Value::Of("namespace".to_owned());
        let key =
            templates(&["private-artifacts/{namespace}/**", "private/{namespace}/**", "shared/**"], Separator::Key);
        vec![
            Capture::Path(templates(&["/artifacts/get", "/apps/{namespace}/{name}/**"], Separator::Path)),
            Capture::Query { parameter: "namespace".to_owned(), value: namespace() },
            Capture::Query { parameter: "key".to_owned(), value: Value::Key(key) },
            Capture::Header { name: "x-namespace".to_owned(), value: namespace() },
        ]
    }

    fn named(target: &str) -> Result<Option<String>, Reason> {
        let request = Request::parse(RawRequest::new("GET", "kf", target)).unwrap();
        all(&captures(), &request).map(|captured| captured.get("namespace").map(str::to_owned))
    }

    #[test]
    fn what_all_places_name_alike_is_named() {
        for (target, namespace) in [
            ("/apps/team-a/nb/lab", Some("team-a")),
            ("/apps/team-a/nb/a%20b;c?namespace=team-a", Some("team-a")),
            ("/apps/%74eam-a/nb", Some("team-a")),
            ("/artifacts/get", None),
            ("/artifacts/get?namespace=team-a", Some("team-a")),
            ("/artifacts/get?namespace=", None),
            ("/artifacts/get?key=private-artifacts%2Fteam-a%2Fx.html", Some("team-a")),
            ("/artifacts/get?key=private-artifacts%252Fteam-a%252Fx.html&namespace=team-a", Some("team-a")),
            ("/artifacts/get?key=private/team-a/a/", Some("team-a")),
            ("/artifacts/get?key=shared/x&namespace=team-b", Some("team-b")),
        ] {
            // An encoded segment has two readings, which name two things.
            let expected = if target.contains("%74") { Err(Reason::AmbiguousPath) } else { Ok(namespace) };
            assert_eq!(named(target).as_ref().map(Option::as_deref), expected.as_ref().map(|name| *name), "{target}");
        }
    }

    #[test]
    fn what_two_could_read_as_two_things_is_refused() {
        for target in [
            "/apps/team-a/nb?namespace=team-b",
            "/artifacts/get?namespace=team-a&namespace=team-b",
            "/artifacts/get?namespace=team-a;namespace=team-b",
            "/artifacts/get?namespace=team-a&%6eamespace=team-b",
            "/artifacts/get?namespace=team-a&key=private/team-b/x",
            "/artifacts/get?key=private/team-a/../team-b/x",
            "/artifacts/get?key=private/team-a/%252e%252e/team-b/x",
            "/artifacts/get?key=private//team-b/x",
            "/artifacts/get?key=./private/team-a/x",
            "/artifacts/get?key=/private/team-a/x",
            "/artifacts/get?key=private/team-a\\..\\x",
            "/artifacts/get?key=other/team-a/x",
            "/artifacts/get?key=private/team-a/%ff",
        ] {
            assert_eq!(named(target), Err(Reason::ResourceAmbiguous), "{target}");
        }
        assert_eq!(named("/apps/team-a"), Err(Reason::ResourceMissing));
        assert_eq!(named("/apps/team-a%2Fnb"), Err(Reason::AmbiguousPath));
        let twice =
            RawRequest::new("GET", "kf", "/artifacts/get").header("x-namespace", "a").header("x-namespace", "a");
        assert_eq!(all(&captures(), &Request::parse(twice).unwrap()), Err(Reason::ResourceAmbiguous));
    }
}
