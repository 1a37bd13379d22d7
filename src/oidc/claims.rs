//! A provider's claims become a person's names.
//!
//! Names come from one claim each, never from the next best one: a fall-back would let one person take another's name.
//! An e-mail address counts only where the provider vouches for it. See [`crate::principal`] for what names must keep.

use serde_json::{Map, Value};
use thiserror::Error;

use crate::{
    principal::{Email, Groups, NameError, ProviderName, User, Userid, is_unseen},
    providers::ClaimsConfig,
};

/// Claims by name.
pub(super) type Claims = Map<String, Value>;

const EMAIL: &str = "email";
const EMAIL_VERIFIED: &str = "email_verified";
/// The longest subject identifier, in bytes (OpenID Connect Core section 2).
const MAX_SUBJECT_BYTES: usize = 255;

/// The most groups that a person may be in, and the most bytes of their names: each check goes through all of them.
/// Directories that name thousands have stopped being told apart by rules long before.
const MAX_GROUPS: usize = 4096;
const MAX_GROUPS_BYTES: usize = 128 * 1024;

/// Why claims make no person.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum IdentityError {
    #[error("the subject is empty, longer than 255 bytes or holds a control character")]
    Subject,
    #[error("the claim `{0}` is missing or is no text")]
    Missing(String),
    #[error("the e-mail address is not usable: {0}")]
    Email(NameError),
    #[error("the provider does not say that the e-mail address is verified")]
    Unverified,
    #[error("there is no e-mail address in the configured domains")]
    Domain,
    #[error("the claim `{0}` holds an `@`: only `email` may name an address")]
    AddressFromAnotherClaim(String),
    #[error("the user id is not usable: {0}")]
    Userid(NameError),
    #[error("there are more than 4096 groups, or their names are longer than 128 KiB in all")]
    Groups,
}

/// Who signed in, from claims that were verified.
pub(super) struct Identified<'a> {
    /// The provider's name with us.
    pub(super) provider: &'a ProviderName,
    /// Its issuer identifier.
    pub(super) issuer: &'a str,
    /// The `sub` of the ID token; userinfo's is the same.
    pub(super) subject: &'a str,
    /// The ID token's claims.
    pub(super) id_token: &'a Claims,
    /// Userinfo's claims, where it was asked.
    pub(super) userinfo: Option<&'a Claims>,
}

/// The claims that make a person.
pub(super) fn wanted(config: &ClaimsConfig) -> impl Iterator<Item = &str> {
    [EMAIL, EMAIL_VERIFIED, config.userid_claim.as_str()].into_iter().chain(config.groups_claim.as_deref())
}

/// Whether the ID token lacks something that was configured, so that userinfo must be asked (OpenID Connect Core
/// section 5.3).
pub(super) fn needs_userinfo(config: &ClaimsConfig, id_token: &Claims) -> bool {
    let lacks = |name: &str| present(id_token, name).is_none();
    let wants_email = config.userid_claim == EMAIL || !config.email_domains.is_empty();
    let lacks_email = lacks(EMAIL) || (lacks(EMAIL_VERIFIED) && !config.trust_unverified_email);
    lacks(&config.userid_claim) || config.groups_claim.as_deref().is_some_and(lacks) || (wants_email && lacks_email)
}

/// Whether the claims that OpenID Connect Core section 5.1 defines and that are read here are of its types; the name of
/// one that is not. A text such as `"true"`, which some providers write, is let pass: it vouches for nothing.
pub(super) fn check_types(claims: &Claims) -> Result<(), &'static str> {
    if !present(claims, EMAIL).is_none_or(Value::is_string) {
        return Err(EMAIL);
    }
    let is_boolean = |value: &Value| value.is_boolean() || matches!(value.as_str(), Some("true" | "false"));
    if !present(claims, EMAIL_VERIFIED).is_none_or(is_boolean) {
        return Err(EMAIL_VERIFIED);
    }
    Ok(())
}

