//! A provider's claims become a person's names.
//!
//! Names come from one claim each, never from the next best one: a fall-back would let one person take another's name.
//! An e-mail address counts only where the provider vouches for it. See [`crate::principal`] for what names must keep, and
//! [`super::claim_path`] for where a claim stands.

use serde_json::{Map, Value};
use thiserror::Error;

use super::claim_path::{find, find_all};
use crate::{
    principal::{Email, Groups, NameError, ProviderName, User, Userid, is_unseen},
    providers::{ClaimsConfig, for_log},
};

/// Claims by name.
pub(crate) type Claims = Map<String, Value>;

const EMAIL: &str = "email";
const EMAIL_VERIFIED: &str = "email_verified";
/// The names of claims that the provider keeps elsewhere (OpenID Connect Core section 5.6.2).
const CLAIM_NAMES: &str = "_claim_names";
/// What Entra ID says instead, where even the names would be too long.
const HAS_GROUPS: &str = "hasgroups";
/// The longest subject identifier, in bytes (OpenID Connect Core section 2).
const MAX_SUBJECT_BYTES: usize = 255;

/// The most groups that a person may be in, and the most bytes of their names: each check goes through all of them.
/// Directories that name thousands have stopped being told apart by rules long before.
const MAX_GROUPS: usize = 4096;
const MAX_GROUPS_BYTES: usize = 128 * 1024;

/// Why claims make no person. The text names the setting that would let the person in, where there is one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum IdentityError {
    #[error("the subject is empty, longer than 255 bytes or holds a control character")]
    Subject,
    #[error("the claim `{0}` is missing or is no text; `userid_claim` and `email_claim` can name another")]
    Missing(String),
    #[error("the e-mail address is not usable: {0}")]
    Email(NameError),
    #[error(
        "the provider does not say that the e-mail address is verified (`email_verified`); `trust_unverified_email` \
         with `email_domains` takes it all the same"
    )]
    Unverified,
    #[error("there is no e-mail address in the configured `email_domains`")]
    Domain,
    #[error("the claim `{0}` holds an `@`: only an address that is vouched for may; `email_claim` can name the claim")]
    AddressFromAnotherClaim(String),
    #[error("`required_claims` want another `{claim}`, which is {found}")]
    RequiredClaim { claim: String, found: String },
    #[error("the user id is not usable: {0}")]
    Userid(NameError),
    #[error("there are more than 4096 groups, or their names are longer than 128 KiB in all")]
    Groups,
}

/// Who signed in, from claims that were verified.
pub(crate) struct Identified<'a> {
    /// The provider's name with us.
    pub(crate) provider: &'a ProviderName,
    /// Its issuer identifier.
    pub(crate) issuer: &'a str,
    /// The `sub` of the ID token; userinfo's is the same.
    pub(crate) subject: &'a str,
    /// The ID token's claims.
    pub(crate) id_token: &'a Claims,
    /// Userinfo's claims, where it was asked.
    pub(crate) userinfo: Option<&'a Claims>,
}

/// What the ID token lacks of what was configured (OpenID Connect Core section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lacking {
    Nothing,
    /// The groups alone: who is in none is somebody all the same.
    Groups,
    /// Something without which it names nobody.
    Person,
}

impl Lacking {
    pub(crate) fn of(config: &ClaimsConfig, id_token: &Claims) -> Self {
        let lacks = |path: &str| find(id_token, path).is_none();
        let wants_email = config.userid_claim == EMAIL || !config.email_domains.is_empty();
        let vouched = config.trust_unverified_email || !lacks(EMAIL_VERIFIED);
        let lacks_email = lacks(&config.email_claim) || !vouched;
        let lacks_name = config.userid_claim != EMAIL && lacks(&config.userid_claim);
        if lacks_name || (wants_email && lacks_email) {
            Self::Person
        } else if config.groups_claim.as_deref().is_some_and(lacks) {
            Self::Groups
        } else {
            Self::Nothing
        }
    }
}

/// Whether the ID token has what `required_claims` want: each claim there, with one of the values, or a list that holds
/// one. Nobody else's word counts: a userinfo could be another tenant's.
pub(crate) fn check_required(config: &ClaimsConfig, id_token: &Claims) -> Result<(), IdentityError> {
    for (claim, wanted) in &config.required_claims {
        let found = find_all(id_token, claim).unwrap_or_default();
        let texts = found.iter().flat_map(|value| match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(*value),
        });
        let fits = |value: &Value| match value {
            Value::String(text) => wanted.contains(text),
            Value::Bool(_) | Value::Number(_) => wanted.contains(&value.to_string()),
            _ => false,
        };
        if !texts.into_iter().any(fits) {
            let found = found.first().map_or_else(|| "missing".to_owned(), |value| short(value));
            return Err(IdentityError::RequiredClaim { claim: claim.clone(), found });
        }
    }
    Ok(())
}

