//! Whose a token says that it is: all that is read of one that may be anybody's.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::token::{Parts, TokenError, decode_header};
use crate::secret;

/// The issuer (`iss`, RFC 7519 section 4.1.1) that a JWT in JWS compact form names; `None` where it names none in text.
///
/// Everything else in it may be as it likes: whether a token is ours to judge is its issuer's to say, and its shape is
/// judged by whoever it is for. So this takes any length, with work and memory of that length.
///
/// # Errors
/// [`TokenError::NotJwt`] and [`TokenError::Encrypted`] for what is some other credential; [`TokenError::Malformed`]
/// where two readers could take two issuers: one that is there twice, or what is nearly JSON.
pub fn stated_issuer(text: &str) -> Result<Option<String>, TokenError> {
    let parts = Parts::split(text)?;
    let header = decode_header(parts.header).ok_or(TokenError::NotJwt)?;
    // Every JOSE header has an `alg`; other signed strings in three parts begin with a JSON object too.
    member(&header, "alg").map_err(|_| TokenError::Malformed("header"))?.ok_or(TokenError::NotJwt)?;
    let claims = secret::decode(parts.claims).ok_or(TokenError::Malformed("claims"))?;
    if !claims.trim_ascii_start().starts_with(b"{") {
        // Signed, and no claims: RFC 7515 takes any payload.
        return Err(TokenError::NotJwt);
    }
    member(&claims, "iss").map_err(|_| TokenError::Malformed("claims"))
}

/// The text of this name in a JSON object; `None` where it is not there, or no text. Nothing else is kept.
fn member(object: &[u8], name: &'static str) -> Result<Option<String>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(object);
    let found = Member(name).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(found)
}

/// Reads the text of this name, which may be there once.
struct Member(&'static str);

impl<'de> DeserializeSeed<'de> for Member {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = entries.next_key::<String>()? {
            if name != self.0 {
                entries.next_value::<IgnoredAny>()?;
            } else if found.replace(entries.next_value::<Text>()?.0).is_some() {
                return Err(A::Error::custom("a name occurs twice"));
            }
        }
        Ok(found.flatten())
    }
}

/// A text; nothing where the value is something else.
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(Some(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Text, E> {
        Ok(Text(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Text, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Text, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::jose::peek;

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", secret::encode(header.as_bytes()), secret::encode(claims.as_bytes()))
    }

    fn of(claims: &str) -> Result<Option<String>, TokenError> {
        stated_issuer(&token(r#"{"alg":"HS256"}"#, claims))
    }

    #[test]
    fn the_issuer_is_read_whatever_else_a_token_says() {
        let long = format!(r#"{{"iss":"https://a","filler":"{}"}}"#, "x".repeat(40_000));
        for claims in [
            r#"{"iss":"https://a"}"#,
            r#"{"sub":1,"aud":null,"jti":null,"exp":"1900000000","iss":"https://a"}"#,
            r#"{"exp":1,"exp":2,"iss":"https://a"}"#,
            r#"{"\u0069ss":"https:\/\/a"}"#,
            r#" {"iss":"https://a","nested":{"iss":"https://b","x":[{"iss":1}]}} "#,
            &long,
        ] {
            assert_eq!(of(claims), Ok(Some("https://a".to_owned())), "{claims:.80}");
        }
        let header = r#"{"alg":"RS256","kid":7,"crit":["x"],"b64":false,"kid":8}"#;
        assert_eq!(stated_issuer(&token(header, r#"{"iss":"https://a"}"#)), Ok(Some("https://a".to_owned())));
        // The signature is judged by whoever the token is for.
        assert_eq!(stated_issuer(&format!("{}==", token(header, "{}"))), Ok(None));
    }

    #[test]
    fn what_names_no_issuer_in_text_has_none() {
        for claims in ["{}", r#"{"iss":null}"#, r#"{"iss":7}"#, r#"{"iss":["https://a"]}"#, r#"{"iss":{"iss":"a"}}"#] {
            assert_eq!(of(claims), Ok(None), "{claims}");
        }
        for payload in ["", "[1]", "\"text\"", "7", "\u{1}\u{2}", "plain words"] {
            assert_eq!(of(payload), Err(TokenError::NotJwt), "{payload:?}");
        }
        for text in ["", "opaque", "a.b.c", &token("{}", "{}"), &token(r#"{"alg":1}"#, "{}"), &token("[]", "{}")] {
            assert_eq!(stated_issuer(text), Err(TokenError::NotJwt), "{text}");
        }
    }

    #[test]
    fn what_two_readers_could_take_for_two_issuers_has_none_that_counts() {
        for claims in [
            r#"{"iss":"https://a","iss":"https://b"}"#,
            r#"{"iss":"https://a","\u0069ss":"https://a"}"#,
            r#"{"iss":null,"iss":"https://a"}"#,
            r#"{"iss":"https://a",}"#,
            r#"{"iss":"https://a"}{"iss":"https://b"}"#,
            r#"{"iss":"https://a"#,
        ] {
            assert_eq!(of(claims), Err(TokenError::Malformed("claims")), "{claims}");
        }
        let padded = token(r#"{"alg":"ES256"}"#, r#"{"iss":"https://a"}"#).replace(".c2ln", "==.c2ln");
        assert_eq!(stated_issuer(&padded), Err(TokenError::Malformed("claims")));
    }

    proptest! {
        /// A token that is read whole says the same issuer to both readers: none of ours is taken for another's.
        #[test]
        fn both_readers_read_one_issuer(
            issuer in "\\PC{0,12}",
            name in "[a-z]{1,4}",
            before in any::<bool>(),
            escaped in any::<bool>(),
        ) {
            prop_assume!(!["iss", "sub", "aud", "exp", "nbf", "iat", "jti"].contains(&name.as_str()));
            let iss = if escaped { r"\u0069\u0073s" } else { "iss" };
            let (iss, other) = (format!("\"{iss}\":{}", serde_json::json!(issuer)), format!("\"{name}\":[1]"));
            let claims = if before { format!("{{{other},{iss}}}") } else { format!("{{{iss},{other}}}") };
            let text = token(r#"{"alg":"RS256"}"#, &claims);
            let (stated, whole) = (stated_issuer(&text).unwrap(), peek(&text).unwrap());
            prop_assert_eq!(stated.as_deref(), whole.issuer());
        }
    }
}
