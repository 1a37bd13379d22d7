//! Keycloak's representations of what it holds.

use anyhow::{Context, Result};
use serde_json::Value;

/// The value of a field, which is a text.
pub(super) fn text<'a>(representation: &'a Value, field: &str) -> Result<&'a str> {
    representation[field].as_str().with_context(|| format!("no {field} in {representation}"))
}
