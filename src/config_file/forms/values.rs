//! Values that occur in many places.

use std::{borrow::Cow, path::PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A duration as it is written, such as `5s`, `90m` or `24h`. Read in the resolving step, so that every wrong one is
/// reported.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct DurationText(pub(crate) String);

impl From<&str> for DurationText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A duration such as `5s`, `90m`, `24h` or `1h 30m`.",
            "examples": ["5s", "90m", "24h"],
        })
    }
}

/// Where a secret is read from: exactly one of `file` and `env`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secret {
    /// The absolute path of a file that holds the secret; a newline at its end is dropped.
    #[serde(default)]
    pub(crate) file: Option<PathBuf>,
    /// The name of an environment variable that holds the secret.
    #[serde(default)]
    pub(crate) env: Option<String>,
}