impl Identified<'_> {
    /// The person, under the rules of this provider's configuration.
    pub(super) fn user(&self, config: &ClaimsConfig) -> Result<User, IdentityError> {
        let usable = (1..=MAX_SUBJECT_BYTES).contains(&self.subject.len()) && !self.subject.chars().any(is_unseen);
        if !usable {
            return Err(IdentityError::Subject);
        }
        let email = self.email(config);
        if !config.email_domains.is_empty() && !matches!(&email, Ok(email) if in_domains(email, config)) {
            return Err(email.err().unwrap_or(IdentityError::Domain));
        }
        let name = if config.userid_claim == EMAIL {
            email.clone()?.as_str().to_owned()
        } else {
            self.plain_name(&config.userid_claim)?
        };
        let userid = Userid::parse(&format!("{}{name}", config.userid_prefix)).map_err(IdentityError::Userid)?;
        Ok(User {
            provider: self.provider.clone(),
            issuer: self.issuer.to_owned(),
            subject: self.subject.to_owned(),
            userid,
            email: email.ok(),
            groups: self.groups(config)?,
        })
    }

    /// The address, where the provider vouches for it. Address and voucher come from one answer: userinfo's word about
    /// one address says nothing about the ID token's.
    fn email(&self, config: &ClaimsConfig) -> Result<Email, IdentityError> {
        let complete = |claims: &&Claims| present(claims, EMAIL).is_some() && present(claims, EMAIL_VERIFIED).is_some();
        let with_address = |claims: &&Claims| present(claims, EMAIL).is_some();
        let answers = || [Some(self.id_token), self.userinfo].into_iter().flatten();
        let answer = answers().find(complete).or_else(|| answers().find(with_address));
        let missing = || IdentityError::Missing(EMAIL.to_owned());
        let answer = answer.ok_or_else(missing)?;
        let text = answer.get(EMAIL).and_then(Value::as_str).ok_or_else(missing)?;
        let email = Email::parse(text).map_err(IdentityError::Email)?;
        // Only the JSON value `true`; the text "true" is what OpenID Connect Core section 5.1 does not define.
        let verified = answer.get(EMAIL_VERIFIED) == Some(&Value::Bool(true));
        if verified || (config.trust_unverified_email && in_domains(&email, config)) {
            Ok(email)
        } else {
            Err(IdentityError::Unverified)
        }
    }

    /// A name that is no address.
    fn plain_name(&self, claim: &str) -> Result<String, IdentityError> {
        let value = self.claim(claim).and_then(Value::as_str);
        let name = value.ok_or_else(|| IdentityError::Missing(claim.to_owned()))?;
        if name.is_empty() {
            return Err(IdentityError::Userid(NameError::Empty));
        }
        if name.contains('@') {
            return Err(IdentityError::AddressFromAnotherClaim(claim.to_owned()));
        }
        Ok(name.to_owned())
    }

    /// The groups: an array of texts, or one text, which is one group and is not split. None is fine; more than can be
    /// gone through at each check are refused, since a list that was cut short would be another one.
    fn groups(&self, config: &ClaimsConfig) -> Result<Groups, IdentityError> {
        let values = match config.groups_claim.as_deref().and_then(|claim| self.claim(claim)) {
            None => &[],
            Some(Value::Array(values)) => values.as_slice(),
            Some(value) => std::slice::from_ref(value),
        };
        // What is no text counts as the empty name: dropped, and counted as such.
        let groups = Groups::from_provider(values.iter().map(|value| value.as_str().unwrap_or_default()));
        let bytes: usize = groups.names().iter().map(|group| group.as_str().len()).sum();
        if groups.names().len() > MAX_GROUPS || bytes > MAX_GROUPS_BYTES {
            return Err(IdentityError::Groups);
        }
        Ok(groups)
    }

    /// A claim of the ID token; userinfo's only where the ID token has none.
    fn claim(&self, name: &str) -> Option<&Value> {
        present(self.id_token, name).or_else(|| self.userinfo.and_then(|claims| present(claims, name)))
    }
}

fn present<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    claims.get(name).filter(|value| !value.is_null())
}

