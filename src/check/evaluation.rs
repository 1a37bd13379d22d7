//! What a check would be decided as: no login is started and nothing is written here.

use std::sync::Arc;

use http::HeaderName;

use super::{Checker, refusal::Refusal};
use crate::{
    authn::{Authenticated, Authenticator as _, BearerClass, Outcome, Rejected},
    authz::{Access, Preflight, Rule},
    decision::{Allow, Disposition, HeaderText, Mutations},
    endpoints::Addressed,
    identity::{Bearer, CredentialKey, Identity, Proof},
    principal::{Method, Principal},
    reason::Reason,
    request::{Kind, Provenance, Request},
    session::Session,
};

/// What a check would be decided as, and by which rule.
#[derive(Debug)]
pub enum Evaluation<'a> {
    /// The request goes on.
    Allow {
        /// The changes.
        allow: Allow,
        /// The rule.
        rule: &'a Rule,
        /// In whose name.
        principal: Option<Principal>,
    },
    /// The request is for an endpoint of ours.
    Endpoint {
        /// Which.
        addressed: Addressed,
        /// The caller's session.
        session: Option<Arc<Session>>,
    },
    /// A navigation that needs somebody to sign in.
    SignIn {
        /// Why.
        reason: Reason,
        /// The rule.
        rule: &'a Rule,
    },
    /// The request is refused.
    Refuse {
        /// How.
        refusal: Refusal,
        /// The rule, where one was chosen.
        rule: Option<&'a Rule>,
        /// Who was authenticated all the same.
        principal: Option<Principal>,
    },
}

impl Evaluation<'_> {
    fn refuse(refusal: Refusal) -> Self {
        Self::Refuse { refusal, rule: None, principal: None }
    }
}

