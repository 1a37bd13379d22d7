//! Tokens, the identity that services see, and rules.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    reviews::{Capture, Condition, Review},
    values::DurationText,
};

/// Kubernetes ServiceAccount tokens as bearers.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceAccounts {
    /// The audiences of which a token must name one; never the API server's own.
    pub(crate) audiences: Vec<String>,
    /// The cluster's token issuers, byte for byte (`iss` of a ServiceAccount token).
    pub(crate) issuers: Vec<String>,
    /// A kubeconfig file. Absent: the pod's own ServiceAccount.
    #[serde(default)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// How long an accepted token is not reviewed again.
    #[serde(default = "ten_seconds")]
    pub(crate) cache_ttl: DurationText,
    /// How long a rejected token is not reviewed again; at most 10 s.
    #[serde(default = "five_seconds")]
    pub(crate) negative_cache_ttl: DurationText,
    /// How many reviews may run at once.
    #[serde(default = "sixteen")]
    pub(crate) max_concurrent_reviews: u16,
    /// How long one TokenReview may take.
    #[serde(default = "three_seconds")]
    pub(crate) timeout: DurationText,
    /// `ClusterRole`s of a team: where a `RoleBinding` of one goes, or somebody goes from it, what the namespace's accounts were
    /// issued until then is revoked. Needs `list` and `watch` on `rolebindings`.
    #[serde(default)]
    pub(crate) revoke_with_role_bindings: Vec<String>,
    /// Verifies signatures with the API server's own keys before a review, where it serves them.
    #[serde(default = "yes")]
    pub(crate) verify_signatures: bool,
}

fn ten_seconds() -> DurationText {
    "10s".into()
}

fn five_seconds() -> DurationText {
    "5s".into()
}

fn three_seconds() -> DurationText {
    "3s".into()
}

const fn sixteen() -> u16 {
    16
}

const fn yes() -> bool {
    true
}

/// The headers that tell services who was authenticated.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Identity {
    /// The names of the headers that are set.
    pub(crate) headers: IdentityHeaders,
    /// Further headers that are removed from every request.
    pub(crate) strip: Vec<String>,
}

/// The names of the headers that are set.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct IdentityHeaders {
    /// The user id.
    pub(crate) user: String,
    /// The groups, joined by commas, but for those that hold one.
    pub(crate) groups: String,
    /// How the caller was authenticated.
    pub(crate) method: String,
    /// The signed assertion.
    pub(crate) assertion: String,
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        Self {
            user: "kubeflow-userid".to_owned(),
            groups: "kubeflow-groups".to_owned(),
            method: "auth-method".to_owned(),
            assertion: "portcullis-assertion".to_owned(),
        }
    }
}

/// The signed JWT that services can verify themselves.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assertion {
    /// The `https://` URL under which the discovery document is published; the assertion's `iss`.
    pub(crate) issuer: String,
    /// The assertion's `aud`, where a rule names no other.
    pub(crate) audience: String,
    /// How long an assertion is valid; at most 10 minutes.
    #[serde(default = "one_minute")]
    pub(crate) lifetime: DurationText,
}

fn one_minute() -> DurationText {
    "60s".into()
}

