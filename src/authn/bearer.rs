//! Bearer tokens: whose they are to judge, and the judgement of ServiceAccount tokens.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;

use super::{
    authenticator::{Attempt, Authenticator},
    outcome::{Authenticated, Outcome},
};
use crate::{
    kubernetes::{ReviewedServiceAccount, ServiceAccountTokens},
    principal::{Method, Principal},
    reason::Reason,
    request::Authorization,
    revocation::{NotRevoked, Revocations, TokenRefusal},
    visit::{Bearer, Visit},
};

/// Whose the `authorization` header is to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BearerClass {
    /// There is no bearer token.
    None,
    /// Several values, a bearer among them.
    Ambiguous,
    /// No JWT: the application's own.
    NotJwt,
    /// A JWT of an issuer that is not ours to judge: the application's own.
    ForeignIssuer,
    /// It looks like a JWT, and two readers could take two issuers of it.
    Malformed,
    /// A ServiceAccount token of the cluster.
    Cluster,
    /// A token of an identity provider of ours, or our own assertion: never a credential here.
    NotAccepted,
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

    fn class(&self, visit: &Visit<'_>) -> BearerClass {
        let issuer = match visit.bearer() {
            Bearer::None => return BearerClass::None,
            Bearer::Ambiguous => return BearerClass::Ambiguous,
            Bearer::NotJwt => return BearerClass::NotJwt,
            Bearer::Malformed => return BearerClass::Malformed,
            Bearer::Jwt { issuer: None } => return BearerClass::ForeignIssuer,
            Bearer::Jwt { issuer: Some(issuer) } => issuer,
        };
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
    fn accepted(&self, reviewed: &ReviewedServiceAccount, attempt: Attempt<'_, '_>) -> Outcome {
        let further = reviewed.further_audience();
        if further.is_some() && further != attempt.further_audience {
            return Outcome::rejected(Reason::TokenAudience);
        }
        match self.revocations.judge(reviewed.account(), reviewed.issued_at()) {
            Ok(not_revoked) => Outcome::Authenticated(authenticated(reviewed, not_revoked)),
            Err(TokenRefusal::Revoked) => Outcome::rejected(Reason::TokenRevoked),
            Err(TokenRefusal::Unknown) => Outcome::rejected(Reason::RevocationsUnknown),
        }
    }
}

fn authenticated(reviewed: &ReviewedServiceAccount, _: NotRevoked) -> Authenticated {
    Authenticated {
        principal: Principal::ServiceAccount(Arc::clone(reviewed.shared_account())),
        method: Method::BEARER,
        reason: match reviewed.further_audience() {
            None => Reason::ServiceAccount,
            Some(_) => Reason::FurtherAudience,
        },
        told: Arc::clone(reviewed.told()),
        owns_authorization: true,
        holds_to_method: false,
        session: None,
    }
}

#[async_trait]
impl Authenticator for BearerAuthenticator {
    async fn authenticate(&self, attempt: Attempt<'_, '_>) -> Outcome {
        if !attempt.bearer_counts {
            return Outcome::NotPresented;
        }
        let authorization = attempt.visit.authorization();
        match self.class(attempt.visit) {
            BearerClass::None => Outcome::NotPresented,
            BearerClass::Ambiguous => Outcome::rejected(Reason::AuthorizationAmbiguous),
            BearerClass::Malformed => Outcome::rejected(Reason::TokenMalformed),
            BearerClass::NotAccepted => Outcome::rejected(Reason::BearerNotAccepted),
            BearerClass::NotJwt => Outcome::NotCounted(Reason::BearerNotJwt),
            BearerClass::ForeignIssuer => Outcome::NotCounted(Reason::BearerIssuerUnknown),
            BearerClass::Cluster => self.judge(attempt, authorization).await,
        }
    }

    /// One hash and one look-up, before anything is decoded.
    fn at_once(&self, attempt: Attempt<'_, '_>) -> Option<Outcome> {
        match attempt.visit.authorization() {
            _ if !attempt.bearer_counts => Some(Outcome::NotPresented),
            Authorization::Absent | Authorization::Other => Some(Outcome::NotPresented),
            Authorization::Ambiguous => None,
            Authorization::Bearer(token) => {
                let reviewed = self.service_accounts.as_ref()?.cached(token.expose())?;
                Some(self.accepted(&reviewed, attempt))
            }
        }
    }

    fn weigh(&self, visit: &Visit<'_>) {
        if let (Some(accounts), Authorization::Bearer(token)) = (&self.service_accounts, visit.authorization()) {
            accounts.weigh(token.expose());
        }
    }

    fn owns_authorization(&self, visit: &Visit<'_>) -> bool {
        match self.class(visit) {
            BearerClass::Ambiguous | BearerClass::Malformed | BearerClass::Cluster | BearerClass::NotAccepted => true,
            BearerClass::None | BearerClass::NotJwt | BearerClass::ForeignIssuer => false,
        }
    }
}

impl BearerAuthenticator {
    async fn judge(&self, attempt: Attempt<'_, '_>, authorization: Authorization<'_>) -> Outcome {
        let (Some(accounts), Authorization::Bearer(token)) = (&self.service_accounts, authorization) else {
            return Outcome::rejected(Reason::BearerNotAccepted);
        };
        match accounts.judge(token.expose()).await {
            Ok(reviewed) => self.accepted(&reviewed, attempt),
            Err(refusal) => Outcome::Rejected(refusal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{ManualClock, SharedClock, Timestamp},
        origin::Origins,
        request::{RawRequest, Request},
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
        let raw = RawRequest::new("GET", "kf", "/").header("authorization", value);
        let (request, origins) = (Request::parse(raw).unwrap(), Origins::new([]));
        authenticator.class(&Visit::new(&request, &origins))
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
        assert_eq!(classify(&format!("Bearer {}", "a".repeat(20_000))), BearerClass::NotJwt);
        // The shape is judged by whoever the token is for.
        let strange = |issuer| {
            let filler = "x".repeat(20_000);
            let claims = serde_json::json!({"sub": 1, "aud": null, "jti": null, "exp": "1", "filler": filler});
            let issuer = serde_json::Map::from_iter([("iss".to_owned(), issuer)]);
            bearer(claims.as_object().unwrap().clone().into_iter().chain(issuer).collect())
        };
        for foreign in [serde_json::json!("https://elsewhere"), serde_json::json!(null), serde_json::json!(1)] {
            assert_eq!(classify(&strange(foreign)), BearerClass::ForeignIssuer);
        }
        assert_eq!(classify(&strange(serde_json::json!("https://idp.example.com"))), BearerClass::NotAccepted);
    }
}
