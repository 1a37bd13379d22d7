//! Who is asked what somebody may do, with its client.

use std::sync::Arc;

use super::{error::AssembleError, metrics::Metrics, outside::Outside};
use crate::kubernetes::{AccessConfig, AccessReviewer, AccessReviews, KubeReviews};

/// Who is asked what somebody may do, with its client where it has one of its own: connections apart from those of the
/// reviews of tokens, so that neither waits for the other.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) reviewer: AccessReviewer,
    client: Option<Arc<KubeReviews>>,
}

impl Access {
    pub(super) async fn new(
        config: &AccessConfig,
        metrics: &Metrics,
        outside: &Outside,
    ) -> Result<Self, AssembleError> {
        let (reviews, client): (Arc<dyn AccessReviews>, _) = if let Some(reviews) = &outside.access_reviews {
            (Arc::clone(reviews), None)
        } else {
            let client = Arc::new(KubeReviews::connect(config.kubeconfig.clone(), config.timeout).await?);
            (Arc::clone(&client) as Arc<dyn AccessReviews>, Some(client))
        };
        let clock = Arc::clone(&outside.clock);
        Ok(Self { reviewer: AccessReviewer::new(config.clone(), reviews, clock, metrics.kubernetes.clone()), client })
    }

    /// Reads the client's credentials again.
    pub(super) async fn reload(&self) -> Result<(), AssembleError> {
        match &self.client {
            Some(client) => Ok(client.reload().await?),
            None => Ok(()),
        }
    }
}
