//! What the caches take of memory when all of them are full: of large entries, then of small ones, then of large ones
//! again. They are the product's own, filled by its own types, under the allocator of its binary.
//!
//! One test, alone in its process: what the process takes is what is measured.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use portcullis::clock::{SharedClock, SystemClock};
use portcullis::identity::{self, AssertionConfig, Bearer, HeaderConfig, Identity, Proof, Service};
use portcullis::jose::{AssertionKey, AssertionKeyRing, Audience};
use portcullis::kubernetes::{
    self, Metrics as TokenMetrics, ReviewAnswer, ReviewError, ReviewedUser, Reviews, ServiceAccountTokens,
};
use portcullis::memory;
use portcullis::principal::{Groups, Method, Principal, ProviderName, User, Userid};
use portcullis::request::{RawRequest, Request};
use portcullis::secret::{RootKeyRing, SecretBytes, SecretString, SharedRootKeyRing, random_bytes};
use portcullis::session::{Config as SessionConfig, Login, Metrics, NewSession, Registration, Sessions, Tokens};
use portcullis::store;
use portcullis::stores::{self, StoreConfig};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ORIGIN: &str = "https://kubeflow.test";
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const AUDIENCE: &str = "portcullis.test";
/// As many groups as are told in a header: 8 KiB of names of two letters, and 20 KiB of assertion.
const MANY_GROUPS: usize = 2700;
/// How much is done at once. What is under way has parts of its own, which are not measured here.
const AT_ONCE: usize = 8;
/// How often is looked whether the allocator has given back what is free.
const PATIENCE: usize = 20;

/// What is filled.
struct House {
    clock: SharedClock,
    sessions: Sessions,
    identity: Identity,
    tokens: ServiceAccountTokens,
    request: Request,
}

/// What one round puts into the caches.
#[derive(Clone, Copy)]
struct Round {
    what: &'static str,
    groups: usize,
    sessions: usize,
    /// For each session.
    assertions: usize,
    accepted: usize,
    refused: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "who changes a part wants the figures")]
async fn full_caches_take_no_more_than_their_parts() {
    let folder = tempfile::tempdir().unwrap();
    let house = Arc::new(House::build(folder.path()).await);
    // What is done once is done, and every thread is there.
    let warm = Round { what: "warm", groups: 1, sessions: 64, assertions: 1, accepted: 64, refused: 64 };
    house.fill(&warm, 0).await;
    let before = resident();
    let parts = memory::OPENED_SESSIONS + memory::ACCEPTED_TOKENS + memory::REFUSED_TOKENS + memory::EMBEDDED_STORE;
    let most = parts + parts / 8;
    let large = Round { what: "large", groups: MANY_GROUPS, sessions: 660, assertions: 2, accepted: 180, refused: 0 };
    let rounds = [
        large,
        Round { what: "small", groups: 3, sessions: 1000, assertions: 4, accepted: 8000, refused: 12_000 },
        // Among what is left of both.
        Round { what: "large again", sessions: 500, assertions: 1, accepted: 90, ..large },
    ];
    for (number, round) in rounds.iter().enumerate() {
        house.fill(round, number + 1).await;
        let mut grown = resident().saturating_sub(before);
        for again in 1..=PATIENCE {
            // What is free goes back to the system a second later, and only while the allocator is used.
            if grown <= most {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            house.fill(&warm, number * 100 + 10 + again).await;
            grown = resident().saturating_sub(before);
        }
        println!("{}: {} MiB of {}", round.what, grown >> 20, most >> 20);
        assert!(grown <= most, "{}: grown by {grown} bytes, over {most}", round.what);
        if round.groups == MANY_GROUPS {
            // Else nothing was filled.
            assert!(grown >= parts / 3, "{}: grown by {grown} bytes only", round.what);
        }
    }
}

impl House {
    async fn build(folder: &std::path::Path) -> Self {
        let clock: SharedClock = SystemClock::shared();
        let ring: SharedRootKeyRing =
            RootKeyRing::new(&[SecretBytes::new(random_bytes::<32>().to_vec())]).unwrap().shared();
        let path = folder.join("store/sessions.redb");
        let stores = stores::open(&StoreConfig::Embedded { path }, &clock, &store::Metrics::default()).await.unwrap();
        let config = SessionConfig {
            absolute_lifetime: Duration::from_hours(24),
            idle_lifetime: Duration::from_hours(8),
            open_bytes: memory::OPENED_SESSIONS,
        };
        let sessions = Sessions::new(&stores, ring.clone(), Arc::clone(&clock), &config, Metrics::default());
        let raw = RawRequest::new("GET", "kubeflow.test", "/");
        Self {
            sessions,
            identity: identity(&clock),
            tokens: tokens(ring, &clock),
            request: Request::parse(raw).unwrap(),
            clock,
        }
    }

    /// One round, of people and tokens that no other round has.
    async fn fill(self: &Arc<Self>, round: &Round, number: usize) {
        let groups = names(round.groups);
        let groups = Groups::from_provider(groups.iter().map(String::as_str));
        let of_this_round = |count| (0..count).map(move |each| number * 1_000_000 + each);
        let assertions = round.assertions;
        all(of_this_round(round.sessions).map(|person| {
            let (house, groups) = (Arc::clone(self), groups.clone());
            async move { house.sign_in(person, groups, assertions).await }
        }))
        .await;
        let kinds = [(round.accepted, round.groups), (round.refused, 0)];
        for (count, groups) in kinds {
            all(of_this_round(count).map(|account| {
                let house = Arc::clone(self);
                async move {
                    let token = token(account, groups);
                    assert_eq!(house.tokens.judge(&token).await.is_ok(), groups > 0);
                }
            }))
            .await;
        }
    }

    /// A session that is opened, and the assertions about it for several audiences.
    async fn sign_in(&self, person: usize, groups: Groups, assertions: usize) {
        let registration = Registration {
            provider: ProviderName::parse("test").unwrap(),
            issuer: "https://idp.test".to_owned(),
            client_id: "portcullis".to_owned(),
        };
        let user = User {
            provider: registration.provider.clone(),
            issuer: registration.issuer.clone(),
            subject: format!("subject-{person:09}"),
            userid: Userid::parse(&format!("person-{person:09}@example.com")).unwrap(),
            email: None,
            groups,
        };
        let tokens = Tokens {
            id_token: SecretString::new("t".repeat(1000)),
            access_token: None,
            refresh_token: None,
            access_token_life: None,
            nonce: None,
        };
        let new = NewSession {
            user,
            origin: ORIGIN.to_owned(),
            login_began_at: self.clock.now(),
            source: None,
            client_id: registration.client_id.clone(),
            tokens,
            provider_session: None,
            login: Login::default(),
        };
        let (ticket, _) = self.sessions.create(new).await.unwrap();
        let session = self.sessions.open(ticket.expose(), ORIGIN, &registration).await.unwrap();
        let principal = Principal::User(Arc::clone(session.shared_user()));
        for audience in 0..assertions {
            let proof = Proof { method: Method::SESSION, told: session.told() };
            let audience = format!("audience-{audience}");
            let service = Service { audience: Some(&audience), ..Service::default() };
            drop(self.identity.inject(&self.request, &principal, proof, service, Bearer::Keep));
            assert!(session.told().has_grown());
            self.sessions.weigh(ticket.expose());
        }
    }
}

/// Does all of it, on every thread of the runtime.
async fn all<F: Future<Output = ()> + Send + 'static>(work: impl Iterator<Item = F>) {
    let work = stream::iter(work.map(tokio::spawn)).buffer_unordered(AT_ONCE);
    work.for_each(|done| async { done.unwrap() }).await;
}

