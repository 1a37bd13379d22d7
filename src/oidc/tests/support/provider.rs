//! An identity provider that signs with real keys, checks what an honest one checks, and lies on demand.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use aws_lc_rs::digest;
use base64::Engine as _;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::Notify;
use url::{Url, form_urlencoded};

use super::{CLIENT_ID, CLIENT_SECRET};
use crate::{
    clock::{Clock as _, ManualClock},
    http_client::{HttpError, OutboundHttp},
    jose::{
        Algorithm,
        testing::{P256, RSA, TestKey, merged},
    },
    secret,
};

pub(in crate::oidc) const ISSUER: &str = "https://idp.example.com/dex";

type Forge = Box<dyn Fn(&Value, &Value) -> String + Send + Sync>;

/// How the provider differs from an honest one. Members set to `null` are removed.
pub(in crate::oidc) struct Lies {
    /// Of the discovery document.
    pub(in crate::oidc) discovery: Value,
    /// Of the ID token's header.
    pub(in crate::oidc) header: Value,
    /// Of the ID token's claims.
    pub(in crate::oidc) claims: Value,
    /// Of the token response.
    pub(in crate::oidc) token: Value,
    /// Of userinfo.
    pub(in crate::oidc) userinfo: Value,
    /// Makes the ID token of header and claims, where it is not to be signed as usual.
    pub(in crate::oidc) forge: Option<Forge>,
    /// The key that signs.
    pub(in crate::oidc) key: &'static TestKey,
    pub(in crate::oidc) algorithm: Algorithm,
    /// The keys that are published.
    pub(in crate::oidc) published: Vec<Value>,
    /// A whole body instead of the honest one, by path.
    pub(in crate::oidc) bodies: HashMap<&'static str, String>,
    /// What an answer claims to be instead of JSON, by path.
    pub(in crate::oidc) content_types: HashMap<&'static str, &'static str>,
    /// A status instead of 200, by path.
    pub(in crate::oidc) statuses: HashMap<&'static str, StatusCode>,
    /// Endpoints that never answer.
    pub(in crate::oidc) hanging: Vec<&'static str>,
    /// Endpoints at which whoever asks comes to grief.
    pub(in crate::oidc) breaking: Vec<&'static str>,
}

impl Default for Lies {
    fn default() -> Self {
        let none = || json!({});
        Self {
            discovery: none(),
            header: none(),
            claims: none(),
            token: none(),
            userinfo: none(),
            forge: None,
            key: &P256,
            algorithm: Algorithm::Es256,
            published: vec![P256.jwk.clone(), RSA.jwk.clone()],
            bodies: HashMap::new(),
            content_types: HashMap::new(),
            statuses: HashMap::new(),
            hanging: Vec::new(),
            breaking: Vec::new(),
        }
    }
}

impl Lies {
    pub(in crate::oidc) fn claims(claims: Value) -> Self {
        Self { claims, ..Self::default() }
    }

    pub(in crate::oidc) fn discovery(discovery: Value) -> Self {
        Self { discovery, ..Self::default() }
    }
}

/// What an authorization request asked for.
#[derive(Clone)]
struct Authorization {
    nonce: String,
    challenge: String,
    redirect_uri: String,
}

pub(in crate::oidc) struct ScriptedProvider {
    clock: Arc<ManualClock>,
    lies: Mutex<Lies>,
    codes: Mutex<HashMap<String, Authorization>>,
    calls: Mutex<HashMap<String, usize>>,
    /// What was posted, in the order in which it came.
    posted: Mutex<Vec<(String, HashMap<String, String>)>>,
    next_code: AtomicUsize,
    /// While set, refresh tokens are issued; only the one with this number works, once.
    pub(in crate::oidc) refresh_token: Mutex<Option<usize>>,
    /// While set, the token endpoint waits for it.
    pub(in crate::oidc) gate: Mutex<Option<Arc<Notify>>>,
    /// The same for the keys.
    pub(in crate::oidc) gate_of_keys: Mutex<Option<Arc<Notify>>>,
    /// While one is set, the endpoint of that path waits for it.
    held: Mutex<HashMap<&'static str, Arc<Notify>>>,
}

impl fmt::Debug for ScriptedProvider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ScriptedProvider")
    }
}

