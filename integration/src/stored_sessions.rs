//! Sessions that the product's own session service stores, for tests of more of them than people could sign in for.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::portcullis::clock::{SharedClock, SystemClock};
use ::portcullis::principal::{Email, Groups, ProviderName, User, Userid};
use ::portcullis::redis_store::{RedisAddress, RedisConfig, RedisServers};
use ::portcullis::secret::{RootKeyRing, SecretBytes, SecretString};
use ::portcullis::session::{AccessTokenLife, Config as SessionConfig, Login, Metrics, NewSession, Sessions, Tokens};
use ::portcullis::store;
use ::portcullis::stores::{self, StoreConfig};
use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::portcullis::ORIGIN;
use crate::redis::RedisServer;

/// How many sessions are stored at once.
const AT_ONCE: usize = 256;
/// The sizes of a provider's tokens, in bytes: JWTs of some claims and groups, and an opaque refresh token.
const ID_TOKEN_BYTES: usize = 1100;
const ACCESS_TOKEN_BYTES: usize = 1000;
const REFRESH_TOKEN_BYTES: usize = 200;
/// What every key begins with, by default.
const PREFIX: &str = "portcullis";

/// The configuration of a store in a Redis.
#[must_use]
pub fn in_redis(redis: &RedisServer) -> StoreConfig {
    StoreConfig::Redis(RedisConfig {
        servers: RedisServers::Standalone(RedisAddress { host: "127.0.0.1".to_owned(), port: redis.port() }),
        prefix: PREFIX.to_owned(),
        username: None,
        password_file: None,
        tls: None,
        timeout: Duration::from_secs(30),
        replicas: None,
        cache_lifetime: Duration::from_mins(5),
    })
}

/// The product's session service over a store, under a root key.
pub async fn service(config: &StoreConfig, key: &[u8]) -> Result<Sessions> {
    let clock: SharedClock = SystemClock::shared();
    let ring = RootKeyRing::new(&[SecretBytes::new(key.to_vec())])?.shared();
    let stores = stores::open(config, &clock, &store::Metrics::default()).await?;
    let config = SessionConfig {
        absolute_lifetime: Duration::from_hours(24),
        idle_lifetime: Duration::from_hours(8),
        open_bytes: 1 << 20,
    };
    Ok(Sessions::new(&stores, ring, clock, &config, Metrics::default()))
}

/// Stores the sessions of these numbers, many at once, and gives their tickets.
pub async fn fill(sessions: &Arc<Sessions>, numbers: Range<u64>, issuer: &str, people: u64) -> Result<Vec<String>> {
    let next = Arc::new(AtomicU64::new(numbers.start));
    let mut tasks = JoinSet::<Result<Vec<String>>>::new();
    for _ in 0..AT_ONCE {
        let (next, sessions) = (Arc::clone(&next), Arc::clone(sessions));
        let (issuer, end) = (issuer.to_owned(), numbers.end);
        tasks.spawn(async move {
            let mut tickets = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return Ok(tickets);
                }
                let (ticket, _) = sessions.create(session(&issuer, number, people)?).await?;
                tickets.push(ticket.expose().to_owned());
            }
        });
    }
    let mut tickets = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        tickets.extend(ended?.context("a session is not stored")?);
    }
    Ok(tickets)
}

/// The session of this number: each person has one more after each round of all people.
pub fn session(issuer: &str, number: u64, people: u64) -> Result<NewSession> {
    let (person, now) = (number % people, SystemClock::shared().now());
    let email = email(person);
    let groups = ["everyone", "team-a", "data-science", "kubeflow-users"];
    let token = |bytes: usize| SecretString::new("t".repeat(bytes));
    Ok(NewSession {
        user: User {
            provider: ProviderName::parse("test")?,
            issuer: issuer.to_owned(),
            subject: format!("CiQ{person:033}"),
            userid: Userid::parse(&email)?,
            email: Some(Email::parse(&email)?),
            groups: Groups::from_provider(groups),
        },
        origin: ORIGIN.to_owned(),
        login_began_at: now,
        source: Some("192.0.2.7".parse()?),
        client_id: "portcullis".to_owned(),
        tokens: Tokens {
            id_token: token(ID_TOKEN_BYTES),
            access_token: Some(token(ACCESS_TOKEN_BYTES)),
            refresh_token: Some(token(REFRESH_TOKEN_BYTES)),
            access_token_life: Some(AccessTokenLife { issued_at: now, expires_at: now.plus(Duration::from_hours(1)) }),
            nonce: Some(token(43)),
        },
        provider_session: Some(provider_session(number)),
        login: Login::new(Some(now), None, []),
    })
}

/// The address of a person, who is called by it.
#[must_use]
pub fn email(person: u64) -> String {
    format!("person-{person:07}@example.com")
}

/// What the provider calls the session of this number.
#[must_use]
pub fn provider_session(number: u64) -> String {
    format!("6f1d2c3b-0000-4000-8000-{number:012}")
}
