//! Bearer tokens: whose they are to judge, and the judgement of ServiceAccount tokens.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;

use super::{Authenticated, Authenticator, Outcome, Rejected};
use crate::{
    decision::RETRY_AFTER,
    jose::{self, TokenError},
    kubernetes::{ReviewedServiceAccount, ServiceAccountTokens},
    principal::{Method, Principal},
    reason::Reason,
    request::{Authorization, Request},
    revocation::{NotRevoked, Revocations, TokenRefusal},
    secret::sha256,
};

/// Whose the `authorization` header is to judge. Told by the unverified issuer alone: it decides who judges, never what
/// the judgement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BearerClass {
    /// There is no bearer token.
    None,
    /// Several values, a bearer among them.
    Ambiguous,
    /// No JWT: the application's own.
    NotJwt,
    /// A JWT of an issuer that is not ours to judge: the application's own.
    ForeignIssuer,
    /// It looks like a JWT but cannot be read in one way.
    Malformed,
    /// A ServiceAccount token of the cluster.
    Cluster,
    /// A token of an identity provider of ours, or our own assertion: never a credential here.
    NotAccepted,
}

impl BearerClass {
    /// Whether the header must not reach a service, because whoever runs that could use it here or at the issuer.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Ambiguous | Self::Malformed | Self::Cluster | Self::NotAccepted)
    }
}

/// Judges bearer tokens.
#[derive(Debug)]
pub struct BearerAuthenticator {
    service_accounts: Option<ServiceAccountTokens>,
    revocations: Arc<Revocations>,
    not_accepted: HashSet<String>,
}

impl BearerAuthenticator {
    /// Judges ServiceAccount tokens where `service_accounts` are configured, those that `revocations` name excepted.
    /// Tokens of the issuers that are `not_accepted` (the identity providers and our own assertion's) are refused.
    #[must_use]
    pub fn new(
        service_accounts: Option<ServiceAccountTokens>,
        revocations: Arc<Revocations>,
        not_accepted: impl IntoIterator<Item = String>,
    ) -> Self {
        Self { service_accounts, revocations, not_accepted: not_accepted.into_iter().collect() }
    }

    /// Whose the header is to judge.
    #[must_use]
    pub fn classify(&self, authorization: Authorization<'_>) -> BearerClass {
        let token = match authorization {
            Authorization::Absent | Authorization::Other => return BearerClass::None,
            Authorization::Ambiguous => return BearerClass::Ambiguous,
            Authorization::Bearer(token) => token.expose(),
        };
        let token = match jose::peek(token) {
            Ok(token) => token,
            Err(TokenError::NotJwt | TokenError::Encrypted) => return BearerClass::NotJwt,
            Err(_) => return BearerClass::Malformed,
        };
        let Some(issuer) = token.issuer() else { return BearerClass::ForeignIssuer };
        let is_cluster = |accounts: &ServiceAccountTokens| accounts.issuers().iter().any(|ours| ours == issuer);
        if self.service_accounts.as_ref().is_some_and(is_cluster) {
            BearerClass::Cluster
        } else if self.not_accepted.contains(issuer) {
            BearerClass::NotAccepted
        } else {
            BearerClass::ForeignIssuer
        }
    }

    /// The outcome for a token that the API server accepted, now or a moment ago: a revocation counts at once.
    fn accepted(&self, token: &str, reviewed: &ReviewedServiceAccount) -> Outcome {
        match self.revocations.judge(reviewed.account(), reviewed.issued_at()) {
            Ok(not_revoked) => Outcome::Authenticated(authenticated(token, reviewed, not_revoked)),
            Err(TokenRefusal::Revoked) => Outcome::rejected(Reason::TokenRevoked),
            Err(TokenRefusal::Unknown) => {
                Outcome::Rejected(Rejected { reason: Reason::RevocationsUnknown, retry_after: Some(RETRY_AFTER) })
            }
        }
    }
}

fn authenticated(token: &str, reviewed: &ReviewedServiceAccount, _: NotRevoked) -> Authenticated {
    Authenticated {
        principal: Principal::ServiceAccount(reviewed.account().clone()),
        method: Method::Bearer,
        reason: Reason::ServiceAccount,
        credential: sha256(token.as_bytes()).to_vec(),
        version: 0,
        session: None,
    }
}

