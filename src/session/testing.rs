//! What the tests of this module share.

use std::{sync::Arc, time::Duration};

use super::{
    AccessTokenLife, Config, MemoryStore, Metrics, NewSession, Registration, SessionStore, Sessions, StoreConfig,
    Tokens,
};
use crate::{
    clock::{ManualClock, SharedClock, Timestamp},
    principal::{Email, Groups, ProviderName, User, Userid},
    secret::{RootKeyRing, SecretBytes, SecretString, SharedRootKeyRing},
};

pub(super) const ORIGIN: &str = "https://kubeflow.example.com";
pub(super) const ISSUER: &str = "https://dex.example.com/dex";
pub(super) const ABSOLUTE: Duration = Duration::from_hours(24);
pub(super) const IDLE: Duration = Duration::from_hours(8);

/// A ring of keys, each made of a number.
pub(super) fn ring(keys: &[u8]) -> RootKeyRing {
    let keys: Vec<_> =
        keys.iter().map(|seed| SecretBytes::new((0..32).map(|byte| byte ^ (seed << 5)).collect())).collect();
    RootKeyRing::new(&keys).unwrap()
}

pub(super) fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000)
}

pub(super) const CLIENT_ID: &str = "portcullis";

pub(super) fn dex() -> Registration {
    let provider = ProviderName::parse("dex").unwrap();
    Registration { provider, issuer: ISSUER.to_owned(), client_id: CLIENT_ID.to_owned() }
}

pub(super) fn config(store: StoreConfig) -> Config {
    Config { store, absolute_lifetime: ABSOLUTE, idle_lifetime: IDLE }
}

/// A person named `name` who begins to sign in at `began`.
pub(super) fn new_session(name: &str, began: Timestamp) -> NewSession {
    let email = format!("{name}@example.com");
    NewSession {
        user: User {
            provider: dex().provider,
            issuer: ISSUER.to_owned(),
            subject: format!("subject-of-{name}"),
            userid: Userid::parse(&email).unwrap(),
            email: Some(Email::parse(&email).unwrap()),
            groups: Groups::from_provider(["team-a", "system:masters"]),
        },
        origin: ORIGIN.to_owned(),
        login_began_at: began,
        source: Some("192.0.2.7".parse().unwrap()),
        client_id: CLIENT_ID.to_owned(),
        tokens: Tokens {
            id_token: SecretString::new(format!("id-token-of-{name}")),
            access_token: Some(SecretString::new(format!("access-token-of-{name}"))),
            refresh_token: Some(SecretString::new(format!("refresh-token-of-{name}"))),
            access_token_life: Some(AccessTokenLife {
                issued_at: began,
                expires_at: began.plus(Duration::from_mins(5)),
            }),
            nonce: Some(SecretString::new(format!("nonce-of-{name}"))),
        },
        provider_session: Some(format!("sid-of-{name}")),
        authenticated_at: Some(began),
    }
}

/// Sessions over a store, and the clock that moves them.
pub(super) struct World {
    pub(super) clock: Arc<ManualClock>,
    pub(super) ring: SharedRootKeyRing,
    pub(super) store: Arc<dyn SessionStore>,
    pub(super) sessions: Sessions,
}

impl World {
    pub(super) fn in_memory() -> Self {
        Self::over(|clock| Arc::new(MemoryStore::new(clock)))
    }

    pub(super) fn over(store: impl FnOnce(SharedClock) -> Arc<dyn SessionStore>) -> Self {
        let clock = ManualClock::at(now());
        Self::over_with(&clock, store(clock.clone()))
    }

    pub(super) fn over_with(clock: &Arc<ManualClock>, store: Arc<dyn SessionStore>) -> Self {
        let ring = ring(&[1]).shared();
        let sessions = replica(&store, &ring, clock);
        Self { clock: Arc::clone(clock), ring, store, sessions }
    }

    /// Another process's sessions over the same store.
    pub(super) fn another_replica(&self) -> Sessions {
        replica(&self.store, &self.ring, &self.clock)
    }

    /// Signs a person in; their ticket.
    pub(super) async fn sign_in(&self, name: &str) -> String {
        use crate::clock::Clock as _;
        let (ticket, _) = self.sessions.create(new_session(name, self.clock.now())).await.unwrap();
        ticket.expose().to_owned()
    }
}

fn replica(store: &Arc<dyn SessionStore>, ring: &SharedRootKeyRing, clock: &Arc<ManualClock>) -> Sessions {
    Sessions::new(Arc::clone(store), Arc::clone(ring), clock.clone(), &config(StoreConfig::Memory), Metrics::default())
}