/// So many names of two letters: some 3,800 at most.
fn names(count: usize) -> Vec<String> {
    let letters: Vec<char> = ('a'..='z').chain('A'..='Z').chain('0'..='9').collect();
    let pairs = letters.iter().flat_map(|first| letters.iter().map(move |second| format!("{first}{second}")));
    pairs.take(count).collect()
}

fn identity(clock: &SharedClock) -> Identity {
    let pem = SecretBytes::new(AssertionKey::generate_pem().expose().as_bytes().to_vec());
    let key = AssertionKey::from_pem(&pem, clock.now()).unwrap();
    let ring = AssertionKeyRing::new(vec![key], Duration::from_mins(90)).unwrap();
    let config = identity::Config {
        headers: HeaderConfig::default(),
        cookie_names: Vec::new(),
        named_groups: Vec::new(),
        remove_method_overrides: false,
        assertion: AssertionConfig {
            issuer: "https://portcullis.test".into(),
            audience: Audience::parse("kubeflow").unwrap(),
            lifetime: Duration::from_hours(1),
        },
    };
    Identity::new(config, ring.shared(), Arc::clone(clock))
}

fn tokens(ring: SharedRootKeyRing, clock: &SharedClock) -> ServiceAccountTokens {
    let config = kubernetes::Config {
        kubeconfig: None,
        audiences: vec![AUDIENCE.into()],
        further_audiences: Vec::new(),
        issuers: vec![ISSUER.into()],
        cache_ttl: Duration::from_mins(5),
        negative_cache_ttl: Duration::from_secs(10),
        max_concurrent_reviews: 16,
        timeout: Duration::from_secs(30),
        revoke_with_role_bindings: Vec::new(),
        verify_signatures: false,
    };
    let metrics = TokenMetrics::register(&mut <_>::default());
    ServiceAccountTokens::new(config, Arc::new(Scripted), ring, Arc::clone(clock), metrics).unwrap()
}

/// The token of an account that is in so many groups; one that is in none is refused.
fn token(account: usize, groups: usize) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "iss": ISSUER, "aud": [AUDIENCE], "sub": format!("system:serviceaccount:team-a:robot-{account}"),
        "exp": 4_000_000_000_u64, "jti": groups.to_string(),
        "kubernetes.io": { "namespace": "team-a", "serviceaccount": { "name": format!("robot-{account}"), "uid": "uid" } },
    });
    format!("{}.{}.c2ln", part(json!({ "alg": "ES256", "kid": "1" })), part(claims))
}

/// An API server that believes every token.
#[derive(Debug)]
struct Scripted;

#[async_trait]
impl Reviews for Scripted {
    async fn review_token(&self, token: &SecretString, audiences: &[String]) -> Result<ReviewAnswer, ReviewError> {
        let claims = portcullis::jose::peek(token.expose()).unwrap();
        let count: usize = claims.claim("jti").unwrap().as_str().unwrap().parse().unwrap();
        if count == 0 {
            return Ok(ReviewAnswer::default());
        }
        let user = ReviewedUser {
            username: claims.subject().unwrap().to_owned(),
            uid: "uid".into(),
            groups: names(count),
            extra: BTreeMap::new(),
        };
        Ok(ReviewAnswer { authenticated: true, audiences: audiences.to_vec(), user })
    }

    async fn jwks(&self) -> Result<Bytes, ReviewError> {
        Err(ReviewError::NotFound)
    }

    fn own_token(&self) -> Option<SecretString> {
        None
    }
}

/// What this process has in memory, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