impl ScriptedProvider {
    pub(super) fn new(clock: Arc<ManualClock>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            lies: Mutex::default(),
            codes: Mutex::default(),
            calls: Mutex::default(),
            posted: Mutex::default(),
            next_code: AtomicUsize::new(0),
            refresh_token: Mutex::default(),
            gate: Mutex::default(),
            gate_of_keys: Mutex::default(),
            held: Mutex::default(),
        })
    }

    pub(in crate::oidc) fn tell(&self, lies: Lies) {
        *self.lies.lock().unwrap() = lies;
    }

    /// From now on an endpoint waits with its answer: until it is told to go on, once for each call.
    pub(in crate::oidc) fn hold(&self, path: &'static str) -> Arc<Notify> {
        let gate = Arc::new(Notify::new());
        self.held.lock().unwrap().insert(path, Arc::clone(&gate));
        gate
    }

    /// How often a path was called.
    pub(in crate::oidc) fn calls(&self, path: &str) -> usize {
        self.calls.lock().unwrap().get(path).copied().unwrap_or_default()
    }

    /// The forms that were posted to a path.
    pub(in crate::oidc) fn posted(&self, path: &str) -> Vec<HashMap<String, String>> {
        let posted = self.posted.lock().unwrap();
        posted.iter().filter(|(to, _)| to == path).map(|(_, form)| form.clone()).collect()
    }

    /// A logout token (OpenID Connect Back-Channel Logout 1.0 section 2.4) with these members of header and claims set;
    /// `null` removes one.
    pub(in crate::oidc) fn logout_token(&self, header: &Value, claims: &Value) -> String {
        let now = self.clock.now().as_unix_seconds();
        let id = self.next_code.fetch_add(1, Ordering::SeqCst);
        let honest = json!({
            "iss": ISSUER, "aud": CLIENT_ID, "iat": now, "exp": now + 120, "jti": format!("logout-{id}"),
            "sub": "subject-1", "sid": "sid-1",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        });
        let lies = self.lies.lock().unwrap();
        let honest_header = json!({"alg": lies.algorithm.name(), "kid": lies.key.jwk["kid"], "typ": "logout+jwt"});
        lies.key.sign(lies.algorithm, &merged(&honest_header, header), &merged(&honest, claims))
    }

    /// The person signs in: what the browser brings back.
    pub(in crate::oidc) fn authorize(&self, url: &Url) -> String {
        let parameters: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(parameters["client_id"], CLIENT_ID);
        assert_eq!(parameters["response_type"], "code");
        assert_eq!(parameters["response_mode"], "query");
        assert_eq!(parameters["code_challenge_method"], "S256");
        assert_eq!(parameters["scope"], "openid email groups");
        let code = format!("code-{}", self.next_code.fetch_add(1, Ordering::SeqCst));
        let authorization = Authorization {
            nonce: parameters["nonce"].clone(),
            challenge: parameters["code_challenge"].clone(),
            redirect_uri: parameters["redirect_uri"].clone(),
        };
        self.codes.lock().unwrap().insert(code.clone(), authorization);
        form_urlencoded::Serializer::new(String::new())
            .append_pair("state", &parameters["state"])
            .append_pair("code", &code)
            .append_pair("iss", ISSUER)
            .finish()
    }

    fn discovery(&self) -> Value {
        let honest = json!({
            "issuer": ISSUER,
            "authorization_endpoint": format!("{ISSUER}/auth"),
            "token_endpoint": format!("{ISSUER}/token"),
            "userinfo_endpoint": format!("{ISSUER}/userinfo"),
            "jwks_uri": format!("{ISSUER}/keys"),
            "end_session_endpoint": format!("{ISSUER}/logout?tenant=1"),
            "revocation_endpoint": format!("{ISSUER}/revoke"),
            "introspection_endpoint": format!("{ISSUER}/introspect"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": Algorithm::ALL.iter().map(|it| it.name()).collect::<Vec<_>>(),
            "code_challenge_methods_supported": ["S256", "plain"],
            "authorization_response_iss_parameter_supported": true,
        });
        merged(&honest, &self.lies.lock().unwrap().discovery)
    }

    fn token(&self, request: &Request<Vec<u8>>) -> (StatusCode, Value) {
        let form = form_of(request);
        if !Self::knows_client(request, &form) {
            return (StatusCode::UNAUTHORIZED, json!({"error": "invalid_client"}));
        }
        if form["grant_type"] == "refresh_token" {
            let current = self.refresh_token.lock().unwrap().map(|number| format!("refresh-{number}"));
            return if current.as_ref() == Some(&form["refresh_token"]) {
                self.issue(None)
            } else {
                (StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"}))
            };
        }
        let authorization = self.codes.lock().unwrap().remove(&form["code"]);
        let Some(authorization) = authorization else {
            return (StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"}));
        };
        let challenge = secret::encode(&secret::sha256(form["code_verifier"].as_bytes()));
        if challenge != authorization.challenge || form["redirect_uri"] != authorization.redirect_uri {
            return (StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"}));
        }
        self.issue(Some(&authorization.nonce))
    }

    fn knows_client(request: &Request<Vec<u8>>, form: &HashMap<String, String>) -> bool {
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let basic = format!("{}:{}", encode(CLIENT_ID), encode(CLIENT_SECRET));
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(basic));
        let by_header = request.headers().get(header::AUTHORIZATION).is_some_and(|value| *value == *basic);
        // Tests look at what an assertion says.
        by_header
            || form.get("client_secret").map(String::as_str) == Some(CLIENT_SECRET)
            || form.contains_key("client_assertion")
    }

    fn issue(&self, nonce: Option<&String>) -> (StatusCode, Value) {
        let now = self.clock.now().as_unix_seconds();
        let access_token = "access-token-1";
        let lies = self.lies.lock().unwrap();
        // OpenID Connect Core section 3.1.3.6: the left half, by the hash of the token's own algorithm.
        let hash = digest::digest(hash_of(lies.algorithm), access_token.as_bytes());
        let at_hash = secret::encode(&hash.as_ref()[..hash.as_ref().len() / 2]);
        let claims = json!({
            "iss": ISSUER, "sub": "subject-1", "aud": CLIENT_ID, "exp": now + 300, "iat": now,
            "nonce": nonce, "at_hash": at_hash, "auth_time": now - 5, "sid": "sid-1",
            "email": "User@example.com", "email_verified": true, "groups": ["team-a", "system:masters"],
        });
        // Without one there is no member at all.
        let claims = if nonce.is_some() { claims } else { merged(&claims, &json!({"nonce": null})) };
        let claims = merged(&claims, &lies.claims);
        let header = json!({"alg": lies.algorithm.name(), "kid": lies.key.jwk["kid"], "typ": "JWT"});
        let header = merged(&header, &lies.header);
        let id_token = match &lies.forge {
            Some(forge) => forge(&header, &claims),
            None => lies.key.sign(lies.algorithm, &header, &claims),
        };
        let mut honest =
            json!({"access_token": access_token, "token_type": "Bearer", "expires_in": 300, "id_token": id_token});
        if let Some(number) = self.refresh_token.lock().unwrap().as_mut() {
            *number += 1;
            honest["refresh_token"] = format!("refresh-{number}").into();
        }
        (StatusCode::OK, merged(&honest, &lies.token))
    }

    fn userinfo(&self) -> Value {
        let honest = json!({
            "sub": "subject-1", "email": "user@example.com", "email_verified": true, "groups": ["from-userinfo"],
        });
        merged(&honest, &self.lies.lock().unwrap().userinfo)
    }

    async fn wait_at(gate: &Mutex<Option<Arc<Notify>>>) {
        let gate = gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.notified().await;
        }
    }
}

fn form_of(request: &Request<Vec<u8>>) -> HashMap<String, String> {
    form_urlencoded::parse(request.body()).into_owned().collect()
}

fn hash_of(algorithm: Algorithm) -> &'static digest::Algorithm {
    match algorithm.name().get(2..) {
        Some("384") => &digest::SHA384,
        // Ed25519 hashes with SHA-512 itself.
        Some("512" | "DSA") => &digest::SHA512,
        _ => &digest::SHA256,
    }
}

