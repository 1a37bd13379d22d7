//! A record of the audit log: who did what, about what, and what came of it. It never holds a credential.

use std::fmt;

/// The most bytes of a value that a record keeps.
const MAX_BYTES: usize = 1024;

/// What somebody did.
#[derive(Clone, Copy, Debug)]
pub struct Audited<'a> {
    /// The act, in `snake_case`.
    pub act: &'static str,
    /// What it is about. It may come from outside, and is escaped.
    pub about: &'a str,
    /// Whether it was done; else it failed.
    pub is_done: bool,
    /// What came of it.
    pub detail: &'a str,
}

impl Audited<'_> {
    /// `done` or `failed`.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        if self.is_done { "done" } else { "failed" }
    }

    /// Writes the record. Whoever needs it to be kept holds [`super::Log::audit_place`] meanwhile.
    pub fn record(&self, by: &dyn fmt::Display) {
        tracing::info!(
            target: "portcullis::audit",
            caller = %by,
            act = self.act,
            about = ?cut(self.about),
            outcome = self.outcome(),
            detail = cut(self.detail),
            "administration"
        );
    }
}

/// The beginning of a text, at a character's boundary.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_BYTES)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_cut_between_characters() {
        assert_eq!(cut("user alice"), "user alice");
        assert_eq!(cut(&"a".repeat(5000)).len(), MAX_BYTES);
        assert_eq!(cut(&format!("a{}", "ü".repeat(5000))).len(), MAX_BYTES - 1);
    }
}
