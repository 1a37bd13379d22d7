//! How the components hang together.

use std::sync::Arc;

use super::{access::Access, accounts::Accounts, keyrings::Keyrings, metrics::Metrics, outside::Outside};
use crate::{
    authn::{Authenticators, BearerAuthenticator, SessionAuthenticator},
    authz::RuleSet,
    check::{Checker, Parts},
    config::Settings,
    endpoints::Endpoints,
    identity::{self, Identity},
    oidc::Oidc,
    origin::Origins,
    revocation::Revocations,
    session::Sessions,
};

/// Issuers of ServiceAccount tokens: the usual ones of a cluster, and the one of the tokens in Secrets, which never
/// expire. Where the configuration does not accept them they are refused, and reach no service all the same.
const CLUSTER_ISSUERS: [&str; 3] =
    ["https://kubernetes.default.svc.cluster.local", "https://kubernetes.default.svc", "kubernetes/serviceaccount"];

/// What a rebuild may keep.
pub(super) struct Built {
    pub(super) sessions: Arc<Sessions>,
    pub(super) revocations: Arc<Revocations>,
    pub(super) oidc: Oidc,
    pub(super) accounts: Option<Accounts>,
    pub(super) access: Option<Access>,
}

impl Built {
    /// A checker of these and of the settings.
    pub(super) fn checker(
        &self,
        settings: &Settings,
        keyrings: &Keyrings,
        metrics: &Metrics,
        outside: &Outside,
    ) -> Checker {
        let clock = &outside.clock;
        let rules = RuleSet::new(settings.rules.clone());
        let tokens = self.accounts.as_ref().map(|accounts| accounts.tokens.clone());
        let ours = self.oidc.providers.issuers().map(str::to_owned).chain([settings.assertion.issuer.clone()]);
        let not_accepted = ours.chain(CLUSTER_ISSUERS.map(str::to_owned));
        let cookies = settings
            .origins
            .iter()
            .flat_map(|origin| [origin.session_cookie.clone(), origin.login.login_cookie.clone()]);
        let identity = identity::Config {
            headers: settings.headers.clone().stripping(rules.further_headers()),
            cookie_names: cookies.collect(),
            named_groups: rules.named_groups().map(str::to_owned).collect(),
            remove_method_overrides: rules.asks_for_methods(),
            assertion: settings.assertion.clone(),
        };
        Checker::new(Parts {
            origins: Origins::new(settings.origins.iter().cloned()),
            // In this order: a bearer that is ours to judge decides alone.
            authenticators: Authenticators::new(vec![
                Box::new(BearerAuthenticator::new(tokens, Arc::clone(&self.revocations), not_accepted)),
                Box::new(SessionAuthenticator::new(
                    Arc::clone(&self.sessions),
                    self.oidc.providers.clone(),
                    self.oidc.freshness.clone(),
                )),
            ]),
            access_reviewer: self.access.as_ref().map(|access| access.reviewer.clone()),
            gateways_in_shadow: settings.gateways_in_shadow,
            identity: Identity::new(identity, keyrings.assertion(), Arc::clone(clock)),
            endpoints: Endpoints::new(self.oidc.clone(), Arc::clone(&self.sessions), Arc::clone(clock)),
            rules,
            clock: Arc::clone(clock),
            metrics: metrics.check.clone(),
            log: outside.log.clone(),
        })
    }
}
