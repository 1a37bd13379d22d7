//! The components, built from the configuration and wired together.

use std::{future::Future, sync::Arc};

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;
use thiserror::Error;

use super::{keys::Keyrings, places};
use crate::{
    admin::{self, Administered},
    authn::{Authenticators, BearerAuthenticator, SessionAuthenticator},
    authz::RuleSet,
    check::{self, Checker, Parts},
    clock::SharedClock,
    config::{self, Settings},
    endpoints::Endpoints,
    ext_authz::SharedChecker,
    http::{Dependency, DependencyState},
    identity::{self, Identity},
    kubernetes::{self, KubeReviews, ServiceAccountTokens},
    logout::SharedBackChannel,
    oidc::{self, Limits, Oidc},
    origin::Origins,
    panics::kept_up,
    providers::{self, SharedProviders},
    revocation::{self, Revocations},
    session::{self, Sessions},
    store::{self, StoreReach, Stores},
    stores,
};

/// Issuers of ServiceAccount tokens: the usual ones of a cluster, and the one of the tokens in Secrets, which never
/// expire. Where the configuration does not accept them they are refused, and reach no service all the same.
const CLUSTER_ISSUERS: [&str; 3] =
    ["https://kubernetes.default.svc.cluster.local", "https://kubernetes.default.svc", "kubernetes/serviceaccount"];

/// What cannot be built.
#[derive(Debug, Error)]
pub enum AssembleError {
    /// The session store.
    #[error("sessions.store: {0}")]
    Store(#[from] stores::OpenError),
    /// Sign-in.
    #[error("providers: {0}")]
    Providers(#[from] providers::ConfigError),
    /// The client of the API server.
    #[error("service_accounts.kubeconfig: {0}")]
    Kubernetes(#[from] kubernetes::ClientError),
    /// The judge of ServiceAccount tokens.
    #[error("service_accounts.{0}")]
    ServiceAccounts(#[from] kubernetes::ConfigError),
}

impl AssembleError {
    /// Whether the configuration is to be changed, or what it names.
    pub(super) const fn is_configuration(&self) -> bool {
        !matches!(self, Self::Store(_))
    }
}

/// The metrics of all components. They outlive what counts into them.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    pub(super) config: config::Metrics,
    store: store::Metrics,
    sessions: session::Metrics,
    revocations: revocation::Metrics,
    kubernetes: kubernetes::Metrics,
    oidc: oidc::Metrics,
    check: check::Metrics,
    admin: admin::Metrics,
    /// Those of the listeners.
    pub(super) connections: places::Metrics,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            config: config::Metrics::register(registry),
            store: store::Metrics::register(registry),
            sessions: session::Metrics::register(registry),
            revocations: revocation::Metrics::register(registry),
            kubernetes: kubernetes::Metrics::register(registry),
            oidc: oidc::Metrics::register(registry),
            check: check::Metrics::register(registry),
            admin: admin::Metrics::register(registry),
            connections: places::Metrics::register(registry),
        }
    }
}

/// The components in force. A rebuild keeps what its settings leave as it was, with its caches.
pub(super) struct Assembly {
    checker: SharedChecker,
    dependencies: Arc<ArcSwap<Vec<Dependency>>>,
    providers: SharedProviders,
    back_channel: SharedBackChannel,
    /// The metrics of administrators' acts.
    admin_metrics: admin::Metrics,
    /// The sessions in force, for administrators.
    sessions: Arc<ArcSwap<Sessions>>,
    stores: Stores,
    built: Built,
}

/// What a rebuild may keep.
struct Built {
    sessions: Arc<Sessions>,
    revocations: Arc<Revocations>,
    oidc: Oidc,
    accounts: Option<Accounts>,
}

/// The judge of ServiceAccount tokens, with its client.
#[derive(Clone)]
struct Accounts {
    tokens: ServiceAccountTokens,
    reviews: Arc<KubeReviews>,
}

impl Assembly {
    /// Builds everything. Asks nobody outside but the API server, which may be down.
    pub(super) async fn build(
        settings: &Settings,
        keyrings: &Keyrings,
        metrics: &Metrics,
        clock: &SharedClock,
    ) -> Result<Self, AssembleError> {
        let stores = stores::open(&settings.store, clock, &metrics.store).await?;
        let sessions = sessions(settings, &stores, keyrings, metrics, clock);
        let revocations = Arc::new(Revocations::new(
            Arc::clone(&stores.revocations),
            keyrings.root(),
            Arc::clone(clock),
            metrics.revocations.clone(),
        ));
        revocations.begin().await;
        let accounts = match &settings.service_accounts {
            Some(accounts) => Some(Accounts::new(accounts, keyrings, metrics, clock).await?),
            None => None,
        };
        let oidc = oidc(settings, &sessions, keyrings, metrics, clock, None)?;
        let built = Built { sessions, revocations, oidc, accounts };
        let (checker, dependencies) = built.wire(settings, keyrings, metrics, clock);
        Ok(Self {
            checker: Arc::new(ArcSwap::from_pointee(checker)),
            dependencies: Arc::new(ArcSwap::from_pointee(dependencies)),
            providers: Arc::new(ArcSwap::from_pointee(built.oidc.providers.clone())),
            back_channel: Arc::new(ArcSwap::from_pointee(built.oidc.back_channel.clone())),
            sessions: Arc::new(ArcSwap::new(Arc::clone(&built.sessions))),
            admin_metrics: metrics.admin.clone(),
            stores,
            built,
        })
    }

