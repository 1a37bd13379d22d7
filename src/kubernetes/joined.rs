//! Texts as one field.

/// The texts as one field that no other list of texts gives.
pub(super) fn joined<Text: AsRef<str>>(texts: impl IntoIterator<Item = Text>) -> Vec<u8> {
    let mut field = Vec::new();
    for text in texts {
        let text = text.as_ref();
        field.extend((text.len() as u64).to_be_bytes());
        field.extend(text.as_bytes());
    }
    field
}
