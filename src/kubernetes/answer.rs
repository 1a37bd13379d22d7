//! What a TokenReview's answer must say before it is believed.

use super::{claims::Claims, reviews::ReviewAnswer};
use crate::{
    clock::Timestamp,
    principal::{BoundPod, Groups, ServiceAccount},
};

const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// A service account whose token the API server accepted for one of our audiences. Nothing else makes this value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewedServiceAccount {
    account: ServiceAccount,
    expires_at: Timestamp,
    issued_at: Option<Timestamp>,
}

impl ReviewedServiceAccount {
    /// Whom the token belongs to.
    #[must_use]
    pub const fn account(&self) -> &ServiceAccount {
        &self.account
    }

    /// When the token expires (`exp`).
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// When the token was issued (`iat`), where it says so.
    #[must_use]
    pub const fn issued_at(&self) -> Option<Timestamp> {
        self.issued_at
    }
}

/// Why an answer does not make the token good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Objection {
    /// The API server does not know the token.
    NotAuthenticated,
    /// It is meant for none of our audiences, or the API server looked at none.
    Audience,
    /// It belongs to somebody else than it says.
    AnotherUser,
}

/// Compares the answer with the token's own claims and with our audiences.
pub(super) fn believe(
    answer: ReviewAnswer,
    claims: &Claims,
    audiences: &[String],
) -> Result<ReviewedServiceAccount, Objection> {
    if !answer.authenticated {
        return Err(Objection::NotAuthenticated);
    }
    // An API server that ignores audiences answers without any: it has then checked its own, which every pod's token has.
    if !answer.audiences.iter().any(|audience| audiences.contains(audience)) {
        return Err(Objection::Audience);
    }
    let user = answer.user;
    let said = |name: &str| match user.extra.get(name).map(Vec::as_slice) {
        Some([value]) if !value.is_empty() => Some(value.clone()),
        _ => None,
    };
    let pod = said(POD_NAME).zip(said(POD_UID)).map(|(name, uid)| BoundPod { name, uid });
    let pods_agree = match (&pod, &claims.pod) {
        (Some(told), Some(claimed)) => told == claimed,
        (Some(_), None) => false,
        (None, _) => true,
    };
    if user.username != claims.subject || user.uid != claims.uid || user.uid.is_empty() || !pods_agree {
        return Err(Objection::AnotherUser);
    }
    let account = ServiceAccount {
        namespace: claims.namespace.clone(),
        name: claims.name.clone(),
        uid: user.uid.clone(),
        pod,
        credential_id: said(CREDENTIAL_ID),
        groups: Groups::from_kubernetes(user.groups.iter().map(String::as_str)),
    };
    Ok(ReviewedServiceAccount { account, expires_at: claims.expires_at, issued_at: claims.issued_at })
}
