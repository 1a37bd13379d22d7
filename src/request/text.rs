//! Many short texts in one allocation: what came of a request is copied once, and looked at in place.

/// A place in a [`Text`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    start: u32,
    length: u32,
}

impl Span {
    /// How long the text there is, in bytes.
    pub(super) const fn len(self) -> usize {
        self.length as usize
    }
}

/// Texts, one after the other.
#[derive(Clone, Default)]
pub(super) struct Text(String);

impl Text {
    /// With room for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// Adds a text. Beyond 4 GiB, which no message comes near, it is an empty one.
    pub(super) fn push(&mut self, text: &str) -> Span {
        let (Ok(start), Ok(length)) = (u32::try_from(self.0.len()), u32::try_from(text.len())) else {
            return Span::default();
        };
        self.0.push_str(text);
        Span { start, length }
    }

    /// Adds a text in lower case, as far as it is ASCII.
    pub(super) fn push_lower(&mut self, text: &str) -> Span {
        let span = self.push(text);
        if let Some(added) = self.0.get_mut(span.start as usize..) {
            added.make_ascii_lowercase();
        }
        span
    }

    /// The text there.
    pub(super) fn at(&self, span: Span) -> &str {
        let start = span.start as usize;
        self.0.get(start..start + span.len()).unwrap_or_default()
    }

    /// Whether the text there is this one.
    pub(super) fn is(&self, span: Span, text: &str) -> bool {
        span.len() == text.len() && self.at(span) == text
    }
}
