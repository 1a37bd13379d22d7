//! The assertion: a short-lived JWT (RFC 7519) about a principal, which services behind can verify.
//!
//! It is no credential at any check. A signed one is kept with the credential that it was made for, beside what else is
//! told of the principal, and reused while half of its life is left.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    clock::{SharedClock, Timestamp},
    decision::HeaderText,
    jose::{AssertionKeyRing, Audience, SharedAssertionKeyRing},
    principal::{Email, Group, Method, Principal},
    secret::random_id,
    told::{Configuration, Statement, Told, Wanted},
};

/// What every assertion says.
#[derive(Clone, Debug)]
pub struct AssertionConfig {
    /// The issuer (`iss`): the URL that serves discovery.
    pub issuer: String,
    /// The audience (`aud`) where the rule names none.
    pub audience: Audience,
    /// How long an assertion is valid.
    pub lifetime: Duration,
}

/// How a principal was authenticated, and what services were told of them by that credential before.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// By what kind of credential.
    pub method: Method,
    /// What is kept with the credential.
    pub told: &'a Told,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a str,
    iat: u64,
    exp: u64,
    jti: String,
    kind: &'static str,
    userid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    groups_omitted: bool,
    method: &'static str,
}

#[derive(Debug)]
pub(super) struct Assertions {
    config: AssertionConfig,
    keys: SharedAssertionKeyRing,
    clock: SharedClock,
    /// What is told by another configuration, one from before a reload for example, is not told again.
    configuration: Arc<Configuration>,
}

impl Assertions {
    pub(super) fn new(config: AssertionConfig, keys: SharedAssertionKeyRing, clock: SharedClock) -> Self {
        Self { config, keys, clock, configuration: Arc::default() }
    }

    /// What is told of a principal: by what was kept with the credential, or signed now and kept. `groups` finds those
    /// that are told; none means that they are too many. It is kept only with its assertion: one that could not be signed is
    /// tried again.
    ///
    /// No assertion where signing fails: the service behind then refuses, which is the safe side.
    pub(super) fn statement<'p>(
        &self,
        principal: &'p Principal,
        proof: Proof<'_>,
        audience: Option<&str>,
        groups: impl FnOnce() -> Option<Vec<&'p Group>>,
    ) -> Arc<Statement> {
        let ring = self.keys.load();
        let now = self.clock.now();
        let key = ring.signing_key(now);
        let wanted = Wanted {
            configuration: &self.configuration,
            key: key.shared_key_id(),
            audience,
            method: proof.method,
            now,
        };
        if let Some(statement) = proof.told.find(wanted) {
            return statement;
        }
        let groups = groups();
        let text = |text: &str| HeaderText::parse_shared(text).ok();
        let statement = Statement {
            userid: text(&principal.userid()),
            groups: groups.as_deref().and_then(|groups| text(&join(groups))),
            assertion: self.sign(&ring, principal, proof.method, audience, groups.as_deref(), now),
            terms: wanted.terms(),
            issued_at: now,
            fresh_until: now.plus(self.config.lifetime / 2),
        };
        if statement.assertion.is_some() { proof.told.keep(statement, wanted) } else { Arc::new(statement) }
    }

    fn sign(
        &self,
        ring: &AssertionKeyRing,
        principal: &Principal,
        method: Method,
        audience: Option<&str>,
        groups: Option<&[&Group]>,
        now: Timestamp,
    ) -> Option<HeaderText> {
        let claims = Claims {
            iss: &self.config.issuer,
            sub: principal.subject(),
            aud: audience.unwrap_or(self.config.audience.as_str()),
            iat: now.as_unix_seconds(),
            exp: now.plus(self.config.lifetime).as_unix_seconds(),
            jti: random_id(),
            kind: match principal {
                Principal::User(_) => "user",
                Principal::ServiceAccount(_) => "service_account",
            },
            userid: &principal.userid(),
            email: principal.email().map(Email::as_str),
            groups: groups.map(|groups| groups.iter().map(|group| group.as_str()).collect()),
            groups_omitted: principal.groups().is_incomplete()
                || groups.is_none_or(|groups| groups.len() < principal.groups().names().len()),
            method: method.name(),
        };
        let signed = ring.sign(now, &claims).ok();
        let header = signed.and_then(|signed| HeaderText::parse_shared(&signed).ok());
        if header.is_none() {
            tracing::error!("an assertion could not be signed; the request goes on without one");
        }
        header
    }
}

/// The groups that a list can hold: of `cn=admins,o=corp` a service would read two. Those the assertion alone tells.
fn join(groups: &[&Group]) -> String {
    let fitting = groups.iter().filter(|group| group.fits_in_list());
    fitting.map(|group| group.as_str()).collect::<Vec<_>>().join(",")
}
