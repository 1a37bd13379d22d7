//! What rules ask Kubernetes, and what they look at in a request.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::DurationText;

/// How the API server is asked what somebody may do (SubjectAccessReview).
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AccessReviews {
    /// A kubeconfig file. Absent: that of `service_accounts`, or the pod's own ServiceAccount.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Asks about the groups of people too, with `system:authenticated`. Those of ServiceAccounts are always asked about.
    pub(crate) groups: bool,
    /// How long a yes counts without asking again; at most 5 minutes.
    pub(crate) cache_ttl: DurationText,
    /// How long a no counts without asking again; at most 10 s.
    pub(crate) denied_cache_ttl: DurationText,
    /// How many reviews may run at once, apart from those of tokens.
    pub(crate) max_concurrent_reviews: u16,
    /// How long one SubjectAccessReview may take.
    pub(crate) timeout: DurationText,
}

impl Default for AccessReviews {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            groups: false,
            cache_ttl: "10s".into(),
            denied_cache_ttl: "2s".into(),
            max_concurrent_reviews: 16,
            timeout: "3s".into(),
        }
    }
}

/// A place in a request that names something: exactly one of `path`, `host`, `query` and `header`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Capture {
    /// Templates for the path, such as `/notebook/{namespace}/{name}/**`: the first that stands for it.
    pub(crate) path: Vec<String>,
    /// Templates for the host, such as `{name}.{namespace}.models.example.com`.
    pub(crate) host: Vec<String>,
    /// A parameter of the query.
    pub(crate) query: Option<String>,
    /// A header.
    pub(crate) header: Option<String>,
    /// The variable that the parameter's or header's value is; where nothing is written, of the same name.
    #[serde(rename = "as")]
    pub(crate) variable: Option<String>,
    /// Templates for the value, where it is a key, such as `private/{namespace}/**`; a key that none stands for is refused.
    pub(crate) key: Vec<String>,
}

/// A question to Kubernetes (SubjectAccessReview).
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Review {
    /// The verb. Absent: by the method (GET and HEAD `get`, POST `create`, PUT `update`, PATCH `patch`, DELETE `delete`).
    #[serde(default)]
    pub(crate) verb: Option<String>,
    /// The API group; empty for the core group.
    #[serde(default)]
    pub(crate) group: String,
    /// The resource, in the plural.
    pub(crate) resource: String,
    /// The subresource.
    #[serde(default)]
    pub(crate) subresource: String,
    /// The namespace, with variables. Absent: the whole cluster.
    #[serde(default)]
    pub(crate) namespace: Option<String>,
    /// The object's name, with variables. Absent: every one.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Asked only where the request has this.
    #[serde(default)]
    pub(crate) only_where: Vec<Condition>,
    /// A request that does not name what is asked about is none of this question's business.
    #[serde(default)]
    pub(crate) optional: bool,
    /// The ClusterRole that usually permits it, which explanations tell people to ask for.
    #[serde(default)]
    pub(crate) role: Option<String>,
}

/// Something that a request has: exactly one of `query` and `header`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Condition {
    /// A parameter of the query, in whatever spelling.
    pub(crate) query: Option<String>,
    /// A header, which holds what `contains` says.
    pub(crate) header: Option<String>,
    /// A text, in any case and however often it is encoded.
    pub(crate) contains: Option<String>,
}
