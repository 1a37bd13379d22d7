//! What a ServiceAccount token says of itself, and what of it can be refused without asking anyone.

use serde_json::Value;

use crate::{
    clock::Timestamp,
    jose::{Expectation, UnverifiedToken},
    principal::{BoundPod, ServiceAccountName},
    reason::Reason,
};

/// The claims of a ServiceAccount token (Kubernetes, `kubernetes.io` private claims). They are only what the token says
/// until an answer of the API server agrees with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) subject: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) pod: Option<BoundPod>,
    pub(super) expires_at: Timestamp,
    pub(super) issued_at: Option<Timestamp>,
}

impl Claims {
    /// Reads the claims and refuses what no review could make good: another issuer or audience, a token out of its
    /// time, a subject that is no service account or not the one that the token was issued for.
    pub(super) fn read(
        token: &UnverifiedToken,
        issuers: &[String],
        audiences: &[String],
        now: Timestamp,
    ) -> Result<Self, Reason> {
        if !token.issuer().is_some_and(|issuer| issuers.iter().any(|known| known == issuer)) {
            return Err(Reason::BearerIssuerUnknown);
        }
        if !token.audiences().iter().any(|audience| audiences.contains(audience)) {
            return Err(Reason::TokenAudience);
        }
        let expires_at = token.expires_at().ok_or(Reason::TokenMalformed)?;
        if now >= expires_at.plus(Expectation::DEFAULT_LEEWAY) {
            return Err(Reason::TokenExpired);
        }
        if token.not_before().is_some_and(|not_before| not_before > now.plus(Expectation::DEFAULT_LEEWAY)) {
            return Err(Reason::TokenNotYetValid);
        }
        Self::read_account(token, expires_at).ok_or(Reason::TokenMalformed)
    }

    fn read_account(token: &UnverifiedToken, expires_at: Timestamp) -> Option<Self> {
        let subject = token.subject()?;
        let account_name = ServiceAccountName::from_username(subject)?;
        let (namespace, name) = (account_name.namespace().as_str(), account_name.name());
        let kubernetes = token.claim("kubernetes.io")?;
        let account = kubernetes.get("serviceaccount")?;
        let uid = text(account, "uid")?;
        if text(kubernetes, "namespace")? != namespace || text(account, "name")? != name || uid.is_empty() {
            return None;
        }
        let pod = match kubernetes.get("pod") {
            Some(pod) => Some(BoundPod { name: text(pod, "name")?.to_owned(), uid: text(pod, "uid")?.to_owned() }),
            None => None,
        };
        Some(Self {
            subject: subject.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            pod,
            expires_at,
            issued_at: token.issued_at(),
        })
    }
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str()
}
