//! Controllers of Kubernetes's own, for the tests that need what they make.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::{Cluster, kustomize};
use crate::process::{Launch, Process};

/// A loaded machine may take this long where 1 s is usual.
const JOINED_WITHIN: Duration = Duration::from_mins(1);
/// Kubeflow's roles, as far as tests ask for them.
const KUBEFLOW_ROLES: &str = "tests/manifests/roles";

/// Running controllers. They stop when it is dropped.
#[derive(Debug)]
#[must_use = "the controllers stop when it is dropped"]
pub struct Controllers {
    process: Process,
}

impl Controllers {
    /// The last lines of their log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}

impl Cluster {
    /// Starts the real kube-controller-manager with all rights, and with the controllers of these names alone, such as
    /// `clusterrole-aggregation-controller`. It does not wait.
    pub fn start_controllers(&self, names: &[&str]) -> Result<Controllers> {
        let kubeconfig = self.admin_kubeconfig();
        let process = Launch::new("kube-controller-manager", crate::parts::path("kube-controller-manager")?)
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .arg(format!("--controllers={}", names.join(",")))
            // One alone, which serves nothing.
            .args(["--leader-elect=false", "--secure-port=0"])
            .start()?;
        Ok(Controllers { process })
    }

    /// Applies Kubeflow's roles (`tests/manifests/roles`), lets the real controller join `kubeflow-view`, `kubeflow-edit` and
    /// `kubeflow-admin`, and waits until they are joined. As long as the controllers run, they are joined anew after a change.
    pub async fn kubeflow_roles(&self) -> Result<Controllers> {
        self.apply(&kustomize(&Path::new(env!("CARGO_MANIFEST_DIR")).join(KUBEFLOW_ROLES)).await?).await?;
        let controllers = self.start_controllers(&["clusterrole-aggregation-controller"])?;
        match self.wait_for_joined_roles().await {
            Ok(()) => Ok(controllers),
            Err(error) => Err(error.context(controllers.log_tail())),
        }
    }

    /// Waits until every ClusterRole that is joined of others has their rules, and no more.
    pub async fn wait_for_joined_roles(&self) -> Result<()> {
        let deadline = Instant::now() + JOINED_WITHIN;
        loop {
            let roles: Value = serde_json::from_str(&self.kubectl(&["get", "clusterroles", "-o", "json"]).await?)?;
            let roles = roles["items"].as_array().cloned().unwrap_or_default();
            let Some(waits) = roles.iter().find(|role| !is_joined(role, &roles)) else { return Ok(()) };
            if Instant::now() >= deadline {
                bail!("the role is not joined: {}", waits["metadata"]["name"]);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether somebody may do something in a namespace, as the API server answers a SubjectAccessReview: a verb and a
    /// resource, such as `create viewers.kubeflow.org` or `create pods/exec`. In no namespace where that is empty.
    pub async fn may(&self, user: &str, what: &str, namespace: &str) -> Result<bool> {
        let (verb, resource) = what.split_once(' ').unwrap_or((what, "*"));
        let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let review = json!({ "metadata": {}, "spec": { "user": user, "resourceAttributes": {
            "verb": verb, "group": group, "resource": resource, "subresource": subresource, "namespace": namespace,
        } } });
        let reviews: Api<SubjectAccessReview> = Api::all(self.client().await?);
        let answer = reviews.create(&PostParams::default(), &serde_json::from_value(review)?).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}

/// Whether a role is not joined of others, or has exactly the rules of those that its selectors name.
fn is_joined(role: &Value, roles: &[Value]) -> bool {
    let Some(selectors) = role["aggregationRule"]["clusterRoleSelectors"].as_array() else { return true };
    let rules = |role: &Value| -> Vec<String> {
        role["rules"].as_array().into_iter().flatten().map(Value::to_string).collect()
    };
    let is_named = |other: &&Value| {
        other["metadata"]["name"] != role["metadata"]["name"]
            && selectors.iter().any(|selector| {
                let mut labels = selector["matchLabels"].as_object().into_iter().flatten();
                labels.all(|(name, value)| other["metadata"]["labels"][name] == *value)
            })
    };
    let wanted: BTreeSet<_> = roles.iter().filter(is_named).flat_map(rules).collect();
    wanted == rules(role).into_iter().collect()
}
