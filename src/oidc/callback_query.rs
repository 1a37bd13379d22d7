//! The query of a callback: the provider's answer, as the browser brings it (RFC 6749 section 4.1.2).

use std::fmt;

use url::form_urlencoded;

/// The longest query that is read, in bytes.
const MAX_QUERY_BYTES: usize = 16 * 1024;
/// The longest code or error, in bytes.
const MAX_VALUE_BYTES: usize = 4 * 1024;

/// The parameters that decide, each of which came at most once. They do not print.
#[derive(Default, PartialEq, Eq)]
pub(super) struct CallbackQuery {
    /// The sealed state.
    pub(super) state: Option<String>,
    /// The authorization code.
    pub(super) code: Option<String>,
    /// Who answered (RFC 9207 section 2).
    pub(super) issuer: Option<String>,
    /// What went wrong (RFC 6749 section 4.1.2.1).
    pub(super) error: Option<String>,
    /// The provider's own words for that. They decide nothing, and so may come twice: the first counts.
    pub(super) error_description: Option<String>,
}

impl fmt::Debug for CallbackQuery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CallbackQuery [redacted]")
    }
}

impl CallbackQuery {
    /// Reads a query; `None` where it is too large or says one thing twice. Unknown parameters are ignored, as RFC 6749
    /// section 4.1.2 asks.
    pub(super) fn parse(query: &str) -> Option<Self> {
        if query.len() > MAX_QUERY_BYTES {
            return None;
        }
        let mut parsed = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match name.as_ref() {
                "state" => &mut parsed.state,
                "code" => &mut parsed.code,
                "iss" => &mut parsed.issuer,
                "error" => &mut parsed.error,
                "error_description" => {
                    parsed.error_description.get_or_insert_with(|| value.into_owned());
                    continue;
                }
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        Some(parsed)
    }

    /// The code, where there is one that can be one: visible ASCII and spaces (RFC 6749 appendix A.11), of sane length.
    pub(super) fn usable_code(&self) -> Option<&str> {
        let code = self.code.as_deref()?;
        let acceptable = (1..=MAX_VALUE_BYTES).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        acceptable.then_some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_strangers_ignored() {
        let query = CallbackQuery::parse("state=a&code=b%20c+d&iss=https%3A%2F%2Fidp&session_state=x&x=1&x=2").unwrap();
        assert_eq!(query.state.as_deref(), Some("a"));
        assert_eq!(query.usable_code(), Some("b c d"));
        assert_eq!(query.issuer.as_deref(), Some("https://idp"));
        assert_eq!(query.error, None);
    }

    #[test]
    fn nothing_may_be_said_twice() {
        for query in ["state=a&state=a", "state=a&code=b&c%6fde=c", "iss=a&iss=b", "error=a&error=a", "state&state"] {
            assert_eq!(CallbackQuery::parse(query), None, "{query}");
        }
        assert_eq!(CallbackQuery::parse(&format!("state={}", "a".repeat(MAX_QUERY_BYTES))), None);
    }

    #[test]
    fn a_code_is_visible_ascii_of_sane_length() {
        for query in ["code=", "code=%0d%0a", "code=%c3%bc", "state=a", &format!("code={}", "a".repeat(4097))] {
            assert_eq!(CallbackQuery::parse(query).unwrap().usable_code(), None, "{query}");
        }
    }
}
