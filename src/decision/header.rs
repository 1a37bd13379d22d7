//! Headers that we send: validated, never empty, and never both set and removed.

use std::{fmt, sync::Arc};

use thiserror::Error;

use crate::memory;

/// A header's name in lower case (RFC 9110 section 5.1).
pub type HeaderName = http::HeaderName;

/// Why a text cannot be a header's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderTextError {
    /// An empty value means different things to different proxies: remove the header instead.
    #[error("a header's value must not be empty")]
    Empty,
    /// A control would end the header or the message.
    #[error("a header's value must not hold a control character")]
    Control,
    /// Proxies trim such spaces.
    #[error("a header's value must not begin or end with a space")]
    Space,
}

/// The value of a header that we send: not empty, no control (so no CR, LF or NUL), no space at its ends.
///
/// Envoy does not check the values of a denial: a CR LF in one would be a second header on the client's wire.
///
/// It may be an assertion, a ticket or a place with a sealed state in it, and does not print.
#[derive(Clone)]
pub struct HeaderText(Text);

#[derive(Clone)]
enum Text {
    Written(&'static str),
    Owned(String),
    Shared(Arc<str>),
}

impl fmt::Debug for HeaderText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[{} bytes]", self.as_str().len())
    }
}

impl PartialEq for HeaderText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for HeaderText {}

impl HeaderText {
    /// Reads a value.
    ///
    /// # Errors
    /// Where it is empty, holds a control or begins or ends with white space.
    pub fn parse(text: impl Into<String>) -> Result<Self, HeaderTextError> {
        let text = text.into();
        refuse(&text)?;
        Ok(Self(Text::Owned(text)))
    }

    /// Reads a value that is sent many times: clones of it are not copied.
    ///
    /// # Errors
    /// As for [`HeaderText::parse`].
    pub fn parse_shared(text: &str) -> Result<Self, HeaderTextError> {
        refuse(text)?;
        Ok(Self(Text::Shared(text.into())))
    }

    /// A value that is written in the source.
    ///
    /// # Panics
    /// Where the value is none that [`HeaderText::parse`] takes.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the text stands in the source")]
    pub fn from_static(text: &'static str) -> Self {
        refuse(text).expect("a value written in the source is a valid one");
        Self(Text::Written(text))
    }

    /// About how many bytes it takes in memory, beside its place.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Text::Written(_) => 0,
            Text::Owned(text) => memory::block(text.capacity()),
            Text::Shared(text) => memory::block(text.len() + 2 * size_of::<usize>()),
        }
    }

    /// The value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Written(text) => text,
            Text::Owned(text) => text,
            Text::Shared(text) => text,
        }
    }
}

fn refuse(text: &str) -> Result<(), HeaderTextError> {
    if text.is_empty() {
        return Err(HeaderTextError::Empty);
    }
    // Nearly every value is ASCII, and its bytes are its characters.
    let is_control = if text.is_ascii() {
        text.bytes().any(|byte| byte.is_ascii_control())
    } else {
        text.chars().any(char::is_control)
    };
    if is_control {
        return Err(HeaderTextError::Control);
    }
    if text.trim().len() == text.len() { Ok(()) } else { Err(HeaderTextError::Space) }
}

/// A name in lower case. A removal may name what is no valid header to us but was received.
#[derive(Clone)]
enum Name {
    Known(HeaderName),
    Received(Box<str>),
}

