//! ServiceAccount tokens as the TokenRequest API makes them.

use serde_json::{Map, Value, json};

use super::ReviewApi;
use super::ids::{subject, uid};
use super::state::State;
use crate::jwt;

/// A ServiceAccount token that is about to be issued.
#[derive(Debug)]
pub struct TokenBuilder<'a> {
    api: &'a ReviewApi,
    namespace: String,
    name: String,
    audiences: Vec<String>,
    pod: Option<String>,
    lifetime: i64,
    changes: Map<String, Value>,
}

impl<'a> TokenBuilder<'a> {
    fn new(api: &'a ReviewApi, namespace: &str, name: &str) -> Self {
        Self {
            api,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            audiences: Vec::new(),
            pod: None,
            lifetime: 3600,
            changes: Map::new(),
        }
    }

    /// Adds an audience. A token without one is for the API server itself.
    #[must_use]
    pub fn audience(mut self, audience: &str) -> Self {
        self.audiences.push(audience.to_owned());
        self
    }

    /// Binds the token to a pod.
    #[must_use]
    pub fn pod(mut self, name: &str) -> Self {
        self.pod = Some(name.to_owned());
        self
    }

    /// Ends the token after so many seconds, or before now.
    #[must_use]
    pub fn lifetime(mut self, seconds: i64) -> Self {
        self.lifetime = seconds;
        self
    }

    /// Sets a claim to something else; null removes it.
    #[must_use]
    pub fn claim(mut self, name: &str, value: Value) -> Self {
        self.changes.insert(name.to_owned(), value);
        self
    }

    /// The claims.
    #[must_use]
    pub fn claims(&self) -> Value {
        let now = jwt::now();
        let audiences =
            if self.audiences.is_empty() { std::slice::from_ref(&self.api.shared.issuer) } else { &self.audiences };
        let subject = subject(&self.namespace, &self.name);
        let mut kubernetes = json!({
            "namespace": self.namespace,
            "serviceaccount": { "name": self.name, "uid": uid(&subject) },
        });
        if let Some(pod) = &self.pod {
            kubernetes["pod"] = json!({ "name": pod, "uid": uid(pod) });
        }
        let mut claims = json!({
            "aud": audiences,
            "exp": now + self.lifetime,
            "iat": now,
            "iss": self.api.shared.issuer,
            "jti": uid(&jwt::random_id()),
            "kubernetes.io": kubernetes,
            "nbf": now,
            "sub": subject,
        });
        let claims_map = claims.as_object_mut().expect("claims are an object");
        for (name, value) in &self.changes {
            if value.is_null() {
                claims_map.remove(name);
            } else {
                claims_map.insert(name.clone(), value.clone());
            }
        }
        claims
    }

    /// Issues the token: the server knows it from now on.
    #[must_use]
    pub fn issue(&self) -> String {
        let claims = self.claims();
        let mut state = self.api.shared.state();
        let token = sign(&state, &claims);
        state.issued.insert(token.clone(), claims);
        token
    }

    /// Signs the token with the server's key, but the server does not know it.
    #[must_use]
    pub fn signed_unknown(&self) -> String {
        sign(&self.api.shared.state(), &self.claims())
    }

    /// A forgery: issuer, audience and expiry as they should be, a known `kid`, a signature that is
    /// not the server's.
    #[must_use]
    pub fn forged(&self) -> String {
        let header = self.api.shared.state().signing_key().header().to_string();
        let payload = self.claims().to_string();
        let mut signature = [0; 256];
        aws_lc_rs::rand::fill(&mut signature).expect("the system has randomness");
        jwt::unsigned(header.as_bytes(), payload.as_bytes(), &signature)
    }
}

impl ReviewApi {
    /// Begins a token of a ServiceAccount.
    #[must_use]
    pub fn token(&self, namespace: &str, name: &str) -> TokenBuilder<'_> {
        TokenBuilder::new(self, namespace, name)
    }
}

fn sign(state: &State, claims: &Value) -> String {
    // The API server's own tokens have no `typ`.
    let key = state.signing_key();
    let header = json!({ "alg": key.algorithm().name(), "kid": key.kid() });
    let token = key.sign_bytes(header.to_string().as_bytes(), claims.to_string().as_bytes());
    let token = token.expect("a key that was made here signs");
    crate::evidence::secret(crate::evidence::Kind::ServiceAccountToken, &token);
    token
}