#[async_trait]
impl Authenticator for BearerAuthenticator {
    async fn authenticate(&self, request: &Request) -> Outcome {
        let authorization = request.authorization();
        // The hot path: one hash and one look-up, before anything is decoded.
        if let (Some(accounts), Authorization::Bearer(token)) = (&self.service_accounts, authorization)
            && let Some(reviewed) = accounts.cached(token.expose())
        {
            return self.accepted(token.expose(), &reviewed);
        }
        match self.classify(authorization) {
            BearerClass::None => Outcome::nothing(),
            BearerClass::Ambiguous => Outcome::rejected(Reason::AuthorizationAmbiguous),
            BearerClass::Malformed => Outcome::rejected(Reason::TokenMalformed),
            BearerClass::NotAccepted => Outcome::rejected(Reason::BearerNotAccepted),
            BearerClass::NotJwt => Outcome::NotPresented { seen: Some(Reason::BearerNotJwt) },
            BearerClass::ForeignIssuer => Outcome::NotPresented { seen: Some(Reason::BearerIssuerUnknown) },
            BearerClass::Cluster => self.judge(authorization).await,
        }
    }
}

impl BearerAuthenticator {
    async fn judge(&self, authorization: Authorization<'_>) -> Outcome {
        let (Some(accounts), Authorization::Bearer(token)) = (&self.service_accounts, authorization) else {
            return Outcome::rejected(Reason::BearerNotAccepted);
        };
        match accounts.judge(token.expose()).await {
            Ok(reviewed) => self.accepted(token.expose(), &reviewed),
            Err(refusal) => Outcome::Rejected(Rejected { reason: refusal.reason, retry_after: refusal.retry_after }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{ManualClock, SharedClock, Timestamp},
        request::RawRequest,
        revocation,
        secret::{RootKeyRing, SecretBytes},
        store::MemoryStore,
    };

    fn jwt(claims: &serde_json::Value) -> String {
        let part = |value: &serde_json::Value| crate::secret::encode(value.to_string().as_bytes());
        format!("{}.{}.c2ln", part(&serde_json::json!({"alg": "ES256"})), part(claims))
    }

    fn classify(value: &str) -> BearerClass {
        let clock: SharedClock = ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000));
        let ring = RootKeyRing::new(&[SecretBytes::new((0..32).collect())]).unwrap().shared();
        let store = Arc::new(MemoryStore::new(Arc::clone(&clock)));
        let revocations = Revocations::new(store, ring, clock, revocation::Metrics::default());
        let authenticator =
            BearerAuthenticator::new(None, Arc::new(revocations), ["https://idp.example.com".to_owned()]);
        let headers = vec![("authorization".to_owned(), value.to_owned())];
        let raw = RawRequest { method: "GET".into(), host: "kf".into(), path: "/".into(), headers, source: None };
        authenticator.classify(Request::parse(raw).unwrap().authorization())
    }

    #[test]
    fn whose_a_token_is_goes_by_its_issuer() {
        let bearer = |claims| format!("Bearer {}", jwt(&claims));
        assert_eq!(classify("Basic dTpw"), BearerClass::None);
        assert_eq!(classify("Bearer sk-1234567890"), BearerClass::NotJwt);
        assert_eq!(classify("Bearer a, Bearer b"), BearerClass::Ambiguous);
        assert_eq!(classify(&bearer(serde_json::json!({"iss": "https://idp.example.com"}))), BearerClass::NotAccepted);
        assert_eq!(classify(&bearer(serde_json::json!({"iss": "https://elsewhere"}))), BearerClass::ForeignIssuer);
        assert_eq!(classify(&bearer(serde_json::json!({}))), BearerClass::ForeignIssuer);
        let doubled = format!(
            "Bearer {}.{}.c2ln",
            crate::secret::encode(br#"{"alg":"ES256"}"#),
            crate::secret::encode(br#"{"iss":"https://elsewhere","iss":"https://idp.example.com"}"#)
        );
        assert_eq!(classify(&doubled), BearerClass::Malformed);
        assert_eq!(classify(&format!("Bearer {}", "a".repeat(20_000))), BearerClass::Malformed);
    }
}