    /// Builds again from changed settings and puts that in force; where it fails, nothing changes. Checks that run
    /// finish with what they began with.
    pub(super) async fn rebuild(
        &mut self,
        settings: &Settings,
        before: &Settings,
        keyrings: &Keyrings,
        metrics: &Metrics,
        clock: &SharedClock,
    ) -> Result<(), AssembleError> {
        let sessions = if settings.sessions == before.sessions {
            Arc::clone(&self.built.sessions)
        } else {
            sessions(settings, &self.stores, keyrings, metrics, clock)
        };
        let accounts = match (&settings.service_accounts, &before.service_accounts, &self.built.accounts) {
            (Some(wanted), Some(have), Some(accounts)) if wanted == have => {
                accounts.reviews.reload().await?;
                accounts.tokens.check_audiences_soon();
                Some(accounts.clone())
            }
            (Some(wanted), _, _) => Some(Accounts::new(wanted, keyrings, metrics, clock).await?),
            (None, _, _) => None,
        };
        let oidc = oidc(settings, &sessions, keyrings, metrics, clock, Some(&self.built.oidc))?;
        let revocations = Arc::clone(&self.built.revocations);
        let built = Built { sessions, revocations, oidc, accounts };
        let (checker, dependencies) = built.wire(settings, keyrings, metrics, clock);
        self.checker.store(Arc::new(checker));
        self.dependencies.store(Arc::new(dependencies));
        self.providers.store(Arc::new(built.oidc.providers.clone()));
        self.back_channel.store(Arc::new(built.oidc.back_channel.clone()));
        self.sessions.store(Arc::clone(&built.sessions));
        self.built = built;
        Ok(())
    }

    pub(super) fn checker(&self) -> SharedChecker {
        Arc::clone(&self.checker)
    }

    /// Logouts by the providers, which no check asks for.
    pub(super) fn back_channel(&self) -> SharedBackChannel {
        Arc::clone(&self.back_channel)
    }

    /// What administrators act upon.
    pub(super) fn administered(&self) -> Administered {
        Administered {
            sessions: Arc::clone(&self.sessions),
            providers: Arc::clone(&self.providers),
            revocations: Arc::clone(&self.built.revocations),
            checker: self.checker(),
            metrics: self.admin_metrics.clone(),
        }
    }

    pub(super) fn dependencies(&self) -> Arc<ArcSwap<Vec<Dependency>>> {
        Arc::clone(&self.dependencies)
    }

