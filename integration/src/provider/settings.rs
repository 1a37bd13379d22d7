//! The set-up of a provider: its clients, and who can sign in.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Map, Value};

use super::ways::Ways;
use crate::jwt::Algorithm;

/// The set-up of a provider.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// The issuer, where it is reached by another URL than its address.
    pub issuer: Option<String>,
    /// The algorithm of its ID tokens.
    pub algorithm: Algorithm,
    /// Who may send users to it.
    pub clients: Vec<Client>,
    /// Who can sign in.
    pub users: Vec<User>,
    /// Whether ID tokens hold the profile claims; else only userinfo tells them.
    pub claims_in_id_token: bool,
    /// How long an access token is good, in seconds.
    pub access_token_lifetime: i64,
    /// Whether refresh tokens are issued, to those that its ways say. Each works once and is replaced, unless they say
    /// otherwise.
    pub refresh_tokens: bool,
    /// In what it differs from others that are as honest.
    pub ways: Ways,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            issuer: None,
            algorithm: Algorithm::Es256,
            clients: vec![Client::default()],
            users: vec![User::new("alice", &["team-a", "everyone"]), User::new("bob", &["team-b", "everyone"])],
            claims_in_id_token: true,
            access_token_lifetime: 300,
            refresh_tokens: false,
            ways: Ways::default(),
        }
    }
}

/// A registered client.
#[derive(Debug, Clone)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// `client_secret`; none for a public client.
    pub secret: Option<String>,
    /// The claims that a signed assertion (`client_assertion`, RFC 7523) must have, instead of a secret. Who signed it is
    /// not looked at.
    pub assertion: Option<Map<String, Value>>,
    /// Exact redirect URIs; empty for any.
    pub redirect_uris: Vec<String>,
    /// Exact addresses to come back to from the end of a session; empty for any.
    pub post_logout_redirect_uris: Vec<String>,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            id: "portcullis".to_owned(),
            secret: Some("a-client-secret-of-the-tests-only".to_owned()),
            assertion: None,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
        }
    }
}

/// Somebody who can sign in.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// What is chosen or typed on the login page.
    pub login: String,
    /// `sub`.
    pub subject: String,
    /// `email`; none leaves it out.
    pub email: Option<String>,
    /// `email_verified`; none leaves it out.
    pub email_verified: Option<bool>,
    /// `groups`; none leaves it out.
    pub groups: Option<Vec<String>>,
    /// Further claims.
    pub claims: Map<String, Value>,
}

impl User {
    /// A user with a verified address at example.com.
    #[must_use]
    pub fn new(login: &str, groups: &[&str]) -> Self {
        Self {
            login: login.to_owned(),
            subject: format!("subject-of-{login}"),
            email: Some(format!("{login}@example.com")),
            email_verified: Some(true),
            groups: Some(groups.iter().map(|&group| group.to_owned()).collect()),
            claims: Map::new(),
        }
    }

    /// The claims about this user, without `sub`.
    pub(super) fn profile(&self) -> Map<String, Value> {
        let mut profile = self.claims.clone();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                profile.insert(name.to_owned(), value);
            }
        };
        set("email", self.email.clone().map(Value::from));
        set("email_verified", self.email_verified.map(Value::from));
        set("groups", self.groups.clone().map(Value::from));
        profile
    }
}
