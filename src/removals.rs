//! Removals by others than the gate: where a RoleBinding of a team goes, or somebody goes from it, what the namespace's
//! ServiceAccounts were issued until then is revoked. Whoever was removed may have kept their tokens.
//!
//! Every process watches by itself, as long as the configuration says so, and its account may. What went while none watched
//! is not seen.

mod bindings;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{task::AbortHandle, time::sleep};

use self::bindings::{Bindings, Removed};
use crate::{
    calls::Failing,
    clock::SharedClock,
    kubernetes::{KubeLists, ListError},
    logging::{Audited, Log},
    revocation::{Measure, Revocations, Target},
};

const ROLE_BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/rolebindings";
/// How long it rests after something failed: the list is read anew then.
const REST: Duration = Duration::from_secs(1);

/// Whom to ask, and which bindings count.
#[derive(Clone, Debug)]
pub struct Config {
    /// The kubeconfig file; the pod's own account where there is none.
    pub kubeconfig: Option<PathBuf>,
    /// The ClusterRoles whose bindings make somebody a member of a team.
    pub cluster_roles: Vec<String>,
}

/// A watch that runs. It ends when this is dropped.
#[derive(Debug)]
#[must_use = "the watch ends when it is dropped"]
pub struct Watching(AbortHandle);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Watches, and revokes. Must be called in a tokio runtime.
pub fn watch(config: Config, revocations: Arc<Revocations>, clock: SharedClock, log: Log) -> Watching {
    let watcher = Watcher { config, revocations, clock, log, failing: Failing::default() };
    Watching(tokio::spawn(watcher.run()).abort_handle())
}

struct Watcher {
    config: Config,
    revocations: Arc<Revocations>,
    clock: SharedClock,
    log: Log,
    failing: Failing,
}

impl Watcher {
    async fn run(self) {
        let mut bindings = Bindings::new(self.config.cluster_roles.clone());
        loop {
            if let Err(error) = self.follow(&mut bindings).await {
                if self.failing.failed(self.clock.monotonic(), ()) {
                    tracing::warn!(%error, "RoleBindings are not watched: removals revoke nothing until they are");
                }
                sleep(REST).await;
            }
        }
    }

    /// Reads the list, and follows what changes until the API server ends that.
    async fn follow(&self, bindings: &mut Bindings) -> Result<(), ListError> {
        let lists = KubeLists::connect_as_configured(self.config.kubeconfig.clone()).await?;
        let (all, version) = lists.all_at(ROLE_BINDINGS).await?;
        if let Some(lasted) = self.failing.succeeded(self.clock.monotonic()) {
            tracing::info!(lasted_s = lasted.as_secs(), "RoleBindings are watched again");
        }
        for removed in bindings.replace(&all) {
            self.revoke(removed).await;
        }
        let mut changes = lists.watch(ROLE_BINDINGS, &version).await?;
        while let Some(change) = changes.next().await? {
            if let Some(removed) = bindings.change(&change) {
                self.revoke(removed).await;
            }
        }
        Ok(())
    }

    /// Revokes until that is stored: what went does not come again. That it fails is recorded once. It holds no room in the
    /// audit log while it rests.
    async fn revoke(&self, removed: Removed) {
        let mut is_told = false;
        while !self.log.audited(self.try_to_revoke(&removed, is_told)).await {
            is_told = true;
            sleep(REST).await;
        }
    }

    async fn try_to_revoke(&self, Removed { namespace, binding, people }: &Removed, is_told: bool) -> bool {
        let target = Target::Namespace(namespace.clone());
        let about = target.to_string();
        let mut detail = format!("{} went with the RoleBinding {binding}", people.join(", "));
        let outcome = self.revocations.revoke(target, Measure::BeforeNow).await;
        let is_done = outcome.is_ok();
        if let Err(error) = outcome {
            detail = format!("{detail}: {error}");
        }
        if is_done || !is_told {
            let act = "revoke_with_role_binding";
            Audited { act, about: &about, is_done, detail: &detail }.record(&"the watch on RoleBindings");
        }
        is_done
    }
}
