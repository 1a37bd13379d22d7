//! Strict JSON: a name that occurs twice in one object is refused, since two readers would take two values (RFC 8259
//! section 4, RFC 7515 section 4).

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The deepest nesting that is read: more than any token or key set needs.
const MAX_DEPTH: usize = 16;
/// The most values that are read, those in lists and objects included. A value takes many times the bytes of its shortest
/// text, so the length of a text alone does not bound what it takes in memory.
const MAX_VALUES: usize = 16 * 1024;

/// Reads one JSON object and nothing beside it, strictly: `None` where `text` is no JSON, no object, nests more than 16
/// levels deep, holds more than 16,384 values, or has a name twice in one object, since two readers would take two values (RFC 8259 section 4).
#[must_use]
pub fn parse_object(text: &[u8]) -> Option<Map<String, Value>> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let left = Cell::new(MAX_VALUES);
    let value = Strict { depth: MAX_DEPTH, left: &left }.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// Reads one value, at most `depth` levels of it, and of all at most `left`.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    left: &'a Cell<usize>,
}

impl Strict<'_> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        self.depth.checked_sub(1).map(|depth| Self { depth, ..self }).ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        self.left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name occurs twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_occur_twice_are_refused_wherever_they_stand() {
        for text in
            [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"{"x":{"a":1,"a":1}}"#, r#"{"x":[1,{"a":1,"b":2,"a":1}]}"#]
        {
            assert_eq!(parse_object(text.as_bytes()), None, "{text}");
        }
        assert!(parse_object(br#"{"a":{"a":1},"b":[{"a":1},{"a":2}],"A":0}"#).is_some());
    }

    #[test]
    fn only_one_whole_object_is_read() {
        for text in
            ["", "null", "[]", "1", "\"a\"", "{}{}", "{} x", "{\"a\":1,}", "{a:1}", "{\"a\":1e999}", "{\"a\":NaN}"]
        {
            assert_eq!(parse_object(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_object(b"{\"a\":\"\xff\"}"), None);
        assert_eq!(parse_object(br#"{"a":"\ud800"}"#), None);
        assert_eq!(parse_object(b"\xef\xbb\xbf{}"), None);
        assert!(parse_object(b" {} ").is_some());
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse_object(nested(MAX_DEPTH - 1).as_bytes()).is_some());
        assert!(parse_object(nested(MAX_DEPTH).as_bytes()).is_none());
        assert!(parse_object(nested(100_000).as_bytes()).is_none());
    }

    #[test]
    fn values_are_counted_wherever_they_stand() {
        let list = |values: usize| format!("{{\"a\":[{}]}}", vec!["0"; values].join(","));
        // The object and the list are two.
        assert!(parse_object(list(MAX_VALUES - 2).as_bytes()).is_some());
        assert!(parse_object(list(MAX_VALUES - 1).as_bytes()).is_none());
        let objects = format!("{{\"a\":[{}]}}", vec!["{}"; MAX_VALUES].join(","));
        assert!(parse_object(objects.as_bytes()).is_none());
    }

    proptest! {
        #[test]
        fn what_serde_json_reads_without_repeats_is_read_the_same(
            names in proptest::collection::btree_set("[a-c\"\\\\é]{0,3}", 0..6),
            numbers in proptest::collection::vec(proptest::num::f64::NORMAL, 6),
        ) {
            let object: Map<String, Value> =
                names.into_iter().zip(numbers).map(|(name, number)| (name, serde_json::json!([number, null, {"x": true}]))).collect();
            let text = serde_json::to_vec(&object).unwrap();
            prop_assert_eq!(parse_object(&text), serde_json::from_slice(&text).unwrap());
        }
    }
}
