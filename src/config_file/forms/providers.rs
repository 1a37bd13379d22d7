//! Identity providers, and the origins at which browsers sign in.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{DurationText, Secret};

/// An OpenID Connect identity provider.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provider {
    /// The provider's name here and in the log: `[a-z0-9-]`, at most 63.
    pub(crate) name: String,
    /// The issuer identifier, byte for byte as the provider's discovery document tells it.
    pub(crate) issuer: String,
    /// The client identifier that is registered at the provider.
    pub(crate) client_id: String,
    /// The client secret. Absent: a public client (PKCE alone).
    #[serde(default)]
    pub(crate) client_secret: Option<Secret>,
    /// The scopes that are asked for; `openid` is always sent.
    #[serde(default = "default_scopes")]
    pub(crate) scopes: Vec<String>,
    /// The file of further certificate authorities, PEM, beside the system's.
    #[serde(default)]
    pub(crate) ca_file: Option<PathBuf>,
    /// Lets the issuer and its endpoints be `http://`: for tests and demonstrations.
    #[serde(default)]
    pub(crate) allow_http: bool,
    /// How long one call to the provider may take.
    #[serde(default = "five_seconds")]
    pub(crate) timeout: DurationText,
    /// The claim that holds the user id. `email` counts only when the provider says that it is verified.
    #[serde(default = "default_userid_claim")]
    pub(crate) userid_claim: String,
    /// What is put in front of every user id of this provider.
    #[serde(default)]
    pub(crate) userid_prefix: String,
    /// The claim that holds the groups.
    #[serde(default = "default_groups_claim")]
    pub(crate) groups_claim: String,
    /// Takes an e-mail address that the provider does not call verified; needs `email_domains`.
    #[serde(default)]
    pub(crate) trust_unverified_email: bool,
    /// The only domains whose e-mail addresses may sign in. Empty: all.
    #[serde(default)]
    pub(crate) email_domains: Vec<String>,
    /// Lets sessions follow the provider, where it issues refresh tokens (most want the scope `offline_access`). Absent:
    /// they live by their own lifetimes.
    #[serde(default)]
    pub(crate) refresh: Option<Refresh>,
    /// Asks the provider again and again whether a session's access token is still good. Absent: it is not asked.
    #[serde(default)]
    pub(crate) strict: Option<Strict>,
    /// What sign-out does at the provider, and what the provider's sign-out does here.
    #[serde(default)]
    pub(crate) logout: ProviderLogout,
}

/// How the provider is asked whether a session's access token is still good.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Strict {
    /// How long an answer holds: each replica asks no more often about one session.
    pub(crate) every: DurationText,
    /// Where it is asked.
    #[serde(default)]
    pub(crate) ask: StrictAsk,
}

/// Where the provider is asked whether an access token is good.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StrictAsk {
    /// The introspection endpoint (RFC 7662).
    #[default]
    Introspection,
    /// The userinfo endpoint.
    Userinfo,
}

/// How sessions follow the provider.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Refresh {
    /// How long before its end an access token is replaced; at most half of its life counts.
    pub(crate) ahead: DurationText,
}

impl Default for Refresh {
    fn default() -> Self {
        Self { ahead: "1m".into() }
    }
}

/// What sign-out does at the provider, and what the provider's sign-out does here.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct ProviderLogout {
    /// Sends browsers that sign out to the provider's `end_session_endpoint`, where it has one. The provider must know
    /// `<origin>/portcullis/signed-out` as a post-logout redirect URI, else it shows a page of its own, or an error.
    pub(crate) at_provider: bool,
    /// Revokes the tokens of sessions that end by a sign-out, where the provider has a `revocation_endpoint`.
    pub(crate) revoke_tokens: bool,
    /// Lets the provider end sessions: `POST /backchannel-logout/<name>` on the `http` listener.
    pub(crate) back_channel: bool,
    /// Lets the provider's own page end sessions through the browser: `<origin>/portcullis/frontchannel-logout` in a frame.
    /// Nothing is signed there, so that back-channel logout is better where both sides have it.
    pub(crate) front_channel: bool,
}

impl Default for ProviderLogout {
    fn default() -> Self {
        Self { at_provider: true, revoke_tokens: true, back_channel: true, front_channel: false }
    }
}

fn default_scopes() -> Vec<String> {
    ["openid", "email", "profile", "groups"].map(str::to_owned).to_vec()
}

fn five_seconds() -> DurationText {
    "5s".into()
}

fn default_userid_claim() -> String {
    "email".to_owned()
}

fn default_groups_claim() -> String {
    "groups".to_owned()
}

/// A public address at which browsers sign in.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Origin {
    /// `https://host` or `https://host:port`.
    pub(crate) url: String,
    /// The name of the provider at which people sign in.
    pub(crate) provider: String,
    /// The session cookie's name, which goes out as `__Host-<name>`; the login cookie is `__Host-<name>-login`.
    #[serde(default = "default_cookie")]
    pub(crate) cookie: String,
    /// The path below which our own endpoints are.
    #[serde(default = "default_path_prefix")]
    pub(crate) path_prefix: String,
    /// Where the browser goes after logout: a path, or an `https://` URL. Absent: our own page.
    #[serde(default)]
    pub(crate) after_logout_url: Option<String>,
    /// Further paths of our endpoints, such as those of oidc-authservice. Exact; off unless named.
    #[serde(default)]
    pub(crate) aliases: Aliases,
}

fn default_cookie() -> String {
    "portcullis".to_owned()
}

fn default_path_prefix() -> String {
    "/portcullis".to_owned()
}

/// Further paths of our endpoints.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Aliases {
    /// Further paths of the logout endpoint.
    pub(crate) logout: Vec<String>,
    /// Further paths of the callback.
    pub(crate) callback: Vec<String>,
    /// Further paths that start a sign-in.
    pub(crate) login: Vec<String>,
}
