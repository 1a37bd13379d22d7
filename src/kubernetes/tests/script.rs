//! A scripted API server, and tokens of its and of others' making.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use bytes::Bytes;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::super::{
    Audiences, Config, Metrics, ReviewAnswer, ReviewError, ReviewedUser, Reviews, ServiceAccountTokens,
};
use crate::{
    clock::{ManualClock, Timestamp},
    jose,
    secret::{self, RootKeyRing, SecretBytes, SecretString, SharedRootKeyRing},
};

pub(super) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
pub(super) const AUDIENCE: &str = "portcullis.test";
const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

type Edit = Arc<dyn Fn(&mut ReviewAnswer) + Send + Sync>;

/// How the scripted API server answers reviews.
#[derive(Clone)]
pub(super) enum Behaviour {
    Honest,
    Edit(Edit),
    Slow(Duration),
    /// The first review fails after this time; the others are honest.
    FailFirst(Duration),
    SlowFail(Duration),
    Fail(ReviewError),
    Hang,
}

impl Behaviour {
    pub(super) fn edit(edit: impl Fn(&mut ReviewAnswer) + Send + Sync + 'static) -> Self {
        Self::Edit(Arc::new(edit))
    }
}

pub(super) struct ScriptedApi {
    signer: Signer,
    own_audiences: Vec<String>,
    behaviour: Mutex<Behaviour>,
    keys_withheld: AtomicBool,
    reviews: AtomicUsize,
    key_fetches: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl fmt::Debug for ScriptedApi {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ScriptedApi")
    }
}

impl ScriptedApi {
    pub(super) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    pub(super) fn withhold_keys(&self) {
        self.keys_withheld.store(true, Ordering::SeqCst);
    }

    pub(super) fn reviews(&self) -> usize {
        self.reviews.load(Ordering::SeqCst)
    }

    pub(super) fn key_fetches(&self) -> usize {
        self.key_fetches.load(Ordering::SeqCst)
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }

    /// What an honest API server says.
    fn honest(&self, token: &str, audiences: &[String]) -> ReviewAnswer {
        let genuine = self.signer.signed(token);
        let token = jose::peek(token).unwrap();
        let audiences: Vec<_> = token.audiences().iter().filter(|one| audiences.contains(one)).cloned().collect();
        if !genuine || audiences.is_empty() {
            return ReviewAnswer::default();
        }
        let details = token.claim("kubernetes.io").unwrap();
        let namespace = details["namespace"].as_str().unwrap();
        let mut user = ReviewedUser {
            username: token.subject().unwrap().to_owned(),
            uid: details["serviceaccount"]["uid"].as_str().unwrap().to_owned(),
            groups: vec![
                "system:serviceaccounts".into(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".into(),
            ],
            ..ReviewedUser::default()
        };
        let mut extra = |name: &str, value: &str| {
            user.extra.insert(format!("authentication.kubernetes.io/{name}"), vec![value.to_owned()]);
        };
        extra("credential-id", "JTI=1");
        if let Some(pod) = details.get("pod") {
            extra("pod-name", pod["name"].as_str().unwrap());
            extra("pod-uid", pod["uid"].as_str().unwrap());
        }
        ReviewAnswer { authenticated: true, audiences, user }
    }
}

#[async_trait]
impl Reviews for ScriptedApi {
    async fn review_token(&self, token: &SecretString, audiences: &[String]) -> Result<ReviewAnswer, ReviewError> {
        let earlier = self.reviews.fetch_add(1, Ordering::SeqCst);
        let _running = Running::begin(self);
        let behaviour = self.behaviour.lock().unwrap().clone();
        let honest = self.honest(token.expose(), audiences);
        let failure = || Err(ReviewError::Unavailable("scripted".into()));
        match behaviour {
            Behaviour::Honest => Ok(honest),
            Behaviour::Edit(edit) => {
                let mut answer = honest;
                edit(&mut answer);
                Ok(answer)
            }
            Behaviour::Slow(time) => {
                tokio::time::sleep(time).await;
                Ok(honest)
            }
            Behaviour::FailFirst(time) => {
                tokio::time::sleep(time).await;
                if earlier == 0 { failure() } else { Ok(honest) }
            }
            Behaviour::SlowFail(time) => {
                tokio::time::sleep(time).await;
                failure()
            }
            Behaviour::Fail(error) => Err(error),
            Behaviour::Hang => std::future::pending().await,
        }
    }

    async fn jwks(&self) -> Result<Bytes, ReviewError> {
        self.key_fetches.fetch_add(1, Ordering::SeqCst);
        if self.keys_withheld.load(Ordering::SeqCst) {
            return Err(ReviewError::Forbidden);
        }
        Ok(json!({ "keys": [self.signer.jwk()] }).to_string().into())
    }

    fn own_token(&self) -> Option<SecretString> {
        let audiences: Vec<_> = self.own_audiences.iter().map(String::as_str).collect();
        Some(SecretString::new(self.signer.sign(&TokenSpec { audiences: &audiences, ..TokenSpec::default() })))
    }
}

/// Counts a review from its begin to its end, also where the caller goes away.
struct Running<'a>(&'a ScriptedApi);