#[async_trait]
impl OutboundHttp for ScriptedProvider {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Bytes>, HttpError> {
        let path = request.uri().path().trim_start_matches("/dex").to_owned();
        *self.calls.lock().unwrap().entry(path.clone()).or_default() += 1;
        if request.method() == http::Method::POST {
            self.posted.lock().unwrap().push((path.clone(), form_of(&request)));
        }
        let breaks = self.lies.lock().unwrap().breaking.contains(&path.as_str());
        assert!(!breaks, "scripted");
        let hangs = self.lies.lock().unwrap().hanging.contains(&path.as_str());
        if hangs {
            std::future::pending::<()>().await;
        }
        let held = self.held.lock().unwrap().get(path.as_str()).cloned();
        if let Some(gate) = held {
            gate.notified().await;
        }
        let (status, body) = match path.as_str() {
            "/.well-known/openid-configuration" => (StatusCode::OK, self.discovery()),
            "/keys" => {
                Self::wait_at(&self.gate_of_keys).await;
                (StatusCode::OK, json!({"keys": self.lies.lock().unwrap().published}))
            }
            "/token" => {
                Self::wait_at(&self.gate).await;
                self.token(&request)
            }
            "/userinfo" => (StatusCode::OK, self.userinfo()),
            "/revoke" if Self::knows_client(&request, &form_of(&request)) => (StatusCode::OK, json!({})),
            "/introspect" if Self::knows_client(&request, &form_of(&request)) => {
                (StatusCode::OK, json!({"active": true, "sub": "subject-1"}))
            }
            "/revoke" | "/introspect" => (StatusCode::UNAUTHORIZED, json!({})),
            _ => (StatusCode::NOT_FOUND, json!({})),
        };
        let lies = self.lies.lock().unwrap();
        let status = lies.statuses.get(path.as_str()).copied().unwrap_or(status);
        let body = lies.bodies.get(path.as_str()).cloned().unwrap_or_else(|| body.to_string());
        let content_type = lies.content_types.get(path.as_str()).copied().unwrap_or("application/json");
        let response = Response::builder().status(status).header(header::CONTENT_TYPE, content_type);
        Ok(response.body(Bytes::from(body)).unwrap())
    }
}
