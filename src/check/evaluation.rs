//! What a check would be decided as: no login is started and nothing is written here.

use http::HeaderName;

use super::checker::Checker;
use crate::{
    authn::{Attempt, Authenticated, BrowserSession, Identified, Look},
    authz::{
        Access, BearerUse, Lacking, LoginInsufficient, Missing, Permission, Permit, Preflight, Rule, RuleSet,
        Unpermitted, Unreviewed,
    },
    decision::{Allow, HeaderText, Mutations, Refusal},
    endpoints::Addressed,
    identity::{Bearer, Identity, Proof, Service},
    reason::Reason,
    request::{Kind, Request},
    visit::Visit,
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
        who: Option<Authenticated>,
    },
    /// The request is for an endpoint of ours.
    Endpoint {
        /// Which.
        addressed: Addressed,
        /// Who is signed in with the browser.
        browser: BrowserSession,
    },
    /// A navigation that needs somebody to sign in.
    SignIn {
        /// Why.
        reason: Reason,
        /// The rule.
        rule: &'a Rule,
        /// What the login lacks of whoever is signed in already.
        lacking: Option<Lacking>,
        /// Who is signed in already.
        who: Option<Authenticated>,
    },
    /// The request is refused.
    Refuse {
        /// How.
        refusal: Refusal,
        /// The rule, where one was chosen.
        rule: Option<&'a Rule>,
        /// Who was authenticated all the same.
        who: Option<Authenticated>,
        /// What Kubernetes would have to permit.
        missing: Option<Box<Missing>>,
    },
}

impl<'a> Evaluation<'a> {
    pub(super) fn refuse(reason: Reason) -> Self {
        Self::refuse_with(reason.into(), None, None)
    }

    const fn refuse_with(refusal: Refusal, rule: Option<&'a Rule>, who: Option<Authenticated>) -> Self {
        Self::Refuse { refusal, rule, who, missing: None }
    }

    /// The rule, where one was chosen.
    pub(super) const fn rule(&self) -> Option<&Rule> {
        match self {
            Self::Allow { rule, .. } | Self::SignIn { rule, .. } => Some(*rule),
            Self::Refuse { rule, .. } => *rule,
            Self::Endpoint { .. } => None,
        }
    }

    /// Who was authenticated.
    pub(super) const fn who(&self) -> Option<&Authenticated> {
        match self {
            Self::Allow { who, .. } | Self::SignIn { who, .. } | Self::Refuse { who, .. } => who.as_ref(),
            Self::Endpoint { .. } => None,
        }
    }
}

impl Checker {
    /// What a request would be decided as. Has no effect but on caches.
    pub async fn evaluate<'a>(&'a self, visit: &Visit<'_>) -> Evaluation<'a> {
        self.evaluate_by(&self.0.rules, visit).await
    }

