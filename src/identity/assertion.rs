//! The assertion: a short-lived JWT (RFC 7519) about a principal, which services behind can verify.
//!
//! It is no credential at any check. A signed one is reused while half of its life is left; its cache key is everything
//! that is in it.

use std::{sync::Arc, time::Duration};

use quick_cache::Weighter;
use serde::Serialize;

use crate::{
    clock::{SharedClock, Timestamp},
    decision::HeaderText,
    jose::{Audience, SharedAssertionKeyRing},
    memory::{self, BoundedCache},
    principal::{Email, Group, Method, Principal},
    secret::{random_id, sha256},
};

/// What a kept assertion usually takes, in bytes.
const USUAL_BYTES: u64 = 1536;

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

/// What names a credential, in the state that it is in: a session's handle with its record's version, or a keyed hash of
/// a token.
#[derive(Clone, Copy, Debug)]
pub struct CredentialKey<'a> {
    /// The credential's name.
    pub name: &'a [u8],
    /// The version of what it stands for.
    pub version: u64,
}

/// How a principal was authenticated, and what names that credential in caches.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// By what kind of credential.
    pub method: Method,
    /// A name of the credential that never occurs for another one, nor for another state of it.
    pub credential: CredentialKey<'a>,
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
    userid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    groups_omitted: bool,
    method: &'static str,
}

#[derive(Clone, Debug)]
struct Kept {
    header: HeaderText,
    fresh_until: Timestamp,
    issued_at: Timestamp,
}

#[derive(Debug)]
pub(super) struct Assertions {
    config: AssertionConfig,
    keys: SharedAssertionKeyRing,
    clock: SharedClock,
    kept: BoundedCache<CacheKey, Arc<Kept>, Weight>,
}

type CacheKey = [u8; 32];

#[derive(Clone, Copy, Debug)]
struct Weight;

impl Weighter<CacheKey, Arc<Kept>> for Weight {
    fn weight(&self, _: &CacheKey, kept: &Arc<Kept>) -> u64 {
        let heap = memory::shared::<Kept>() + memory::block(kept.header.as_str().len());
        memory::entry::<CacheKey, Arc<Kept>>(heap)
    }
}

impl Assertions {
    pub(super) fn new(config: AssertionConfig, keys: SharedAssertionKeyRing, clock: SharedClock) -> Self {
        let kept = memory::cache(memory::ASSERTIONS, USUAL_BYTES, Weight);
        Self { config, keys, clock, kept }
    }

    /// The assertion about a principal. `groups` are those that are told; none means that they were too many.
    ///
    /// No assertion where signing fails: the service behind then refuses, which is the safe side.
    pub(super) fn of(
        &self,
        principal: &Principal,
        proof: Proof<'_>,
        audience: Option<&str>,
        groups: Option<&[&Group]>,
    ) -> Option<HeaderText> {
        let audience = audience.unwrap_or(self.config.audience.as_str());
        let key = cache_key(principal, proof, audience);
        let now = self.clock.now();
        if let Some(kept) = self.kept.get(&key)
            && kept.issued_at <= now
            && now < kept.fresh_until
        {
            return Some(kept.header.clone());
        }
        let header = self.sign(principal, proof.method, audience, groups, now)?;
        // The copy has no room to spare, unlike what was written piece by piece.
        let kept = Kept { header: header.clone(), fresh_until: now.plus(self.config.lifetime / 2), issued_at: now };
        self.kept.insert(key, Arc::new(kept));
        Some(header)
    }

    fn sign(
        &self,
        principal: &Principal,
        method: Method,
        audience: &str,
        groups: Option<&[&Group]>,
        now: Timestamp,
    ) -> Option<HeaderText> {
        let claims = Claims {
            iss: &self.config.issuer,
            sub: principal.subject(),
            aud: audience,
            iat: now.as_unix_seconds(),
            exp: now.plus(self.config.lifetime).as_unix_seconds(),
            jti: random_id(),
            kind: match principal {
                Principal::User(_) => "user",
                Principal::ServiceAccount(_) => "service_account",
            },
            userid: principal.userid(),
            email: principal.email().map(Email::as_str),
            groups: groups.map(|groups| groups.iter().map(|group| group.as_str()).collect()),
            groups_omitted: groups.is_none_or(|groups| groups.len() < principal.groups().names().len()),
            method: method.name(),
        };
        let signed = self.keys.load().sign(now, &claims);
        let header = signed.ok().and_then(|signed| HeaderText::parse(signed).ok());
        if header.is_none() {
            tracing::error!("an assertion could not be signed; the request goes on without one");
        }
        header
    }
}

/// Everything that is in an assertion, each field with its length before it.
fn cache_key(principal: &Principal, proof: Proof<'_>, audience: &str) -> CacheKey {
    let (subject, userid) = (principal.subject(), principal.userid());
    let version = proof.credential.version.to_be_bytes();
    let email = principal.email().map_or("", Email::as_str);
    let fields = [
        proof.credential.name,
        &version,
        proof.method.name().as_bytes(),
        audience.as_bytes(),
        subject.as_bytes(),
        userid.as_bytes(),
        email.as_bytes(),
    ];
    let groups = principal.groups().names().iter().map(|group| group.as_str().as_bytes());
    let mut input = Vec::with_capacity(512);
    for field in fields.into_iter().chain(groups) {
        input.extend_from_slice(&(field.len() as u64).to_be_bytes());
        input.extend_from_slice(field);
    }
    sha256(&input)
}