impl Name {
    fn as_str(&self) -> &str {
        match self {
            Self::Known(name) => name.as_str(),
            Self::Received(name) => name,
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Name {}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Mutation {
    Set(HeaderText),
    Remove,
}

/// What happens to the headers of a request that goes on, and to those of the upstream's response.
///
/// A name is either set or removed, never both: Envoy and agentgateway carry the two out in opposite orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mutations {
    // By name, each once.
    request: Vec<(Name, Mutation)>,
    response: Vec<(HeaderName, HeaderText)>,
}

impl Mutations {
    /// No change.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No change yet, with room for so many of the request's headers.
    #[must_use]
    pub fn with_room_for(headers: usize) -> Self {
        Self { request: Vec::with_capacity(headers), response: Vec::new() }
    }

    /// Replaces every value of the request's header `name` by this one.
    pub fn set(&mut self, name: &HeaderName, value: HeaderText) {
        let place = self.place(name.as_str());
        put(&mut self.request, place, (Name::Known(name.clone()), Mutation::Set(value)));
    }

    /// Removes the request's header `name`, unless it is set. As [`Mutations::remove`], without a copy of the name.
    pub fn remove_known(&mut self, name: &HeaderName) {
        if let Err(at) = self.place(name.as_str()) {
            self.request.insert(at, (Name::Known(name.clone()), Mutation::Remove));
        }
    }

    /// Removes the request's header `name`, in any case and as it was received, unless it is set.
    pub fn remove(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        if let Err(at) = self.place(&name) {
            self.request.insert(at, (Name::Received(name.into()), Mutation::Remove));
        }
    }

    /// Replaces every value of the upstream response's header `name` by this one.
    pub fn set_response(&mut self, name: &HeaderName, value: HeaderText) {
        let place = self.response.binary_search_by(|(have, _)| have.as_str().cmp(name.as_str()));
        put(&mut self.response, place, (name.clone(), value));
    }

    /// The request headers to set, by name in lower case.
    pub fn sets(&self) -> impl Iterator<Item = (&str, &HeaderText)> {
        self.request.iter().filter_map(|(name, mutation)| match mutation {
            Mutation::Set(value) => Some((name.as_str(), value)),
            Mutation::Remove => None,
        })
    }

    /// The request headers to remove, by name in lower case.
    pub fn removes(&self) -> impl Iterator<Item = &str> {
        self.request.iter().filter(|(_, mutation)| *mutation == Mutation::Remove).map(|(name, _)| name.as_str())
    }

    /// The response headers to set, by name in lower case.
    pub fn response_sets(&self) -> impl Iterator<Item = (&str, &HeaderText)> {
        self.response.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Where a name stands, or belongs.
    fn place(&self, name: &str) -> Result<usize, usize> {
        self.request.binary_search_by(|(have, _)| have.as_str().cmp(name))
    }
}

/// Puts an entry in the place of the one that stands there, or where it belongs.
fn put<T>(entries: &mut Vec<T>, place: Result<usize, usize>, entry: T) {
    match place {
        Ok(at) => {
            if let Some(before) = entries.get_mut(at) {
                *before = entry;
            }
        }
        Err(at) => entries.insert(at, entry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_set_or_removed_never_both() {
        let name = HeaderName::from_static("kubeflow-userid");
        for set_first in [true, false] {
            let mut mutations = Mutations::new();
            if set_first {
                mutations.set(&name, HeaderText::from_static("a"));
            }
            mutations.remove("Kubeflow-UserID");
            mutations.remove_known(&name);
            mutations.set(&name, HeaderText::from_static("a"));
            assert_eq!(mutations.sets().count(), 1);
            assert_eq!(mutations.removes().count(), 0);
        }
    }

    #[test]
    fn no_value_prints() {
        let mut mutations = Mutations::new();
        mutations.set(&HeaderName::from_static("portcullis-assertion"), HeaderText::from_static("hunter2"));
        mutations.set_response(&HeaderName::from_static("set-cookie"), HeaderText::from_static("a=hunter2"));
        let printed = format!("{mutations:?}");
        assert!(printed.contains("portcullis-assertion") && !printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn values_cannot_split_a_response() {
        for bad in ["a\r\nb", "a\nb", "a\0", "\u{85}", "a\u{7f}"] {
            assert_eq!(HeaderText::parse(bad), Err(HeaderTextError::Control), "{bad:?}");
        }
        assert_eq!(HeaderText::parse(""), Err(HeaderTextError::Empty));
        assert_eq!(HeaderText::parse(" a"), Err(HeaderTextError::Space));
        assert!(HeaderText::parse("Größe, b").is_ok());
    }
}