/// One rule: what it matches, and what it asks for.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// The rule's name in the log: `[a-z0-9-]`, at most 63, unique.
    pub(crate) name: String,
    /// Whether it decides, or requests are decided as if it was not there and what it would decide is told.
    #[serde(default)]
    pub(crate) mode: RuleMode,
    /// The hosts it holds for, or `*.` and a domain of them. Empty: every host that is named.
    #[serde(default)]
    pub(crate) hosts: Vec<String>,
    /// The methods it holds for, in upper case; GET holds for HEAD too. Empty: all.
    #[serde(default)]
    pub(crate) methods: Vec<String>,
    /// The paths it holds for. Empty: all.
    #[serde(default)]
    pub(crate) paths: Vec<PathPattern>,
    /// It holds only where the request has all of this; with `access: deny` alone.
    #[serde(default)]
    pub(crate) only_where: Vec<Condition>,
    /// Who may pass: `authenticated` where nothing is written.
    #[serde(default)]
    pub(crate) access: Access,
    /// Only members of one of these groups.
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    /// Only people with one of these e-mail addresses.
    #[serde(default)]
    pub(crate) emails: Vec<String>,
    /// Only these service accounts: `namespace/name`, or `namespace/*`.
    #[serde(default)]
    pub(crate) service_accounts: Vec<String>,
    /// Where a request names what `reviews` ask about.
    #[serde(default)]
    pub(crate) captures: Vec<Capture>,
    /// What Kubernetes is asked besides; each must be answered with yes.
    #[serde(default)]
    pub(crate) reviews: Vec<Review>,
    /// A namespace, with variables: a request that passes revokes what its ServiceAccounts were issued until then.
    #[serde(default)]
    pub(crate) revoke_service_accounts_of: Option<String>,
    /// What is asked of the login of whoever passes. No token is a login.
    #[serde(default)]
    pub(crate) login: Option<Login>,
    /// Whose a bearer token in the `authorization` header is: ours where its issuer is, or the application's in any case.
    #[serde(default)]
    pub(crate) bearer: Bearer,
    /// Lets a bearer token that we judged travel on to the service.
    #[serde(default)]
    pub(crate) keep_bearer: bool,
    /// Takes ServiceAccount tokens that are meant for another service, until a day.
    #[serde(default)]
    pub(crate) further_audience: Option<FurtherAudience>,
    /// Further names under which the service is told who was authenticated.
    #[serde(default)]
    pub(crate) headers: FurtherHeaders,
    /// The assertion's `aud` for this rule.
    #[serde(default)]
    pub(crate) audience: Option<String>,
    /// Further origins whose pages may send requests with the session's cookie.
    #[serde(default)]
    pub(crate) allowed_origins: Vec<String>,
    /// What happens to a CORS preflight: refused, or passed on without any identity.
    #[serde(default)]
    pub(crate) preflight: Preflight,
}

/// What is asked of a login: one part at least, and each that is written.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Login {
    /// How long ago the provider may have authenticated the person (`auth_time`): from 1 minute to 24 hours.
    pub(crate) max_age: Option<DurationText>,
    /// Authentication context classes, one of which the provider must tell (`acr`), byte for byte.
    pub(crate) acr: Vec<String>,
    /// Authentication methods, one of which the provider must tell (`amr`), byte for byte.
    pub(crate) amr: Vec<String>,
}

/// Whether a rule decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RuleMode {
    /// It decides.
    #[default]
    Enforce,
    /// It decides nothing; what it would decide is counted and told.
    Shadow,
}

/// Whose a bearer token is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bearer {
    /// Ours to judge where its issuer is.
    #[default]
    Judged,
    /// The application's: it counts for nobody here, and travels on as it is.
    Application,
}

/// Another service's audience, whose tokens a rule takes until a day.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FurtherAudience {
    /// The audience, byte for byte; never the API server's own.
    pub(crate) audience: String,
    /// The last day (UTC), such as `2027-01-31`.
    pub(crate) until: String,
}

/// Further names under which a service is told who was authenticated; removed from every request, as the others are.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FurtherHeaders {
    /// The user id.
    pub(crate) user: Option<String>,
    /// The e-mail address, where there is one.
    pub(crate) email: Option<String>,
    /// The groups, joined by commas.
    pub(crate) groups: Option<String>,
}

/// A path, all paths below one, or those that a template stands for: exactly one of these.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PathPattern {
    /// This path alone: to open one address. To close a path, write `prefix`.
    #[serde(default)]
    pub(crate) exact: Option<String>,
    /// This path and every path below it, by whole segments.
    #[serde(default)]
    pub(crate) prefix: Option<String>,
    /// Every path of this shape: `*` stands for a segment or for its end (`Get*`), `/**` for all below.
    #[serde(default)]
    pub(crate) template: Option<String>,
}

/// Who may pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Access {
    /// Everybody; credentials are not looked at.
    Public,
    /// Everybody; who is signed in is known.
    Optional,
    /// Whoever is authenticated.
    #[default]
    Authenticated,
    /// Nobody.
    Deny,
}

/// What happens to a CORS preflight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Preflight {
    /// It is refused.
    #[default]
    Deny,
    /// It passes to the service, stripped.
    Allow,
}

/// What holds where no rule matches.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DefaultRule {
    /// Who may pass: `authenticated` or `deny`.
    pub(crate) access: Access,
}