impl<'a> Running<'a> {
    fn begin(api: &'a ScriptedApi) -> Self {
        let now = api.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        api.most_at_once.fetch_max(now, Ordering::SeqCst);
        Self(api)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a token says.
#[derive(Clone, Copy)]
pub(super) struct TokenSpec<'a> {
    pub(super) issuer: &'a str,
    pub(super) audiences: &'a [&'a str],
    pub(super) name: &'a str,
    pub(super) subject: Option<&'a str>,
    pub(super) pod: Option<&'a str>,
    pub(super) expires: Option<u64>,
    pub(super) not_before: u64,
    pub(super) key: &'a str,
}

impl Default for TokenSpec<'_> {
    fn default() -> Self {
        let now = NOW.as_unix_seconds();
        Self {
            issuer: ISSUER,
            audiences: &[AUDIENCE],
            name: "robot",
            subject: None,
            pod: None,
            expires: Some(now + 3600),
            not_before: now,
            key: "key-1",
        }
    }
}

impl TokenSpec<'_> {
    fn claims(&self) -> Value {
        let default_subject = format!("system:serviceaccount:team-a:{}", self.name);
        let mut claims = json!({
            "iss": self.issuer,
            "aud": self.audiences,
            "sub": self.subject.unwrap_or(&default_subject),
            "nbf": self.not_before,
            "iat": NOW.as_unix_seconds(),
            "jti": "1",
            "kubernetes.io": {
                "namespace": "team-a",
                "serviceaccount": { "name": self.name, "uid": format!("uid-of-{}", self.name) },
            },
        });
        if let Some(expires) = self.expires {
            claims["exp"] = expires.into();
        }
        if let Some(pod) = self.pod {
            claims["kubernetes.io"]["pod"] = json!({ "name": pod, "uid": format!("uid-of-{pod}") });
        }
        claims
    }
}

struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn sign(&self, spec: &TokenSpec) -> String {
        let header = json!({ "alg": "ES256", "kid": spec.key });
        let encode = |value: &Value| secret::encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", encode(&header), encode(&spec.claims()));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", secret::encode(signature.as_ref()))
    }

    fn signed(&self, token: &str) -> bool {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.0.public_key());
        key.verify(signed.as_bytes(), &secret::decode(signature).unwrap()).is_ok()
    }

    fn jwk(&self) -> Value {
        let point = self.0.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "key-1",
            "x": secret::encode(x), "y": secret::encode(y),
        })
    }
}

pub(super) fn config() -> Config {
    Config {
        kubeconfig: None,
        audiences: vec![AUDIENCE.into()],
        further_audiences: Vec::new(),
        issuers: vec![ISSUER.into()],
        cache_ttl: Duration::from_secs(10),
        negative_cache_ttl: Duration::from_secs(5),
        max_concurrent_reviews: 16,
        timeout: Duration::from_secs(3),
        revoke_with_role_bindings: Vec::new(),
        verify_signatures: true,
    }
}

pub(super) fn root_ring(seed: u8) -> RootKeyRing {
    RootKeyRing::new(&[SecretBytes::new((0..32).map(|byte| byte ^ seed).collect())]).unwrap()
}

/// A judge with all that it needs.
pub(super) struct House {
    pub(super) api: Arc<ScriptedApi>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) ring: SharedRootKeyRing,
    pub(super) tokens: ServiceAccountTokens,
    registry: Registry,
    forger: Signer,
}

impl House {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// The API server gives its pods tokens for this audience.
    pub(super) fn with_api_audience(audience: &str) -> Self {
        Self::build(config(), audience)
    }

    pub(super) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        change(&mut config);
        Self::build(config, ISSUER)
    }

    fn build(config: Config, api_audience: &str) -> Self {
        let api = Arc::new(ScriptedApi {
            signer: Signer::new(),
            own_audiences: vec![api_audience.to_owned()],
            behaviour: Mutex::new(Behaviour::Honest),
            keys_withheld: AtomicBool::new(false),
            reviews: AtomicUsize::new(0),
            key_fetches: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        });
        let clock = ManualClock::at(NOW);
        let ring = root_ring(1).shared();
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let reviews: Arc<dyn Reviews> = api.clone();
        let tokens = ServiceAccountTokens::new(config, reviews, ring.clone(), clock.clone(), metrics).unwrap();
        tokens.assume(Audiences::Ours);
        Self { api, clock, ring, tokens, registry, forger: Signer::new() }
    }

    /// A token that the API server issued.
    pub(super) fn token(&self, spec: TokenSpec<'_>) -> String {
        self.api.signer.sign(&spec)
    }

    /// A token that somebody else signed, naming the API server's key.
    pub(super) fn forged(&self, spec: TokenSpec<'_>) -> String {
        self.forger.sign(&spec)
    }

    pub(super) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }
}