impl Checker {
    /// What a request would be decided as. Has no effect but on caches.
    pub async fn evaluate<'a>(&'a self, request: &Request) -> Evaluation<'a> {
        if !self.rules.knows(request.host()) {
            return Evaluation::refuse(Refusal::new(Reason::UnknownHost, Disposition::Misdirected));
        }
        if self.identity.is_hidden(request) {
            return Evaluation::refuse(Refusal::new(Reason::ProtectedHeaderHidden, Disposition::BadRequest));
        }
        if let Some(addressed) = self.endpoints.addressed(request) {
            return self.evaluate_endpoint(request, addressed).await;
        }
        match self.rules.choose(request) {
            Ok(rule) => self.evaluate_rule(request, rule).await,
            Err(reason) => Evaluation::refuse(Refusal::new(reason, Disposition::BadRequest)),
        }
    }

    async fn evaluate_endpoint<'a>(&'a self, request: &Request, addressed: Addressed) -> Evaluation<'a> {
        let outcome = if addressed.needs_session() {
            self.session.authenticate(request).await
        } else {
            // A logout, for one, must not wait for the provider.
            self.session.open(request).await
        };
        let session = match outcome {
            Outcome::Authenticated(authenticated) => authenticated.session().cloned(),
            Outcome::Rejected(
                rejected @ Rejected { reason: Reason::StoreUnavailable | Reason::ProviderUnavailable, .. },
            ) if addressed.needs_session() => return Evaluation::refuse(Refusal::of_credential(rejected)),
            _ => None,
        };
        Evaluation::Endpoint { addressed, session }
    }

    async fn evaluate_rule<'a>(&'a self, request: &Request, rule: &'a Rule) -> Evaluation<'a> {
        match rule.access() {
            Access::Deny => {
                let refusal = Refusal::new(Reason::DeniedByRule, Disposition::Forbidden);
                Evaluation::Refuse { refusal, rule: Some(rule), principal: None }
            }
            Access::Public => self.anonymous(request, rule, Reason::Public),
            _ if request.kind() == Kind::Preflight && rule.preflight() == Preflight::Allow => {
                self.anonymous(request, rule, Reason::Preflight)
            }
            Access::Optional => match self.authenticate(request, rule).await {
                Ok(Some(authenticated)) => self.permitted(request, rule, &authenticated),
                Ok(None) | Err(Denied::NoSession(_)) => self.anonymous(request, rule, Reason::Anonymous),
                Err(Denied::Refused(refusal)) => Evaluation::Refuse { refusal, rule: Some(rule), principal: None },
            },
            Access::Authenticated => match self.authenticate(request, rule).await {
                Ok(Some(authenticated)) => self.permitted(request, rule, &authenticated),
                Ok(None) => self.not_signed_in(request, rule, Reason::NotSignedIn),
                Err(Denied::NoSession(reason)) => self.not_signed_in(request, rule, reason),
                Err(Denied::Refused(refusal)) => Evaluation::Refuse { refusal, rule: Some(rule), principal: None },
            },
        }
    }

    /// Asks the authenticators in their order. A credential that is rejected does not fall through; only a session that
    /// is no more counts as none.
    async fn authenticate(&self, request: &Request, rule: &Rule) -> Result<Option<Authenticated>, Denied> {
        let seen = match self.bearer.authenticate(request).await {
            Outcome::Authenticated(authenticated) => return Ok(Some(authenticated)),
            Outcome::Rejected(rejected) => return Err(Denied::Refused(Refusal::of_credential(rejected))),
            Outcome::NotPresented { seen } => seen,
        };
        self.guard_cross_site(request, rule)?;
        if !self.cookie_counts(request, rule) {
            return Err(Denied::NoSession(seen.unwrap_or(Reason::CrossOrigin)));
        }
        match self.session.authenticate(request).await {
            Outcome::Authenticated(authenticated) => Ok(Some(authenticated)),
            Outcome::Rejected(Rejected { reason: reason @ (Reason::SessionEnded | Reason::TicketInvalid), .. }) => {
                Err(Denied::NoSession(seen.unwrap_or(reason)))
            }
            Outcome::Rejected(rejected) => Err(Denied::Refused(Refusal::of_credential(rejected))),
            Outcome::NotPresented { .. } => seen.map_or(Ok(None), |seen| Err(Denied::NoSession(seen))),
        }
    }

    /// With a cookie of ours, another site's page may only navigate here: whatever else it sends is not its visitor's
    /// word.
    fn guard_cross_site(&self, request: &Request, rule: &Rule) -> Result<(), Denied> {
        let harmless = request.method() == "GET" && request.kind() != Kind::WebSocket;
        if harmless || self.is_own_page(request, rule) || !self.session.is_presented(request) {
            return Ok(());
        }
        Err(Denied::Refused(Refusal::new(Reason::CrossOrigin, Disposition::Forbidden)))
    }

    fn cookie_counts(&self, request: &Request, rule: &Rule) -> bool {
        self.is_own_page(request, rule) || request.kind() == Kind::Navigation || !self.session.is_presented(request)
    }

    fn is_own_page(&self, request: &Request, rule: &Rule) -> bool {
        let own = self.endpoints.origin(request).map(|origin| origin.login.url.as_str());
        request.provenance(own, rule.allowed_origins()) != Provenance::CrossOrigin
    }

    fn anonymous<'a>(&'a self, request: &Request, rule: &'a Rule, reason: Reason) -> Evaluation<'a> {
        let class = self.bearer.classify(request.authorization());
        let mut mutations = self.identity.strip(request, bearer_fate(class, rule));
        if reason == Reason::Preflight {
            Identity::hold_to_method(request, &mut mutations);
        }
        narrow_service_workers(request, &mut mutations);
        Evaluation::Allow { allow: Allow::new(reason, mutations), rule, principal: None }
    }

    fn permitted<'a>(&'a self, request: &Request, rule: &'a Rule, authenticated: &Authenticated) -> Evaluation<'a> {
        let principal = authenticated.principal();
        let permit = match rule.permit(principal) {
            Ok(permit) => permit,
            Err(reason) => {
                let refusal = Refusal::new(reason, Disposition::Forbidden);
                return Evaluation::Refuse { refusal, rule: Some(rule), principal: Some(principal.clone()) };
            }
        };
        // A token that was accepted is not decoded a second time only to learn whose it is.
        let class = match authenticated.method() {
            Method::Bearer => BearerClass::Cluster,
            Method::Session => self.bearer.classify(request.authorization()),
        };
        let credential = CredentialKey { name: authenticated.credential(), version: authenticated.version() };
        let proof = Proof { method: authenticated.method(), credential };
        let fate = bearer_fate(class, rule);
        let mut mutations = self.identity.inject(request, permit.principal(), proof, rule.audience(), fate);
        if authenticated.method() == Method::Session && !self.is_own_page(request, rule) {
            // The cookie counts because another site's page may navigate here, which is a GET.
            Identity::hold_to_method(request, &mut mutations);
        }
        narrow_service_workers(request, &mut mutations);
        Evaluation::Allow {
            allow: Allow::new(authenticated.reason(), mutations),
            rule,
            principal: Some(principal.clone()),
        }
    }

    /// A navigation without a bearer goes to sign in, everything else is told that it needs a credential.
    fn not_signed_in<'a>(&'a self, request: &Request, rule: &'a Rule, reason: Reason) -> Evaluation<'a> {
        let has_bearer = self.bearer.classify(request.authorization()) != BearerClass::None;
        let can_sign_in = matches!(request.kind(), Kind::Navigation | Kind::FramedNavigation);
        if can_sign_in && !has_bearer && self.endpoints.origin(request).is_some() {
            return Evaluation::SignIn { reason, rule };
        }
        Evaluation::Refuse { refusal: Refusal::unauthorized(reason), rule: Some(rule), principal: None }
    }
}

/// Why nobody is authenticated.
enum Denied {
    /// No session, or one that is no more: on an optional rule the request is anonymous.
    NoSession(Reason),
    /// A credential that was rejected, or a request that may not use one.
    Refused(Refusal),
}

fn bearer_fate(class: BearerClass, rule: &Rule) -> Bearer {
    if class.is_ours() && !rule.keep_bearer() { Bearer::Remove } else { Bearer::Keep }
}

/// A service worker's script may claim no more than its own folder, whatever the service behind says: on a shared origin
/// it could otherwise act for every tenant.
fn narrow_service_workers(request: &Request, mutations: &mut Mutations) {
    if !request.headers().contains("service-worker") {
        return;
    }
    let path = request.path().raw();
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    if let Ok(folder) = HeaderText::parse(format!("{folder}/")) {
        mutations.set_response(&HeaderName::from_static("service-worker-allowed"), folder);
    }
}
