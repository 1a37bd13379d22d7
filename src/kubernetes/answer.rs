//! What a TokenReview's answer must say before it is believed.

use std::sync::Arc;

use super::{claims::Claims, reviews::ReviewAnswer};
use crate::{
    clock::Timestamp,
    principal::{BoundPod, Groups, ServiceAccount},
    told::Told,
};

const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// A service account whose token the API server accepted for one of our audiences, or of those that rules name. Nothing
/// else makes this value.
#[derive(Clone, Debug)]
pub struct ReviewedServiceAccount {
    account: Arc<ServiceAccount>,
    told: Arc<Told>,
    expires_at: Timestamp,
    issued_at: Option<Timestamp>,
    further_audience: Option<Arc<str>>,
}

impl ReviewedServiceAccount {
    /// Whom the token belongs to.
    #[must_use]
    pub fn account(&self) -> &ServiceAccount {
        &self.account
    }

    /// The same, for whoever keeps it.
    #[must_use]
    pub const fn shared_account(&self) -> &Arc<ServiceAccount> {
        &self.account
    }

    /// What services were told by this token.
    #[must_use]
    pub const fn told(&self) -> &Arc<Told> {
        &self.told
    }

    /// Whose the token is meant for, where that is not us: only a rule that names this audience may take it.
    #[must_use]
    pub fn further_audience(&self) -> Option<&str> {
        self.further_audience.as_deref()
    }

    /// The same token as it was reviewed before, where the API server says the same of it: what services were told then may
    /// be told again.
    pub(super) fn after(self, before: &Self) -> Self {
        if self == *before { Self { told: Arc::clone(&before.told), ..self } } else { self }
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

/// What the API server and the token say is the same.
impl PartialEq for ReviewedServiceAccount {
    fn eq(&self, other: &Self) -> bool {
        let said = |one: &Self| (one.expires_at, one.issued_at);
        self.account == other.account
            && said(self) == said(other)
            && self.further_audience() == other.further_audience()
    }
}

impl Eq for ReviewedServiceAccount {}

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
    further: &[String],
) -> Result<ReviewedServiceAccount, Objection> {
    if !answer.authenticated {
        return Err(Objection::NotAuthenticated);
    }
    // An API server that ignores audiences answers without any: it has then checked its own, which every pod's token has.
    let is_ours = answer.audiences.iter().any(|audience| audiences.contains(audience));
    let further_audience = match answer.audiences.iter().find(|audience| further.contains(audience)) {
        _ if is_ours => None,
        Some(audience) => Some(audience.as_str().into()),
        None => return Err(Objection::Audience),
    };
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
    let account = Arc::new(ServiceAccount {
        namespace: claims.namespace.clone(),
        name: claims.name.clone(),
        uid: user.uid.clone(),
        pod,
        credential_id: said(CREDENTIAL_ID),
        groups: Groups::from_kubernetes(user.groups.iter().map(String::as_str)),
        extra: user.extra,
    });
    Ok(ReviewedServiceAccount {
        account,
        told: Arc::default(),
        expires_at: claims.expires_at,
        issued_at: claims.issued_at,
        further_audience,
    })
}
