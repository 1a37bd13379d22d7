//! What the tests of this module share.

use std::{ops::Deref, sync::Arc, time::Duration};

use super::{AccessTokenLife, Config, Login, Metrics, NewSession, Registration, Sessions, Tokens};
pub(crate) use crate::store::testing::{now, ring};
use crate::{
    clock::{ManualClock, Timestamp},
    memory,
    principal::{Email, Groups, ProviderName, User, Userid},
    secret::{SecretString, SharedRootKeyRing},
    store::{self, Store},
};

pub(crate) const ORIGIN: &str = "https://kubeflow.example.com";
pub(crate) const ISSUER: &str = "https://dex.example.com/dex";
pub(crate) const ABSOLUTE: Duration = Duration::from_hours(24);
pub(crate) const IDLE: Duration = Duration::from_hours(8);

pub(crate) const CLIENT_ID: &str = "portcullis";

pub(crate) fn dex() -> Registration {
    let provider = ProviderName::parse("dex").unwrap();
    Registration { provider, issuer: ISSUER.to_owned(), client_id: CLIENT_ID.to_owned() }
}

pub(crate) fn config() -> Config {
    Config { absolute_lifetime: ABSOLUTE, idle_lifetime: IDLE, open_bytes: memory::OPENED_SESSIONS }
}

/// A person named `name` who begins to sign in at `began`.
pub(crate) fn new_session(name: &str, began: Timestamp) -> NewSession {
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
        login: Login::new(Some(began), Some("urn:example:mfa"), ["pwd", "otp"]),
    }
}

/// Sessions over a store, and the clock that moves them.
pub(crate) struct World {
    kept: store::testing::World,
    pub(crate) ring: SharedRootKeyRing,
    pub(crate) sessions: Sessions,
}

impl Deref for World {
    type Target = store::testing::World;

    fn deref(&self) -> &Self::Target {
        &self.kept
    }
}

impl World {
    pub(crate) fn in_memory() -> Self {
        Self::over(store::testing::World::in_memory())
    }

    pub(crate) fn over_with(clock: &Arc<ManualClock>, store: Arc<dyn Store>) -> Self {
        Self::over(store::testing::World::over(clock, store))
    }

    fn over(kept: store::testing::World) -> Self {
        let ring = ring(&[1]).shared();
        let sessions = replica(&kept, &ring);
        Self { kept, ring, sessions }
    }

    /// Another process's sessions over the same store.
    pub(crate) fn another_replica(&self) -> Sessions {
        replica(&self.kept, &self.ring)
    }

    /// Signs a person in; their ticket.
    pub(crate) async fn sign_in(&self, name: &str) -> String {
        use crate::clock::Clock as _;
        let (ticket, _) = self.sessions.create(new_session(name, self.clock.now())).await.unwrap();
        ticket.expose().to_owned()
    }
}

fn replica(kept: &store::testing::World, ring: &SharedRootKeyRing) -> Sessions {
    Sessions::new(&kept.stores(), Arc::clone(ring), kept.clock.clone(), &config(), Metrics::default())
}