fn short(value: &Value) -> String {
    format!("`{}`", for_log(value).chars().take(60).collect::<String>())
}

impl Identified<'_> {
    /// The person, under the rules of this provider's configuration.
    pub(crate) fn user(&self, config: &ClaimsConfig) -> Result<User, IdentityError> {
        let usable = (1..=MAX_SUBJECT_BYTES).contains(&self.subject.len()) && !self.subject.chars().any(is_unseen);
        if !usable {
            return Err(IdentityError::Subject);
        }
        let address = self.address(config);
        let email = address.clone().map(|(email, _)| email);
        if !config.email_domains.is_empty() && !matches!(&email, Ok(email) if in_domains(email, config)) {
            return Err(email.err().unwrap_or(IdentityError::Domain));
        }
        let name = if config.userid_claim == EMAIL {
            let (email, written) = address?;
            if config.keep_case { written.to_owned() } else { email.as_str().to_owned() }
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

    /// The address, where the provider vouches for it, and as the provider writes it. Address and voucher come from one
    /// answer: userinfo's word about one address says nothing about the ID token's.
    fn address(&self, config: &ClaimsConfig) -> Result<(Email, &str), IdentityError> {
        let claim = config.email_claim.as_str();
        let with_address = |claims: &&Claims| find(claims, claim).is_some();
        let complete = |claims: &&Claims| with_address(claims) && find(claims, EMAIL_VERIFIED).is_some();
        let answer = self.answers().find(complete).or_else(|| self.answers().find(with_address));
        let missing = || IdentityError::Missing(claim.to_owned());
        let answer = answer.ok_or_else(missing)?;
        let text = find(answer, claim).and_then(Value::as_str).ok_or_else(missing)?;
        let email = Email::parse(text).map_err(IdentityError::Email)?;
        // Only the JSON value `true`; the text "true" is what OpenID Connect Core section 5.1 does not define. It speaks of
        // the claim `email`, and of no other.
        let verified = claim == EMAIL && answer.get(EMAIL_VERIFIED) == Some(&Value::Bool(true));
        if verified || (config.trust_unverified_email && in_domains(&email, config)) {
            Ok((email, text))
        } else {
            Err(IdentityError::Unverified)
        }
    }

    /// A name that is no address.
    fn plain_name(&self, claim: &str) -> Result<String, IdentityError> {
        let value = self.answers().find_map(|claims| find(claims, claim)).and_then(Value::as_str);
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
        let (claim, told) = (config.groups_claim.as_deref(), self.told_groups(config));
        if told.is_none() && claim.is_some_and(|claim| self.keeps_elsewhere(claim)) {
            return Ok(Groups::default().incomplete());
        }
        let names = told.iter().flatten().flat_map(|value| names(value, config.groups_of_objects));
        let groups = Groups::from_provider(names);
        let bytes: usize = groups.names().iter().map(|group| group.as_str().len()).sum();
        if groups.names().len() > MAX_GROUPS || bytes > MAX_GROUPS_BYTES {
            return Err(IdentityError::Groups);
        }
        Ok(groups)
    }

    /// Whether the provider says that there are groups, and not which: there were too many for a token (Entra ID's
    /// overage). Where it says that they are is not asked: that is another interface, with rights of its own.
    fn keeps_elsewhere(&self, claim: &str) -> bool {
        let named = |claims: &Claims| claims.get(CLAIM_NAMES).and_then(|names| names.get(claim)).is_some();
        let has = |claims: &Claims| claims.get(HAS_GROUPS) == Some(&Value::Bool(true));
        self.answers().any(|claims| named(claims) || has(claims))
    }

    /// Whether the claim of the groups is wanted, and in no answer.
    pub(crate) fn has_no_groups_claim(&self, config: &ClaimsConfig) -> bool {
        config.groups_claim.is_some() && self.told_groups(config).is_none()
    }

    /// Whether the claim of the groups is there, and nothing in it is a text that could name one: a path that ends too
    /// early leads to an object.
    pub(crate) fn has_unreadable_groups(&self, config: &ClaimsConfig) -> bool {
        let told = self.told_groups(config);
        let names = told.iter().flatten().flat_map(|value| names(value, config.groups_of_objects));
        let mut names = names.peekable();
        names.peek().is_some() && names.all(str::is_empty)
    }

    /// What the claim of the groups holds, in the first answer that has it.
    fn told_groups(&self, config: &ClaimsConfig) -> Option<Vec<&Value>> {
        let claim = config.groups_claim.as_deref()?;
        self.answers().find_map(|claims| find_all(claims, claim))
    }

    /// What is known, the ID token's word first.
    fn answers(&self) -> impl Iterator<Item = &Claims> {
        [Some(self.id_token), self.userinfo].into_iter().flatten()
    }
}

/// The names of groups in a claim's value. What is no text counts as the empty name: dropped, and counted as such. With
/// `of_objects`, an object stands for the names of its members (`{"admin": {…}, "viewer": {…}}`).
fn names(value: &Value, of_objects: bool) -> Vec<&str> {
    match value {
        Value::Array(values) => values.iter().flat_map(|value| name(value, of_objects)).collect(),
        value => name(value, of_objects),
    }
}

fn name(value: &Value, of_objects: bool) -> Vec<&str> {
    match value {
        Value::Object(object) if of_objects => object.keys().map(String::as_str).collect(),
        value => vec![value.as_str().unwrap_or_default()],
    }
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
        ClaimsConfig { groups_claim: Some("groups".to_owned()), ..ClaimsConfig::default() }
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
    fn an_address_is_the_user_id_in_lower_case_or_as_it_is_written() {
        let claims = json!({"email": "Ada.O'Brien@Example.com", "email_verified": true});
        for (keep_case, userid) in [(false, "ada.o'brien@example.com"), (true, "Ada.O'Brien@Example.com")] {
            let user = user_of(&ClaimsConfig { keep_case, ..config() }, claims.clone(), None).unwrap();
            assert_eq!(user.userid.as_str(), userid);
            assert_eq!(user.email.unwrap().as_str(), "ada.o'brien@example.com", "rules compare it without its case");
        }
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
        assert_eq!(names(json!("a,b")), (vec!["a,b".to_owned()], 0));
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
        let lacking = |config: &ClaimsConfig, claims: Value| Lacking::of(config, claims.as_object().unwrap());
        let whole = json!({"email": "a", "email_verified": true, "groups": []});
        assert_eq!(lacking(&config(), whole), Lacking::Nothing);
        assert_eq!(lacking(&config(), json!({"email": "a", "email_verified": true})), Lacking::Groups);
        assert_eq!(lacking(&config(), json!({"email": "a", "groups": []})), Lacking::Person);
        assert_eq!(lacking(&config(), json!({"email": null, "email_verified": true, "groups": []})), Lacking::Person);
        let without_groups = ClaimsConfig { userid_claim: "sub".to_owned(), groups_claim: None, ..config() };
        assert_eq!(lacking(&without_groups, json!({"sub": "a"})), Lacking::Nothing);
        let nested = ClaimsConfig { groups_claim: Some("realm_access.roles".to_owned()), ..without_groups };
        assert_eq!(lacking(&nested, json!({"sub": "a", "realm_access": {"roles": []}})), Lacking::Nothing);
        assert_eq!(lacking(&nested, json!({"sub": "a", "realm_access": {}})), Lacking::Groups);
    }

    fn of_one_tenant() -> ClaimsConfig {
        ClaimsConfig {
            email_claim: "preferred_username".to_owned(),
            trust_unverified_email: true,
            email_domains: vec!["corp.example".to_owned()],
            ..config()
        }
    }

    #[test]
    fn another_claim_may_be_the_address_where_the_domains_are_trusted_and_only_there() {
        let user = user_of(&of_one_tenant(), json!({"preferred_username": "Alice@Corp.example"}), None).unwrap();
        assert_eq!((user.userid.as_str(), user.email.unwrap().as_str()), ("alice@corp.example", "alice@corp.example"));
        // The attack beside it: an address of elsewhere, and a voucher for another claim.
        let elsewhere = json!({"preferred_username": "alice@evil.example", "email_verified": true});
        assert_eq!(user_of(&of_one_tenant(), elsewhere, None), Err(IdentityError::Unverified));
        let careless = ClaimsConfig { trust_unverified_email: false, ..of_one_tenant() };
        let vouched = json!({"preferred_username": "alice@corp.example", "email": "m@evil", "email_verified": true});
        assert_eq!(user_of(&careless, vouched, None), Err(IdentityError::Unverified));
        // The claim `email` does not stand in.
        let email = json!({"email": "alice@corp.example", "email_verified": true});
        assert!(matches!(user_of(&of_one_tenant(), email, None), Err(IdentityError::Missing(_))));
    }

    #[test]
    fn required_claims_are_of_the_id_token_and_have_one_of_the_values() {
        let config = ClaimsConfig {
            required_claims: vec![("hd".to_owned(), vec!["corp.example".to_owned(), "lab.example".to_owned()])],
            ..config()
        };
        let check = |claims: Value| check_required(&config, claims.as_object().unwrap());
        for good in [json!("corp.example"), json!("lab.example"), json!(["x", "lab.example"])] {
            assert_eq!(check(json!({"hd": good})), Ok(()), "{good}");
        }
        for bad in
            [json!("evil.example"), json!("Corp.example"), json!(null), json!([]), json!({"corp.example": 1}), json!(7)]
        {
            let refused = matches!(check(json!({"hd": bad})), Err(IdentityError::RequiredClaim { .. }));
            assert!(refused, "{bad}");
        }
        assert!(check(json!({"email": "a@corp.example", "email_verified": true})).is_err());
        let told = check(json!({"hd": "evil.example"})).unwrap_err().to_string();
        assert_eq!(told, "`required_claims` want another `hd`, which is `\"evil.example\"`");
    }

    #[test]
    fn groups_that_are_kept_elsewhere_are_never_told_as_none() {
        let groups = |claims: Value| {
            let config = ClaimsConfig { userid_claim: "name".to_owned(), ..config() };
            user_of(&config, claims, None).unwrap().groups
        };
        let elsewhere =
            json!({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://x"}}});
        let mut claims = elsewhere.as_object().unwrap().clone();
        claims.insert("name".to_owned(), json!("a"));
        assert!(groups(claims.clone().into()).is_incomplete());
        assert!(groups(json!({"name": "a", "hasgroups": true})).is_incomplete());
        claims.insert("groups".to_owned(), json!(["x"]));
        assert!(!groups(claims.into()).is_incomplete(), "they are told here");
        for other in
            [json!({"name": "a"}), json!({"name": "a", "hasgroups": "true"}), json!({"name": "a", "_claim_names": 7})]
        {
            assert!(!groups(other.clone()).is_incomplete(), "{other}");
        }
    }

    #[test]
    fn a_claim_without_any_text_is_told_from_one_that_is_not_there() {
        let of = |path: &str, claims: Value| {
            let config = ClaimsConfig { groups_claim: Some(path.to_owned()), ..ClaimsConfig::default() };
            let (provider, claims) = (ProviderName::parse("dex").unwrap(), claims.as_object().unwrap().clone());
            let identified = Identified {
                provider: &provider,
                issuer: "https://idp",
                subject: "a",
                id_token: &claims,
                userinfo: None,
            };
            (identified.has_no_groups_claim(&config), identified.has_unreadable_groups(&config))
        };
        let keycloak = json!({"realm_access": {"roles": ["x"]}, "empty": [], "mixed": [7, "x"]});
        for (path, found) in [
            ("realm_access.roles", (false, false)),
            ("realm_access", (false, true)),
            ("realm_access.groups", (true, false)),
            ("groups", (true, false)),
            ("empty", (false, false)),
            ("mixed", (false, false)),
        ] {
            assert_eq!(of(path, keycloak.clone()), found, "{path}");
        }
    }

    #[test]
    fn groups_may_be_nested_and_be_the_names_of_an_object_s_members() {
        let groups = |path: &str, of_objects: bool, claims: Value| {
            let config = ClaimsConfig {
                userid_claim: "name".to_owned(),
                groups_claim: Some(path.to_owned()),
                groups_of_objects: of_objects,
                ..config()
            };
            let groups = user_of(&config, claims, None).unwrap().groups;
            groups.names().iter().map(|group| group.as_str().to_owned()).collect::<Vec<_>>()
        };
        let keycloak = json!({"name": "a", "realm_access": {"roles": ["x", "y"]}});
        assert_eq!(groups("realm_access.roles", false, keycloak), ["x", "y"]);
        let zitadel =
            json!({"name": "a", "urn:zitadel:iam:org:project:roles": {"admin": {"1": "z"}, "viewer": {"1": "z"}}});
        assert_eq!(groups("urn:zitadel:iam:org:project:roles", true, zitadel.clone()), ["admin", "viewer"]);
        assert!(groups("urn:zitadel:iam:org:project:roles", false, zitadel).is_empty(), "off by default");
        let listed = json!({"name": "a", "groups": [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}]});
        assert_eq!(groups("groups.name", false, listed), ["x", "y"]);
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
