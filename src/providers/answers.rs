//! What of a provider's answers decides, and what does not: one table. `docs/provider-answers.md` tells it, and a test
//! compares.
//!
//! What decides is read strictly, where it is read: an answer without it, or with another, is refused with a reason. What
//! does not decide cannot make an answer unreadable: of another type than it should be it counts as not told, and is
//! counted. What stands in no row is not read at all.

use serde_json::{Map, Value};

use super::oddities::Oddities;

/// An answer of a provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    /// The discovery document (OpenID Connect Discovery section 3).
    Discovery,
    /// The token endpoint's answer (RFC 6749 section 5.1).
    Token,
    /// The ID token's claims (OpenID Connect Core section 2).
    IdToken,
    /// Userinfo (OpenID Connect Core section 5.3.2).
    Userinfo,
    /// Introspection (RFC 7662 section 2.2).
    Introspection,
    /// The logout token's claims (OpenID Connect Back-Channel Logout section 2.4).
    LogoutToken,
}

/// How a member is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Strictly: it decides.
    Decides,
    /// A list of texts decides; what is no list was not told.
    ListDecides,
    /// Leniently: of another type it was not told.
    Lenient(Kind),
}

/// Of which type a member should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Boolean,
    /// A number, or a text of one.
    Number,
    Texts,
    /// A text or a list of them, or what the configuration says it is.
    Any,
}

/// A member that is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) answer: Answer,
    pub(crate) name: &'static str,
    pub(crate) reading: Reading,
}

const fn member(answer: Answer, name: &'static str, reading: Reading) -> Member {
    Member { answer, name, reading }
}

use Answer::{Discovery, IdToken, Introspection, LogoutToken, Token, Userinfo};
use Reading::{Decides, Lenient, ListDecides};

/// Every member that is read.
pub(crate) const TABLE: &[Member] = &[
    member(Discovery, "issuer", Decides),
    member(Discovery, "authorization_endpoint", Decides),
    member(Discovery, "token_endpoint", Decides),
    member(Discovery, "jwks_uri", Decides),
    member(Discovery, "userinfo_endpoint", Decides),
    member(Discovery, "code_challenge_methods_supported", ListDecides),
    member(Discovery, "token_endpoint_auth_methods_supported", ListDecides),
    member(Discovery, "id_token_signing_alg_values_supported", ListDecides),
    member(Discovery, "authorization_response_iss_parameter_supported", Lenient(Kind::Boolean)),
    member(Discovery, "scopes_supported", Lenient(Kind::Texts)),
    member(Discovery, "end_session_endpoint", Lenient(Kind::Text)),
    member(Discovery, "revocation_endpoint", Lenient(Kind::Text)),
    member(Discovery, "introspection_endpoint", Lenient(Kind::Text)),
    member(Token, "access_token", Decides),
    member(Token, "token_type", Decides),
    member(Token, "id_token", Decides),
    member(Token, "refresh_token", Lenient(Kind::Text)),
    member(Token, "expires_in", Lenient(Kind::Number)),
    member(IdToken, "iss", Decides),
    member(IdToken, "sub", Decides),
    member(IdToken, "aud", Decides),
    member(IdToken, "azp", Decides),
    member(IdToken, "exp", Decides),
    member(IdToken, "iat", Decides),
    member(IdToken, "nbf", Decides),
    member(IdToken, "nonce", Decides),
    member(IdToken, "at_hash", Decides),
    member(IdToken, "c_hash", Decides),
    member(IdToken, "email", Decides),
    member(IdToken, "email_verified", Decides),
    member(IdToken, "groups", Lenient(Kind::Any)),
    member(IdToken, "_claim_names", Lenient(Kind::Any)),
    member(IdToken, "hasgroups", Lenient(Kind::Boolean)),
    member(IdToken, "sid", Lenient(Kind::Text)),
    member(IdToken, "auth_time", Lenient(Kind::Number)),
    member(IdToken, "acr", Lenient(Kind::Text)),
    member(IdToken, "amr", Lenient(Kind::Any)),
    member(IdToken, "jti", Lenient(Kind::Text)),
    member(Userinfo, "sub", Decides),
    member(Userinfo, "email", Decides),
    member(Userinfo, "email_verified", Decides),
    member(Userinfo, "groups", Lenient(Kind::Any)),
    member(Introspection, "active", Decides),
    member(Introspection, "sub", Decides),
    member(LogoutToken, "iss", Decides),
    member(LogoutToken, "aud", Decides),
    member(LogoutToken, "iat", Decides),
    member(LogoutToken, "exp", Decides),
    member(LogoutToken, "nbf", Decides),
    member(LogoutToken, "jti", Decides),
    member(LogoutToken, "events", Decides),
    member(LogoutToken, "nonce", Decides),
    member(LogoutToken, "sub", Decides),
    member(LogoutToken, "sid", Decides),
];

impl Answer {
    /// What it is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Discovery => "discovery document",
            Self::Token => "token answer",
            Self::IdToken => "ID token",
            Self::Userinfo => "userinfo",
            Self::Introspection => "introspection",
            Self::LogoutToken => "logout token",
        }
    }

    /// Counts the members of an answer that decide nothing and are of another type than they should be; the first of each
    /// is told.
    pub(crate) fn note_odd(self, members: &Map<String, Value>, oddities: &Oddities) {
        for member in self.odd(members) {
            oddities.note_type(self.name(), member);
        }
    }

    /// The members that decide nothing and are of another type than they should be.
    pub(crate) fn odd(self, members: &Map<String, Value>) -> impl Iterator<Item = &'static str> {
        TABLE.iter().filter(move |member| member.answer == self).filter_map(|member| match member.reading {
            Lenient(kind) => {
                let value = members.get(member.name).filter(|value| !value.is_null())?;
                (!kind.holds(value)).then_some(member.name)
            }
            Decides | ListDecides => None,
        })
    }
}

impl Kind {
    fn holds(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Boolean => value.is_boolean(),
            Self::Number => value.is_number() || value.as_str().is_some_and(|text| text.parse::<f64>().is_ok()),
            Self::Texts => value.as_array().is_some_and(|values| values.iter().all(Value::is_string)),
            Self::Any => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_tell_the_table_row_by_row() {
        let document = include_str!("../../docs/provider-answers.md");
        let rows: Vec<String> = TABLE
            .iter()
            .map(|member| {
                let reading = match member.reading {
                    Decides => "decides",
                    ListDecides => "decides, where it is a list",
                    Lenient(_) => "lenient",
                };
                format!("| {} | `{}` | {reading} |", member.answer.name(), member.name)
            })
            .collect();
        let told: Vec<&str> = document.lines().filter(|line| line.starts_with("| ") && line.contains("` | ")).collect();
        let beginnings: Vec<&str> = told.iter().map(|line| line.rsplit_once(" | ").unwrap().0).collect();
        let missing: Vec<_> =
            rows.iter().filter(|row| !told.iter().any(|line| line.starts_with(row.as_str()))).collect();
        assert!(missing.is_empty(), "write these rows: {missing:#?}");
        assert_eq!(beginnings.len(), rows.len(), "the document tells a row that is none");
    }
}
