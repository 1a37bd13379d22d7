//! The forms of the configuration file: shapes and defaults only.
//!
//! The doc comments of these fields are what the JSON Schema, and the errors about a missing field, tell people to
//! write. Nothing here holds a secret: a secret is a reference to a file or an environment variable.

mod listeners;
mod policy;
mod providers;
mod redis;
mod reviews;
mod values;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use listeners::{AdminListener, CheckListener, CheckTls, HttpListener, Listeners, OperationsListener};
pub(crate) use policy::{
    Access, Assertion, Bearer, DefaultRule, FurtherAudience, FurtherHeaders, Identity, IdentityHeaders, Login,
    PathPattern, Preflight, Rule, RuleMode, ServiceAccounts,
};
pub(crate) use providers::{
    Aliases, ClientAuthentication, Origin, Provider, ProviderEndpoints, ProviderLogout, StrictAsk, UseridCase,
    UserinfoUse,
};
pub(crate) use redis::{Redis, RedisMode};
pub(crate) use reviews::{AccessReviews, Capture, Condition, Review};
pub(crate) use values::{DurationText, Secret};

/// The configuration of Portcullis.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Portcullis configuration")]
pub(crate) struct File {
    /// The listeners.
    #[serde(default)]
    pub(crate) listeners: Listeners,
    /// What happens between SIGTERM and the end of the process.
    #[serde(default)]
    pub(crate) drain: Drain,
    /// The keys that seal sessions and sign assertions.
    pub(crate) keys: Keys,
    /// Sessions of browsers and where they are kept.
    pub(crate) sessions: Sessions,
    /// OpenID Connect identity providers. None: nobody can sign in, tokens only.
    #[serde(default)]
    pub(crate) providers: Vec<Provider>,
    /// The public addresses at which browsers sign in.
    #[serde(default)]
    pub(crate) origins: Vec<Origin>,
    /// Further host names that are served, without a sign-in of their own. Lower case, no port; `*.` before a domain stands
    /// for one label, `**.` for one or more.
    #[serde(default)]
    pub(crate) hosts: Vec<String>,
    /// Kubernetes ServiceAccount tokens as bearers. Absent: they are not accepted.
    #[serde(default)]
    pub(crate) service_accounts: Option<ServiceAccounts>,
    /// How the API server is asked what somebody may do, for rules that have `reviews`.
    #[serde(default)]
    pub(crate) access_reviews: Option<AccessReviews>,
    /// The headers that tell services who was authenticated.
    #[serde(default)]
    pub(crate) identity: Identity,
    /// The signed JWT that services can verify themselves.
    pub(crate) assertion: Assertion,
    /// What is served to whom; the first match decides.
    #[serde(default)]
    pub(crate) rules: Vec<Rule>,
    /// Files of further rules (`rules: [...]`), which come after these in the order of the files.
    #[serde(default)]
    pub(crate) rules_from: Vec<PathBuf>,
    /// What holds where no rule matches.
    #[serde(default)]
    pub(crate) default: DefaultRule,
    /// Who may ask without being obeyed.
    #[serde(default)]
    pub(crate) shadow: Shadow,
    /// The log on standard error.
    #[serde(default)]
    pub(crate) logging: Logging,
}

/// A file of rules.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RulesFile {
    /// What is served to whom; the first match decides.
    pub(crate) rules: Vec<Rule>,
}

/// Who may ask without being obeyed.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Shadow {
    /// Gateways may ask in shadow, where another gate decides: such a check is answered "allowed", with nothing changed.
    pub(crate) gateways: bool,
}

/// What happens between SIGTERM and the end of the process.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Drain {
    /// How long checks are still taken after `NOT_SERVING` was told: the gateway's health check must notice meanwhile.
    pub(crate) delay: DurationText,
    /// How long running checks may take to finish after that.
    pub(crate) timeout: DurationText,
}

impl Default for Drain {
    fn default() -> Self {
        Self { delay: "5s".into(), timeout: "30s".into() }
    }
}

/// The keys that seal sessions and sign assertions: `directory`, or `root` and `assertion`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keys {
    /// A folder (0700) in which Portcullis makes its own keys; apart from the session store's folder.
    #[serde(default)]
    pub(crate) directory: Option<PathBuf>,
    /// Files of 32 random bytes or more each, raw or base64. The first seals, all open.
    #[serde(default)]
    pub(crate) root: Option<Vec<PathBuf>>,
    /// Files of EC P-256 private keys, PKCS#8 PEM. The first signs, all are published.
    #[serde(default)]
    pub(crate) assertion: Option<Vec<PathBuf>>,
    /// How long a key is published before it signs.
    #[serde(default = "ninety_minutes")]
    pub(crate) publish_ahead: DurationText,
}

fn ninety_minutes() -> DurationText {
    "90m".into()
}

/// Sessions of browsers.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sessions {
    /// Where sessions are kept.
    pub(crate) store: Store,
    /// When a session ends, however it is used.
    #[serde(default = "one_day")]
    pub(crate) absolute_lifetime: DurationText,
    /// When a session ends that is not used.
    #[serde(default = "eight_hours")]
    pub(crate) idle_lifetime: DurationText,
}

fn one_day() -> DurationText {
    "24h".into()
}

fn eight_hours() -> DurationText {
    "8h".into()
}

/// Where sessions are kept.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    /// The kind of store.
    #[serde(rename = "type")]
    pub(crate) kind: StoreKind,
    /// The file of an `embedded` store, in a folder of its own (0700).
    #[serde(default)]
    pub(crate) path: Option<PathBuf>,
    /// The servers of a `redis` store.
    #[serde(default)]
    pub(crate) redis: Option<Redis>,
}

/// The kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoreKind {
    /// Gone with the process: for tests.
    Memory,
    /// One file, one replica; survives a restart.
    Embedded,
    /// Redis, for several replicas that share their keys.
    Redis,
}

/// The log on standard error.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Logging {
    /// The least severe level that is written.
    pub(crate) level: LogLevel,
    /// One JSON object per line, or text for people.
    pub(crate) format: LogFormat,
}

/// The least severe level that is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogLevel {
    /// Something is broken.
    Error,
    /// Something will break, or was refused.
    Warn,
    /// One record per check.
    #[default]
    Info,
    /// Details of decisions.
    Debug,
    /// Everything.
    Trace,
}

/// How a log record is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// One JSON object per line.
    #[default]
    Json,
    /// Text for people.
    Text,
}