    /// What a request would be decided as by these rules.
    pub(super) async fn evaluate_by<'a>(&'a self, rules: &'a RuleSet, visit: &Visit<'_>) -> Evaluation<'a> {
        let request = visit.request();
        if !rules.knows(request.host()) {
            return Evaluation::refuse(Reason::UnknownHost);
        }
        if self.0.identity.is_hidden(request) {
            return Evaluation::refuse(Reason::ProtectedHeaderHidden);
        }
        if let Some(addressed) = Addressed::of(visit) {
            return Box::pin(self.evaluate_endpoint(visit, addressed)).await;
        }
        match rules.choose(request) {
            Ok(rule) => self.evaluate_rule(visit, rule).await,
            Err(reason) => Evaluation::refuse(reason),
        }
    }

    async fn evaluate_endpoint<'a>(&'a self, visit: &Visit<'_>, addressed: Addressed) -> Evaluation<'a> {
        // A logout, for one, must not wait for the provider.
        let look = if addressed.needs_session() { Look::Fresh } else { Look::Stored };
        match self.0.authenticators.browser_session(visit, look).await {
            BrowserSession::Unknown(refusal) if addressed.needs_session() => {
                Evaluation::refuse_with(refusal, None, None)
            }
            browser => Evaluation::Endpoint { addressed, browser },
        }
    }

    async fn evaluate_rule<'a>(&'a self, visit: &Visit<'_>, rule: &'a Rule) -> Evaluation<'a> {
        match rule.access() {
            Access::Deny => Evaluation::refuse_with(Reason::DeniedByRule.into(), Some(rule), None),
            Access::Public => self.anonymous(visit, rule, Reason::Public),
            Access::Optional | Access::Authenticated
                if visit.kind() == Kind::Preflight && rule.preflight() == Preflight::Allow =>
            {
                self.anonymous(visit, rule, Reason::Preflight)
            }
            Access::Optional | Access::Authenticated => {
                let attempt = Attempt {
                    visit,
                    allowed_origins: rule.allowed_origins(),
                    bearer_counts: rule.bearer().may_be_a_credential(),
                    further_audience: rule.further_audience().and_then(|further| further.at(self.0.clock.now())),
                    asks_of_login: rule.login().is_some(),
                };
                match self.0.authenticators.identify(attempt).await {
                    Identified::As(who) => self.permitted(visit, rule, who).await,
                    Identified::Refused(refusal) => Evaluation::refuse_with(refusal, Some(rule), None),
                    Identified::Nobody(_) if rule.access() == Access::Optional => {
                        self.anonymous(visit, rule, Reason::Anonymous)
                    }
                    Identified::Nobody(instead) => not_signed_in(visit, rule, instead.unwrap_or(Reason::NotSignedIn)),
                }
            }
        }
    }

    fn anonymous<'a>(&'a self, visit: &Visit<'_>, rule: &'a Rule, reason: Reason) -> Evaluation<'a> {
        let request = visit.request();
        let mut mutations = self.0.identity.strip(request, self.bearer_fate(visit, rule, None));
        if reason == Reason::Preflight {
            Identity::hold_to_method(request, &mut mutations);
        }
        narrow_service_workers(request, &mut mutations);
        Evaluation::Allow { allow: Allow::new(reason, mutations), rule, who: None }
    }

    async fn permitted<'a>(&'a self, visit: &Visit<'_>, rule: &'a Rule, who: Authenticated) -> Evaluation<'a> {
        let login = match rule.judge_login(who.login(), || self.0.clock.now()) {
            Ok(login) => login,
            Err(insufficient) => return not_signed_in_enough(visit, rule, insufficient, who),
        };
        let permit = match rule.permit(who.principal(), login) {
            Ok(Permission::Granted(permit)) => Ok(permit),
            // A box of its own, so that no other check has room for it.
            Ok(Permission::Asks(unreviewed)) => Box::pin(self.reviewed(visit, unreviewed)).await,
            Err(reason) => Err(reason.into()),
        };
        let permit = match permit {
            Ok(permit) => permit,
            Err(Unpermitted { refusal, missing }) => {
                return Evaluation::Refuse { refusal, rule: Some(rule), who: Some(who), missing };
            }
        };
        let request = visit.request();
        let proof = Proof { method: who.method(), told: who.told() };
        let fate = self.bearer_fate(visit, rule, Some(&who));
        let service = Service { audience: rule.audience(), further_headers: Some(rule.further_headers()) };
        let mut mutations = self.0.identity.inject(request, permit.principal(), proof, service, fate);
        if who.told().has_grown() {
            self.0.authenticators.weigh(visit);
        }
        if who.holds_to_method() {
            Identity::hold_to_method(request, &mut mutations);
        }
        narrow_service_workers(request, &mut mutations);
        Evaluation::Allow { allow: Allow::new(who.reason(), mutations), rule, who: Some(who) }
    }

    async fn reviewed<'a>(&self, visit: &Visit<'_>, unreviewed: Unreviewed<'a>) -> Result<Permit<'a>, Unpermitted> {
        // The configuration sees to it that who has such rules says who is asked.
        let reviewer = self.0.access_reviewer.as_ref().ok_or(Reason::Internal)?;
        unreviewed.review(visit.request(), reviewer).await
    }

    /// A token that was accepted is not decoded a second time only to learn whose it is.
    fn bearer_fate(&self, visit: &Visit<'_>, rule: &Rule, who: Option<&Authenticated>) -> Bearer {
        let is_ours =
            || who.is_some_and(Authenticated::owns_authorization) || self.0.authenticators.own_authorization(visit);
        if rule.bearer() == BearerUse::Judged && is_ours() { Bearer::Remove } else { Bearer::Keep }
    }
}

/// A navigation without a bearer goes to sign in, everything else is told that it needs a credential.
fn not_signed_in<'a>(visit: &Visit<'_>, rule: &'a Rule, reason: Reason) -> Evaluation<'a> {
    let brings_bearer = visit.brings_bearer() && rule.bearer().may_be_a_credential();
    if can_sign_in(visit) && !brings_bearer {
        return Evaluation::SignIn { reason, rule, lacking: None, who: None };
    }
    Evaluation::refuse_with(Refusal::unauthenticated(reason), Some(rule), None)
}

/// A navigation of somebody who is signed in goes to sign in once more, everything else is told what is asked for.
fn not_signed_in_enough<'a>(
    visit: &Visit<'_>,
    rule: &'a Rule,
    insufficient: LoginInsufficient<'_>,
    who: Authenticated,
) -> Evaluation<'a> {
    let reason = Reason::InsufficientUserAuthentication;
    let lacking = insufficient.lacking.filter(|_| can_sign_in(visit));
    if lacking.is_some() {
        return Evaluation::SignIn { reason, rule, lacking, who: Some(who) };
    }
    Evaluation::refuse_with(reason.into(), Some(rule), Some(who))
}

/// Whether a sign-in can begin here.
fn can_sign_in(visit: &Visit<'_>) -> bool {
    matches!(visit.kind(), Kind::Navigation | Kind::FramedNavigation | Kind::PassedOn | Kind::FetchedPage)
        && visit.origin().is_some()
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
