//! What a page's configuration wants of the people who sign in, so that a profile's people fit it.

use serde_json::{Map, Value};

use crate::provider::User;

/// What a configuration says of the people who may sign in.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// The domain of everybody's address.
    pub domain: String,
    /// What its rules call the one group that they name.
    pub group: Option<String>,
    /// The address that its rules name.
    pub address: Option<String>,
    /// The provider's part.
    pub provider: Value,
}

impl Site {
    /// Of the parts `providers[0]` and `rules` of a configuration.
    #[must_use]
    pub fn new(provider: &Value, rules: &Value) -> Self {
        let named = |list: &str| rules.as_array()?.iter().find_map(|rule| Some(rule[list][0].as_str()?.to_owned()));
        let first = |value: &Value| value[0].as_str().map(str::to_owned);
        let domain = first(&provider["email_domains"]).or_else(|| first(&provider["required_claims"]["hd"]));
        let address = named("emails");
        let of_address = address.as_deref().and_then(|address| Some(address.split_once('@')?.1.to_owned()));
        Self {
            domain: domain.or(of_address).unwrap_or_else(|| "example.com".to_owned()),
            group: named("groups"),
            address,
            provider: provider.clone(),
        }
    }

    /// The value of a claim that `required_claims` want; else the provider's usual one.
    #[must_use]
    pub fn required(&self, claim: &str, usual: &str) -> String {
        self.provider["required_claims"][claim][0].as_str().unwrap_or(usual).to_owned()
    }

    /// The address of somebody. Where the rules name an address and no group, it is alice's.
    #[must_use]
    pub fn address_of(&self, login: &str) -> String {
        match &self.address {
            Some(address) if login == "alice" && self.group.is_none() => address.clone(),
            _ => format!("{login}@{}", self.domain),
        }
    }

    /// The group that its rules name, as far as it has a name without a path.
    #[must_use]
    pub fn plain_group(&self) -> String {
        self.group.clone().unwrap_or_else(|| "nobody-asks-for-it".to_owned())
    }
}

/// Whether somebody may pass the rule that asks for more than a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// May.
    Member,
    /// May not.
    Other,
    /// May not, since the provider says that there are groups, and not which.
    Untold,
}

/// Somebody who can sign in.
#[derive(Debug, Clone)]
pub struct Person {
    /// What the provider knows.
    pub user: User,
    /// The address that services are told.
    pub address: String,
    /// What the rules say.
    pub membership: Membership,
}

impl Person {
    /// Somebody with these claims beside `sub`, and no others.
    #[must_use]
    pub fn new(site: &Site, login: &str, membership: Membership, subject: &str, claims: Value) -> Self {
        let claims = match claims {
            Value::Object(claims) => claims,
            _ => Map::new(),
        };
        let user = User {
            login: login.to_owned(),
            subject: subject.to_owned(),
            email: None,
            email_verified: None,
            groups: None,
            claims,
        };
        Self { user, address: site.address_of(login), membership }
    }
}

/// An id in the form of a UUID, another one for each name of at most six letters.
#[must_use]
pub(super) fn uuid_of(login: &str) -> String {
    let letters = login.bytes().fold(0, |number: u64, byte| number << 8 | u64::from(byte));
    format!("7a0b2c1e-59d6-4c66-b3f3-{letters:012x}")
}

/// The subject of somebody, which is another one for each client.
#[must_use]
pub(super) fn pairwise(login: &str) -> String {
    format!("{login}AAAAAAAAAAAAAAAAAAAAAMLq8vDPxK3s7xv0WbBqM")
}

/// So many groups that an ID token which names them has some 45 KB, as of people in large directories; `group` is one.
#[must_use]
pub(super) fn hundreds_of_groups(group: &str) -> Vec<String> {
    let others = (0..560).map(|number| format!("a-group-of-a-large-directory-with-a-long-name-{number:04}-eu"));
    others.chain([group.to_owned()]).collect()
}

/// Takes members out of an object.
pub(super) fn leave_out(claims: &mut Value, names: &[&str]) {
    if let Value::Object(claims) = claims {
        claims.retain(|name, _| !names.contains(&name.as_str()));
    }
}

/// Leaves these members of an object, and no others.
pub(super) fn keep(claims: &mut Value, names: &[&str]) {
    if let Value::Object(claims) = claims {
        claims.retain(|name, _| names.contains(&name.as_str()));
    }
}
