//! What a rule asks Kubernetes: which question each request is.

use std::{fmt, sync::Arc};

use thiserror::Error;

use super::{
    captured::Captured,
    captures::{self, Capture},
    condition::Condition,
    template::is_variable,
};
use crate::{
    kubernetes::{AccessAttributes, AccessQuestion, AccessSubject},
    principal::{Namespace, Principal},
    reason::Reason,
    request::Request,
};

/// The group of everybody who is authenticated, which Kubernetes gives along.
const AUTHENTICATED: &str = "system:authenticated";
/// The longest name of an object, in bytes.
const MAX_NAME_BYTES: usize = 253;

/// What a rule asks Kubernetes about a request, beside who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reviews {
    /// Where the request names what is asked about.
    pub captures: Vec<Capture>,
    /// What is asked. Each must be answered with yes.
    pub questions: Vec<Review>,
}

/// One question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Review {
    /// The verb; by the request's method where there is none.
    pub verb: Option<String>,
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource, in the plural.
    pub resource: String,
    /// The subresource; empty for none.
    pub subresource: String,
    /// The namespace; the whole cluster where there is none.
    pub namespace: Option<Naming>,
    /// The object's name; every one where there is none.
    pub name: Option<Naming>,
    /// It is asked where all of these are so.
    pub only_where: Vec<Condition>,
    /// Whether a request that does not name what is asked about is none of this question's business.
    pub optional: bool,
    /// The ClusterRole that usually permits it, for whoever is to ask for it.
    pub role: Option<String>,
}

/// Why a text names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a name is of visible ASCII, with variables such as `{{namespace}}`")]
pub struct NamingError;

/// A name with variables: `{name}-0`.
#[derive(Clone, PartialEq, Eq)]
pub struct Naming(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
}

impl Naming {
    /// Reads a name.
    ///
    /// # Errors
    /// Where it is empty or a brace has no other half.
    pub fn parse(text: &str) -> Result<Self, NamingError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('{') {
                let (name, after) = after.split_once('}').ok_or(NamingError)?;
                if !is_variable(name) {
                    return Err(NamingError);
                }
                pieces.push(Piece::Variable(name.to_owned()));
                rest = after;
            } else {
                let (plain, after) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
                if !plain.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'}') {
                    return Err(NamingError);
                }
                pieces.push(Piece::Text(plain.to_owned()));
                rest = after;
            }
        }
        if pieces.is_empty() { Err(NamingError) } else { Ok(Self(pieces)) }
    }

    /// The names of its variables.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The name of what a request names; `None` where it names not all of it.
    fn of(&self, captured: &Captured) -> Option<String> {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => Some(text.clone()),
            Piece::Variable(name) => captured.get(name).map(str::to_owned),
        };
        self.0.iter().map(piece).collect()
    }
}

/// As it is written.
impl fmt::Display for Naming {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => formatter.write_str(text),
            Piece::Variable(name) => write!(formatter, "{{{name}}}"),
        })
    }
}

impl fmt::Debug for Naming {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl Reviews {
    /// Whether nothing is asked.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// Whether the method of a request decides what is asked.
    pub(super) fn asks_for_methods(&self) -> bool {
        self.questions.iter().any(|review| review.verb.is_none())
    }

    /// The namespace that a request names.
    pub(super) fn namespace(&self, naming: &Naming, request: &Request) -> Result<Namespace, Reason> {
        let captured = captures::all(&self.captures, request)?;
        let name = naming.of(&captured).ok_or(Reason::ResourceMissing)?;
        Namespace::parse(&name).map_err(|_| Reason::ResourceAmbiguous)
    }

    /// What is asked about a request, in the order in which it is written, with who would do it.
    ///
    /// # Errors
    /// [`Reason::ResourceMissing`] and [`Reason::ResourceAmbiguous`] where the request does not name it, or not in one way;
    /// [`Reason::AmbiguousPath`] where two readings of its path name two things.
    pub(super) fn questions(
        &self,
        request: &Request,
        subject: &Arc<AccessSubject>,
    ) -> Result<Vec<(&Review, AccessQuestion)>, Reason> {
        let captured = captures::all(&self.captures, request)?;
        // Also what no question needs: a rule never believes half of what a request names.
        if !captured.iter().all(|(_, value)| is_object_name(value)) {
            return Err(Reason::ResourceAmbiguous);
        }
        let mut questions = Vec::with_capacity(self.questions.len());
        for review in &self.questions {
            if !review.only_where.iter().all(|condition| condition.holds(request)) {
                continue;
            }
            match review.attributes(request.method(), &captured) {
                Ok(attributes) => questions.push((review, AccessQuestion { subject: Arc::clone(subject), attributes })),
                Err(Reason::ResourceMissing) if review.optional => {}
                Err(reason) => return Err(reason),
            }
        }
        Ok(questions)
    }
}

impl Review {
    fn attributes(&self, method: &str, captured: &Captured) -> Result<AccessAttributes, Reason> {
        let named = |naming: &Option<Naming>| match naming {
            None => Ok(String::new()),
            Some(naming) => naming.of(captured).ok_or(Reason::ResourceMissing),
        };
        let (namespace, name) = (named(&self.namespace)?, named(&self.name)?);
        let is_namespace = self.namespace.is_none() || Namespace::parse(&namespace).is_ok();
        let is_name = self.name.is_none() || is_object_name(&name);
        if !is_namespace || !is_name {
            return Err(Reason::ResourceAmbiguous);
        }
        Ok(AccessAttributes {
            namespace,
            verb: self.verb.clone().unwrap_or_else(|| verb_of(method).to_owned()),
            group: self.group.clone(),
            resource: self.resource.clone(),
            subresource: self.subresource.clone(),
            name,
        })
    }
}

/// The verb of a method (Kubernetes, "Determine the Request Verb"). One that Kubernetes does not know might do anything,
/// and so needs a role that may.
fn verb_of(method: &str) -> &'static str {
    match method {
        "GET" | "HEAD" | "OPTIONS" => "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "*",
    }
}

/// Whether an object of Kubernetes may be called so (`IsValidPathSegmentName`), and every server reads it alike.
fn is_object_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len())
        && !matches!(text, "." | "..")
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'%' | b'\\' | b';' | b'#' | b'?'))
}

/// Who would do it, as Kubernetes knows them: by the very name that services are told.
pub(super) fn subject(principal: &Principal, with_groups_of_people: bool) -> AccessSubject {
    let groups = || principal.groups().names().iter().map(|group| group.as_str().to_owned());
    match principal {
        Principal::User(user) => AccessSubject {
            user: user.userid.as_str().to_owned(),
            groups: if with_groups_of_people {
                groups().chain([AUTHENTICATED.to_owned()]).collect()
            } else {
                Vec::new()
            },
            ..AccessSubject::default()
        },
        Principal::ServiceAccount(account) => AccessSubject {
            user: account.username(),
            uid: account.uid.clone(),
            groups: groups().collect(),
            extra: account.extra.clone(),
        },
    }
}

#[cfg(test)]
mod tests;
