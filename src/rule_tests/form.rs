//! The form of a table. What its fields' comments say, errors tell those who write one.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config_file::forms::DurationText;

/// A table of requests to a configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The configuration file, seen from the folder of this file.
    pub(super) config: PathBuf,
    /// Files of further rules, seen from the folder of this file, as if the configuration named them in `rules_from`.
    #[serde(default)]
    pub(super) rules_from: Vec<PathBuf>,
    /// The time of it all (RFC 3339), such as `2027-01-15T12:00:00Z`. Absent: now.
    #[serde(default)]
    pub(super) now: Option<String>,
    /// The names of rules that no case reaches, and are not meant to be reached.
    #[serde(default)]
    pub(super) unreached_on_purpose: Vec<String>,
    /// The cases. Each stands alone: none knows what another one did.
    pub(super) cases: Vec<Case>,
}

/// A request, who sends it, and what is expected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// What the case shows, in words; no two are the same.
    pub(super) name: String,
    /// The request.
    pub(super) request: Request,
    /// Who sends it: `{user: ...}` or `{service_account: NAMESPACE/NAME}`. Absent: nobody is known.
    #[serde(default)]
    pub(super) who: Option<Caller>,
    /// What the API server is assumed to answer where a rule asks it (SubjectAccessReview). The first that fits a question
    /// answers it; one that none fits fails the case.
    #[serde(default)]
    pub(super) reviews: Vec<Review>,
    /// As if the rules in shadow decided, too.
    #[serde(default)]
    pub(super) with_shadow: bool,
    /// What is expected.
    pub(super) expect: Expectation,
}

/// A request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// The method.
    #[serde(default = "get")]
    pub(super) method: String,
    /// The address, such as `https://kubeflow.example.com/pipeline/`. Its path and query are sent byte for byte.
    pub(super) url: String,
    /// Further headers, by name.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// Whether a browser goes to a page: the headers by which that is known are added.
    #[serde(default)]
    pub(super) navigation: bool,
}

fn get() -> String {
    "GET".to_owned()
}

/// Who sends a request: a person in a browser that is signed in, or a service account with its token.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Caller {
    /// The name that services know a person by, who is signed in at the provider of the request's origin.
    pub(super) user: Option<String>,
    /// The person's e-mail address. Absent: the user id, where it is one.
    pub(super) email: Option<String>,
    /// The groups that the provider tells of the person.
    pub(super) groups: Vec<String>,
    /// How long ago the provider authenticated the person (`auth_time`), such as `42m`. Absent: just now.
    pub(super) signed_in: Option<DurationText>,
    /// The authentication context class that the provider told (`acr`). Absent: none.
    pub(super) acr: Option<String>,
    /// The authentication methods that the provider told (`amr`). Absent: none.
    pub(super) amr: Vec<String>,
    /// A service account, `NAMESPACE/NAME`, whose token the API server accepts.
    pub(super) service_account: Option<String>,
    /// The audience of the token. Absent: the first of `service_accounts.audiences`.
    pub(super) audience: Option<String>,
}

/// A question to the API server, and its answer. What is absent fits everything.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Review {
    /// The verb, such as `get`.
    #[serde(default)]
    pub(super) verb: Option<String>,
    /// The API group; empty for the core group.
    #[serde(default)]
    pub(super) group: Option<String>,
    /// The resource, such as `notebooks`.
    #[serde(default)]
    pub(super) resource: Option<String>,
    /// The subresource; empty for none.
    #[serde(default)]
    pub(super) subresource: Option<String>,
    /// The namespace.
    #[serde(default)]
    pub(super) namespace: Option<String>,
    /// The name of the object; empty for all.
    #[serde(default)]
    pub(super) name: Option<String>,
    /// The answer: `allowed`, `denied`, or `unanswered` where the API server gives none.
    pub(super) answer: Answer,
}

/// What the API server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// The user may.
    Allowed,
    /// The user may not.
    Denied,
    /// There is no answer.
    Unanswered,
}

/// What is expected of a decision. What is absent may be anything.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Expectation {
    /// `allowed`, `refused`, `sign_in`, or `answered` by an address of Portcullis's own.
    pub(super) decision: Decision,
    /// The HTTP status of what Portcullis itself answers; not where the request goes on.
    #[serde(default)]
    pub(super) status: Option<u16>,
    /// The name of the rule that decides, or `default`.
    #[serde(default)]
    pub(super) rule: Option<String>,
    /// The reason, as logs and answers say it (docs/reasons.md).
    #[serde(default)]
    pub(super) reason: Option<String>,
    /// Headers that are set for the service, with their values; `*` for any value.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// Headers that are removed, so that the service has none.
    #[serde(default)]
    pub(super) removed: Vec<String>,
    /// Headers of the request that reach the service as they are.
    #[serde(default)]
    pub(super) kept: Vec<String>,
}

/// What a check ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Decision {
    /// The request goes on.
    Allowed,
    /// It is refused.
    Refused,
    /// The browser is to sign in.
    SignIn,
    /// An address of our own answers.
    Answered,
}
