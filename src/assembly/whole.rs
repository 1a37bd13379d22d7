//! The components in force, and what changes them.

use std::{future::Future, sync::Arc};

use arc_swap::ArcSwap;

use super::{
    access::Access, accounts::Accounts, dependencies::dependencies, error::AssembleError, keyrings::Keyrings,
    metrics::Metrics, outside::Outside, wiring::Built,
};
use crate::{
    admin::Administered,
    clock::SharedClock,
    config::Settings,
    ext_authz::SharedChecker,
    http::Dependency,
    logout::SharedBackChannel,
    oidc::{self, Limits, Oidc},
    panics::kept_up,
    providers::SharedProviders,
    revocation::Revocations,
    session::Sessions,
    store::Stores,
    stores,
};

/// The components in force. A rebuild keeps what its settings leave as it was, with its caches.
pub struct Assembly {
    checker: SharedChecker,
    dependencies: Arc<ArcSwap<Vec<Dependency>>>,
    providers: SharedProviders,
    back_channel: SharedBackChannel,
    /// The sessions in force, for administrators.
    sessions: Arc<ArcSwap<Sessions>>,
    stores: Stores,
    built: Built,
    metrics: Metrics,
    outside: Outside,
}

impl Assembly {
    /// Builds everything. Asks nobody outside but the API server, which may be down.
    ///
    /// # Errors
    /// Where a component cannot be built as its settings say.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn build(
        settings: &Settings,
        keyrings: &Keyrings,
        metrics: Metrics,
        outside: Outside,
    ) -> Result<Self, AssembleError> {
        let clock = &outside.clock;
        let stores = match &outside.stores {
            Some(stores) => stores.clone(),
            None => stores::open(&settings.store, clock, &metrics.store).await?,
        };
        let sessions = sessions(settings, &stores, keyrings, &metrics, clock);
        let revocations = Arc::new(Revocations::new(
            Arc::clone(&stores.revocations),
            keyrings.root(),
            Arc::clone(clock),
            metrics.revocations.clone(),
        ));
        revocations.begin().await;
        let accounts = match &settings.service_accounts {
            Some(config) => Some(Accounts::new(config, keyrings, &metrics, &outside, &revocations).await?),
            None => None,
        };
        let access = match &settings.access_reviews {
            Some(config) => Some(Access::new(config, &metrics, &outside).await?),
            None => None,
        };
        let oidc = oidc(settings, &sessions, keyrings, &metrics, clock, None)?;
        let built = Built { sessions, revocations, oidc, accounts, access };
        let checker = built.checker(settings, keyrings, &metrics, &outside);
        Ok(Self {
            checker: Arc::new(ArcSwap::from_pointee(checker)),
            dependencies: Arc::new(ArcSwap::from_pointee(dependencies(&built))),
            providers: Arc::new(ArcSwap::from_pointee(built.oidc.providers.clone())),
            back_channel: Arc::new(ArcSwap::from_pointee(built.oidc.back_channel.clone())),
            sessions: Arc::new(ArcSwap::new(Arc::clone(&built.sessions))),
            stores,
            built,
            metrics,
            outside,
        })
    }

    /// Builds again from changed settings and puts that in force; where it fails, nothing changes. Checks that run
    /// finish with what they began with.
    ///
    /// # Errors
    /// As [`Assembly::build`].
    pub async fn rebuild(
        &mut self,
        settings: &Settings,
        before: &Settings,
        keyrings: &Keyrings,
    ) -> Result<(), AssembleError> {
        let (metrics, clock) = (&self.metrics, &self.outside.clock);
        let sessions = if settings.sessions == before.sessions {
            Arc::clone(&self.built.sessions)
        } else {
            sessions(settings, &self.stores, keyrings, metrics, clock)
        };
        let accounts = match (&settings.service_accounts, &before.service_accounts, &self.built.accounts) {
            (Some(wanted), Some(have), Some(accounts)) if wanted == have => {
                accounts.reload().await?;
                Some(accounts.clone())
            }
            (Some(wanted), _, _) => {
                Some(Accounts::new(wanted, keyrings, metrics, &self.outside, &self.built.revocations).await?)
            }
            (None, _, _) => None,
        };
        let access = match (&settings.access_reviews, &before.access_reviews, &self.built.access) {
            (Some(wanted), Some(have), Some(access)) if wanted == have => {
                access.reload().await?;
                Some(access.clone())
            }
            (Some(wanted), _, _) => Some(Access::new(wanted, metrics, &self.outside).await?),
            (None, _, _) => None,
        };
        let oidc = oidc(settings, &sessions, keyrings, metrics, clock, Some(&self.built.oidc))?;
        let revocations = Arc::clone(&self.built.revocations);
        let built = Built { sessions, revocations, oidc, accounts, access };
        self.checker.store(Arc::new(built.checker(settings, keyrings, metrics, &self.outside)));
        self.dependencies.store(Arc::new(dependencies(&built)));
        self.providers.store(Arc::new(built.oidc.providers.clone()));
        self.back_channel.store(Arc::new(built.oidc.back_channel.clone()));
        self.sessions.store(Arc::clone(&built.sessions));
        self.built = built;
        Ok(())
    }

    /// Who decides checks.
    #[must_use]
    pub fn checker(&self) -> SharedChecker {
        Arc::clone(&self.checker)
    }

    /// Logouts by the providers, which no check asks for.
    #[must_use]
    pub fn back_channel(&self) -> SharedBackChannel {
        Arc::clone(&self.back_channel)
    }

    /// What administrators act upon.
    #[must_use]
    pub fn administered(&self) -> Administered {
        Administered {
            sessions: Arc::clone(&self.sessions),
            providers: Arc::clone(&self.providers),
            revocations: Arc::clone(&self.built.revocations),
            checker: self.checker(),
            metrics: self.metrics.admin.clone(),
            log: self.outside.log.clone(),
        }
    }

    /// Who is asked, and whether they answer.
    #[must_use]
    pub fn dependencies(&self) -> Arc<ArcSwap<Vec<Dependency>>> {
        Arc::clone(&self.dependencies)
    }

    /// What runs beside the checks as long as the process lives.
    pub fn maintain(&self) -> impl Future<Output = ()> + use<> {
        let (sessions, revocations) = (Arc::clone(&self.built.sessions), Arc::clone(&self.built.revocations));
        async move {
            tokio::join!(
                kept_up("expired sessions", || sessions.maintain()),
                kept_up("list of revocations", || revocations.keep_current()),
            );
        }
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