    /// What runs beside the checks as long as the process lives.
    pub(super) fn maintain(&self) -> impl Future<Output = ()> + use<> {
        let (sessions, revocations) = (Arc::clone(&self.built.sessions), Arc::clone(&self.built.revocations));
        async move {
            tokio::join!(
                kept_up("expired sessions", || sessions.maintain()),
                kept_up("list of revocations", || revocations.keep_current()),
            );
        }
    }
}

impl Accounts {
    async fn new(
        config: &kubernetes::Config,
        keyrings: &Keyrings,
        metrics: &Metrics,
        clock: &SharedClock,
    ) -> Result<Self, AssembleError> {
        let reviews = Arc::new(KubeReviews::connect(config.kubeconfig.clone(), config.timeout).await?);
        let tokens = ServiceAccountTokens::new(
            config.clone(),
            Arc::clone(&reviews) as Arc<dyn kubernetes::Reviews>,
            keyrings.root(),
            Arc::clone(clock),
            metrics.kubernetes.clone(),
        )?;
        tokens.check_audiences().await?;
        tokens.watch_audiences();
        Ok(Self { tokens, reviews })
    }
}

fn sessions(
    settings: &Settings,
    stores: &Stores,
    keyrings: &Keyrings,
    metrics: &Metrics,
    clock: &SharedClock,
) -> Arc<Sessions> {
    Arc::new(Sessions::new(stores, keyrings.root(), Arc::clone(clock), &settings.sessions, metrics.sessions.clone()))
}

fn oidc(
    settings: &Settings,
    sessions: &Arc<Sessions>,
    keyrings: &Keyrings,
    metrics: &Metrics,
    clock: &SharedClock,
    previous: Option<&Oidc>,
) -> Result<Oidc, AssembleError> {
    let config = oidc::Config { providers: settings.providers.clone(), limits: Limits::default() };
    let (sessions, clock) = (Arc::clone(sessions), Arc::clone(clock));
    Ok(Oidc::new(config, keyrings.root(), sessions, clock, metrics.oidc.clone(), previous)?)
}

impl Built {
    fn wire(
        &self,
        settings: &Settings,
        keyrings: &Keyrings,
        metrics: &Metrics,
        clock: &SharedClock,
    ) -> (Checker, Vec<Dependency>) {
        let rules = RuleSet::new(settings.rules.clone());
        let tokens = self.accounts.as_ref().map(|accounts| accounts.tokens.clone());
        let ours = self.oidc.providers.issuers().map(str::to_owned).chain([settings.assertion.issuer.clone()]);
        let not_accepted = ours.chain(CLUSTER_ISSUERS.map(str::to_owned));
        let cookies = settings
            .origins
            .iter()
            .flat_map(|origin| [origin.session_cookie.clone(), origin.login.login_cookie.clone()]);
        let identity = identity::Config {
            headers: settings.headers.clone(),
            cookie_names: cookies.collect(),
            named_groups: rules.named_groups().map(str::to_owned).collect(),
            remove_method_overrides: rules.asks_for_methods(),
            assertion: settings.assertion.clone(),
        };
        let checker = Checker::new(Parts {
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
            identity: Identity::new(identity, keyrings.assertion(), Arc::clone(clock)),
            endpoints: Endpoints::new(self.oidc.clone(), Arc::clone(&self.sessions), Arc::clone(clock)),
            rules,
            clock: Arc::clone(clock),
            metrics: metrics.check.clone(),
        });
        (checker, self.dependencies())
    }

    fn dependencies(&self) -> Vec<Dependency> {
        let state = |answering| if answering { DependencyState::Answering } else { DependencyState::Failing };
        let providers = self.oidc.providers.known().map(|(name, _)| {
            let (providers, wanted) = (self.oidc.providers.clone(), name.clone());
            let known = move || providers.known().any(|(name, known)| *name == wanted && known);
            Dependency { name: format!("provider {}", name.as_str()), state: Arc::new(move || state(known())) }
        });
        let api_server = self.accounts.iter().map(|accounts| {
            let tokens = accounts.tokens.clone();
            Dependency { name: "API server".to_owned(), state: Arc::new(move || state(tokens.is_answered())) }
        });
        let audiences = self.accounts.iter().map(|accounts| {
            let tokens = accounts.tokens.clone();
            let state = move || state(tokens.known_audiences().may_judge());
            Dependency { name: "audiences of tokens".to_owned(), state: Arc::new(state) }
        });
        let store = self.sessions.store_reach().map(|_| {
            let sessions = Arc::clone(&self.sessions);
            let state = move || match sessions.store_reach() {
                Some(StoreReach::Lost { since, problem }) => DependencyState::FailingSince { since, problem },
                Some(StoreReach::Reached) | None => DependencyState::Answering,
            };
            Dependency { name: "session store".to_owned(), state: Arc::new(state) }
        });
        let revocations = Arc::clone(&self.revocations);
        let revocations = Dependency {
            name: "list of revocations".to_owned(),
            state: Arc::new(move || state(revocations.is_current())),
        };
        providers.chain(api_server).chain(audiences).chain(store).chain([revocations]).collect()
    }
}
