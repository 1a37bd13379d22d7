//! What others say, fit for a log.

use std::fmt::{Display, Write as _};

/// The most of an outside text that is logged, in bytes.
const MAX_BYTES: usize = 256;

/// `text` with every character escaped that is not visible ASCII or a space, cut at 256 bytes.
pub(crate) fn for_log(text: &impl Display) -> String {
    let mut bounded = Bounded(String::new());
    // The only error is that the bound is reached.
    let _ = write!(bounded, "{text}");
    bounded.0
}

struct Bounded(String);

impl std::fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for character in text.chars() {
            let plain = matches!(character, ' '..='~');
            let escaped = if plain { character.to_string() } else { character.escape_default().to_string() };
            if self.0.len() + escaped.len() > MAX_BYTES {
                return Err(std::fmt::Error);
            }
            self.0.push_str(&escaped);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_text_cannot_break_a_line_or_fill_a_disk() {
        assert_eq!(for_log(&"it's `a`\r\n\u{1b}[31mü"), "it's `a`\\r\\n\\u{1b}[31m\\u{fc}");
        assert_eq!(for_log(&"a".repeat(100_000)).len(), MAX_BYTES);
        assert!(for_log(&"ü".repeat(100_000)).len() <= MAX_BYTES);
    }
}
