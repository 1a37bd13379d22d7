//! What many fields have in common.

use crate::{
    config_file::{FieldError, FieldPath},
    config_values::Context,
};

/// What may be left out: nothing where what is written is wrong, `Some(None)` where nothing is written.
#[expect(clippy::option_option, reason = "nothing can be told, or there is nothing")]
pub(super) fn optional<Written, Value>(
    written: Option<Written>,
    read: impl FnOnce(Written) -> Option<Value>,
) -> Option<Option<Value>> {
    match written {
        Some(written) => read(written).map(Some),
        None => Some(None),
    }
}

/// Every item of a list, so that every wrong one is told.
pub(super) fn each<Raw, Item>(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &[Raw],
    mut read: impl FnMut(&mut Context<'_>, &FieldPath, &Raw) -> Option<Item>,
) -> Option<Vec<Item>> {
    let items: Vec<Option<Item>> =
        written.iter().enumerate().map(|(index, written)| read(context, &at.index(index), written)).collect();
    items.into_iter().collect()
}

pub(super) fn visible(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<String> {
    if !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && text.trim() == text {
        return Some(text.to_owned());
    }
    context.refuse(
        FieldError::new(at, "it is empty, or holds something else than visible ASCII")
            .found(text)
            .write("write visible ASCII characters"),
    )
}