fn in_domains(email: &Email, config: &ClaimsConfig) -> bool {
    config.email_domains.iter().any(|domain| domain.eq_ignore_ascii_case(email.domain()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::principal::Group;

    fn config() -> ClaimsConfig {
        ClaimsConfig {
            userid_claim: "email".to_owned(),
            userid_prefix: String::new(),
            groups_claim: Some("groups".to_owned()),
            trust_unverified_email: false,
            email_domains: Vec::new(),
        }
    }

    fn user_of(config: &ClaimsConfig, id_token: Value, userinfo: Option<Value>) -> Result<User, IdentityError> {
        let map = |value: Value| value.as_object().unwrap().clone();
        let (id_token, userinfo) = (map(id_token), userinfo.map(map));
        let provider = ProviderName::parse("dex").unwrap();
        Identified {
            provider: &provider,
            issuer: "https://idp",
            subject: "s-1",
            id_token: &id_token,
            userinfo: userinfo.as_ref(),
        }
        .user(config)
    }

    #[test]
    fn a_verified_address_is_the_user_id() {
        let user = user_of(&config(), json!({"email": "A@Example.com", "email_verified": true, "groups": ["x"]}), None)
            .unwrap();
        assert_eq!(user.userid.as_str(), "a@example.com");
        assert_eq!(user.email.unwrap().as_str(), "a@example.com");
        assert!(user.groups.contains("x"));
    }

    #[test]
    fn an_unverified_address_names_nobody() {
        for verified in [json!(false), json!("true"), json!(1), json!(null)] {
            let claims = json!({"email": "a@example.com", "email_verified": verified});
            assert_eq!(user_of(&config(), claims, None), Err(IdentityError::Unverified), "{verified}");
        }
        let trusting =
            ClaimsConfig { trust_unverified_email: true, email_domains: vec!["example.com".to_owned()], ..config() };
        assert!(user_of(&trusting, json!({"email": "a@EXAMPLE.com"}), None).is_ok());
        assert_eq!(user_of(&trusting, json!({"email": "a@evil.com"}), None), Err(IdentityError::Unverified));
        // The word alone, without the domains, opens nothing.
        let careless = ClaimsConfig { trust_unverified_email: true, ..config() };
        assert_eq!(user_of(&careless, json!({"email": "a@example.com"}), None), Err(IdentityError::Unverified));
    }

    #[test]
    fn a_voucher_for_one_address_does_not_cover_another() {
        let userinfo = json!({"email": "mallory@evil.com", "email_verified": true});
        let user = user_of(&config(), json!({"email": "a@example.com"}), Some(userinfo)).unwrap();
        assert_eq!(user.userid.as_str(), "mallory@evil.com");
        let id_token = json!({"email": "a@example.com", "email_verified": false});
        let userinfo = json!({"email": "a@example.com", "email_verified": true});
        assert_eq!(user_of(&config(), id_token, Some(userinfo)), Err(IdentityError::Unverified));
        let split = user_of(&config(), json!({"email": "a@example.com"}), Some(json!({"email_verified": true})));
        assert_eq!(split, Err(IdentityError::Unverified));
    }

    #[test]
    fn other_claims_name_no_addresses_and_do_not_stand_in() {
        let config = ClaimsConfig { userid_claim: "preferred_username".to_owned(), ..config() };
        let claims = json!({"preferred_username": "victim@example.com"});
        assert!(matches!(user_of(&config, claims, None), Err(IdentityError::AddressFromAnotherClaim(_))));
        let claims = json!({"email": "a@example.com", "email_verified": true, "name": "a"});
        assert!(matches!(user_of(&config, claims, None), Err(IdentityError::Missing(_))));
        for value in [json!(5), json!(["a"]), json!({"a": 1}), json!(null)] {
            let claims = json!({"preferred_username": value});
            assert!(matches!(user_of(&config, claims, None), Err(IdentityError::Missing(_))));
        }
        let user = user_of(&config, json!({"preferred_username": "Alice"}), None).unwrap();
        assert_eq!((user.userid.as_str(), user.email), ("Alice", None));
    }

    #[test]
    fn names_stay_out_of_kubernetes_namespace() {
        let plain = ClaimsConfig { userid_claim: "name".to_owned(), ..config() };
        for name in ["system:masters", "SYSTEM:x", "", "a b", "ü", "a\r\nb"] {
            assert!(matches!(user_of(&plain, json!({"name": name}), None), Err(IdentityError::Userid(_))), "{name:?}");
        }
        let split = ClaimsConfig { userid_prefix: "sys".to_owned(), ..plain.clone() };
        assert!(matches!(user_of(&split, json!({"name": "tem:masters"}), None), Err(IdentityError::Userid(_))));
        let prefixed = ClaimsConfig { userid_prefix: "dex:".to_owned(), ..plain };
        let user = user_of(&prefixed, json!({"name": "system:x", "groups": "system:masters"}), None).unwrap();
        assert_eq!(user.userid.as_str(), "dex:system:x");
        assert_eq!((user.groups.names().len(), user.groups.dropped()), (0, 1));
    }

    #[test]
    fn domains_shut_out_everybody_else() {
        let config =
            ClaimsConfig { userid_claim: "name".to_owned(), email_domains: vec!["example.com".to_owned()], ..config() };
        let claims = |email: &str| json!({"name": "a", "email": email, "email_verified": true});
        assert!(user_of(&config, claims("a@example.com"), None).is_ok());
        assert_eq!(user_of(&config, claims("a@sub.example.com"), None), Err(IdentityError::Domain));
        assert!(user_of(&config, claims("a@x@example.com"), None).is_err());
        assert!(user_of(&config, json!({"name": "a"}), None).is_err());
    }

    #[test]
    fn groups_are_an_array_or_one_text_and_may_be_missing() {
        let names = |groups: Value| {
            let config = ClaimsConfig { userid_claim: "name".to_owned(), ..config() };
            let groups = user_of(&config, json!({"name": "a", "groups": groups}), None).unwrap().groups;
            (groups.names().iter().map(|group: &Group| group.as_str().to_owned()).collect::<Vec<_>>(), groups.dropped())
        };
        assert_eq!(names(json!(["a", "b", "a"])), (vec!["a".to_owned(), "b".to_owned()], 0));
        assert_eq!(names(json!("one")), (vec!["one".to_owned()], 0));
        assert_eq!(names(json!("a,b")), (vec![], 1));
        assert_eq!(names(json!([1, {"a": 1}, "x"])), (vec!["x".to_owned()], 2));
        assert_eq!(names(json!({"a": 1})), (vec![], 1));
        assert_eq!(names(json!(null)), (vec![], 0));
    }

    #[test]
    fn more_groups_than_a_check_can_go_through_are_refused_and_never_cut_short() {
        let groups = |count: usize, length: usize| {
            let config = ClaimsConfig { userid_claim: "name".to_owned(), ..config() };
            let groups: Vec<String> = (0..count).map(|number| format!("{number:0length$}")).collect();
            user_of(&config, json!({"name": "a", "groups": groups}), None).map(|user| user.groups.names().len())
        };
        assert_eq!(groups(MAX_GROUPS, 4), Ok(MAX_GROUPS));
        assert_eq!(groups(MAX_GROUPS + 1, 4), Err(IdentityError::Groups));
        assert_eq!(groups(1024, 128), Ok(1024));
        assert_eq!(groups(1025, 128), Err(IdentityError::Groups));
        // What is said again, or cannot be used, is none.
        let config = ClaimsConfig { userid_claim: "name".to_owned(), ..config() };
        let again = user_of(&config, json!({"name": "a", "groups": vec!["a"; 100_000]}), None).unwrap();
        assert_eq!(again.groups.names().len(), 1);
    }

    #[test]
    fn userinfo_is_asked_for_what_is_missing_only() {
        let needs = |claims: Value| needs_userinfo(&config(), claims.as_object().unwrap());
        assert!(!needs(json!({"email": "a", "email_verified": true, "groups": []})));
        assert!(needs(json!({"email": "a", "email_verified": true})));
        assert!(needs(json!({"email": "a", "groups": []})));
        assert!(needs(json!({"email": null, "email_verified": true, "groups": []})));
        let without_groups = ClaimsConfig { userid_claim: "sub".to_owned(), groups_claim: None, ..config() };
        assert!(!needs_userinfo(&without_groups, json!({"sub": "a"}).as_object().unwrap()));
    }

    #[test]
    fn a_subject_is_bounded() {
        let provider = ProviderName::parse("dex").unwrap();
        let claims = json!({"email": "a@example.com", "email_verified": true}).as_object().unwrap().clone();
        for subject in ["", "a\nb", &"a".repeat(256)] {
            let identified =
                Identified { provider: &provider, issuer: "https://idp", subject, id_token: &claims, userinfo: None };
            assert_eq!(identified.user(&config()), Err(IdentityError::Subject));
        }
    }
}
