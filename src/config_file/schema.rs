//! The JSON Schema of the configuration, generated from the types that read it.

use schemars::{JsonSchema, schema_for};
use serde_json::Value;

use super::{
    error::{FieldPath, Segment},
    forms,
};

/// The JSON Schema (draft 2020-12) of the configuration file, as the documentation publishes it.
#[must_use]
pub fn json_schema() -> Value {
    schema_for!(forms::File).to_value()
}

/// What the schema of a form says about the field at `path`: what to write there.
pub(super) fn describe<Form: JsonSchema>(path: &FieldPath) -> Option<String> {
    let root = schema_for!(Form).to_value();
    let mut node = &root;
    for segment in path.segments() {
        let target = follow(&root, node);
        node = match segment {
            Segment::Key(key) => target.get("properties")?.get(key)?,
            Segment::Index(_) => target.get("items")?,
        };
    }
    let text = node.get("description").or_else(|| follow(&root, node).get("description"))?;
    Some(text.as_str()?.replace('\n', " "))
}

/// The schema that `node` refers to: through `$ref`, and through the "or null" of an optional field.
fn follow<'a>(root: &'a Value, node: &'a Value) -> &'a Value {
    let alternative = node
        .get("anyOf")
        .and_then(Value::as_array)
        .and_then(|alternatives| alternatives.iter().find(|one| one.get("$ref").is_some()))
        .unwrap_or(node);
    let name = alternative.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix("#/$defs/"));
    name.and_then(|name| root.get("$defs")?.get(name)).unwrap_or(alternative)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_says_what_to_write() {
        fn walk(root: &Value, node: &Value, at: &str, missing: &mut Vec<String>) {
            let target = follow(root, node);
            if let Some(items) = target.get("items") {
                walk(root, items, &format!("{at}[]"), missing);
            }
            for (key, field) in target.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let at = format!("{at}.{key}");
                if field.get("description").is_none() {
                    missing.push(at.clone());
                }
                walk(root, field, &at, missing);
            }
        }
        let root = json_schema();
        let mut missing = Vec::new();
        walk(&root, &root, "", &mut missing);
        assert_eq!(missing, Vec::<String>::new());
    }

    #[test]
    fn a_field_is_found_through_lists_and_optional_fields() {
        let path = FieldPath::root().key("providers").index(0).key("client_secret").key("file");
        assert!(describe::<forms::File>(&path).is_some_and(|text| text.starts_with("The absolute path of a file")));
        assert_eq!(describe::<forms::File>(&FieldPath::root().key("providers").index(0).key("colour")), None);
    }

    /// `portcullis schema > docs/configuration.schema.json` writes it.
    #[test]
    fn the_committed_schema_is_the_generated_one() {
        let committed = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.schema.json"));
        let committed: Value = serde_json::from_str(committed).unwrap();
        assert!(
            committed == json_schema(),
            "docs/configuration.schema.json is stale: `cargo run -- schema > docs/configuration.schema.json`",
        );
    }
}
