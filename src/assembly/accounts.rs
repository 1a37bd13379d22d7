//! The judge of ServiceAccount tokens, with its client.

use std::sync::Arc;

use super::{error::AssembleError, keyrings::Keyrings, metrics::Metrics, outside::Outside};
use crate::{
    kubernetes::{self, KubeReviews, Reviews, ServiceAccountTokens},
    removals::{self, Watching},
    revocation::Revocations,
};

/// The judge of ServiceAccount tokens, with its client where it has one of its own.
#[derive(Clone, Debug)]
pub(super) struct Accounts {
    pub(super) tokens: ServiceAccountTokens,
    client: Option<Arc<KubeReviews>>,
    /// What watches for removals, where anything does.
    _watching: Option<Arc<Watching>>,
}

impl Accounts {
    /// Asks the API server once whether our audiences are its own; it may be down.
    pub(super) async fn new(
        config: &kubernetes::Config,
        keyrings: &Keyrings,
        metrics: &Metrics,
        outside: &Outside,
        revocations: &Arc<Revocations>,
    ) -> Result<Self, AssembleError> {
        let (reviews, client): (Arc<dyn Reviews>, _) = if let Some(reviews) = &outside.reviews {
            (Arc::clone(reviews), None)
        } else {
            let client = Arc::new(KubeReviews::connect(config.kubeconfig.clone(), config.timeout).await?);
            (Arc::clone(&client) as Arc<dyn Reviews>, Some(client))
        };
        let (ring, clock) = (keyrings.root(), Arc::clone(&outside.clock));
        let tokens = ServiceAccountTokens::new(config.clone(), reviews, ring, clock, metrics.kubernetes.clone())?;
        tokens.check_audiences().await?;
        tokens.watch_audiences();
        let roles = &config.revoke_with_role_bindings;
        // Where somebody else plays the API server, there is nothing to watch.
        let watching = (!roles.is_empty() && outside.reviews.is_none()).then(|| {
            let watched = removals::Config { kubeconfig: config.kubeconfig.clone(), cluster_roles: roles.clone() };
            let (clock, log) = (Arc::clone(&outside.clock), outside.log.clone());
            Arc::new(removals::watch(watched, Arc::clone(revocations), clock, log))
        });
        Ok(Self { tokens, client, _watching: watching })
    }

    /// Reads the client's credentials again, and has the API server asked again.
    pub(super) async fn reload(&self) -> Result<(), AssembleError> {
        if let Some(client) = &self.client {
            client.reload().await?;
        }
        self.tokens.check_audiences_soon();
        Ok(())
    }
}
