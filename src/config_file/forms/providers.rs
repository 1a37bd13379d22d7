//! Identity providers, and the origins at which browsers sign in.

use std::{collections::BTreeMap, path::PathBuf};

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
    /// Where the provider's discovery document lies. Absent: below the issuer. What it says is the issuer must be `issuer`.
    #[serde(default)]
    pub(crate) discovery_url: Option<String>,
    /// Endpoints instead of those that the document tells, one by one: where browsers and this process reach the provider by
    /// different names.
    #[serde(default)]
    pub(crate) endpoints: ProviderEndpoints,
    /// The client secret. Absent: a public client (PKCE alone), unless `client_key` or `client_assertion_file` is written.
    #[serde(default)]
    pub(crate) client_secret: Option<Secret>,
    /// How the client says who it is. Absent: with a secret as the provider's metadata say, else by what is written.
    #[serde(default)]
    pub(crate) client_authentication: Option<ClientAuthentication>,
    /// The file of the private key for `private_key_jwt`: PKCS#8 PEM, EC P-256 (ES256) or RSA (RS256).
    #[serde(default)]
    pub(crate) client_key: Option<PathBuf>,
    /// The `kid` under which the provider knows the public part of `client_key`.
    #[serde(default)]
    pub(crate) client_key_id: Option<String>,
    /// The file of a token that somebody else issues to this process, such as a projected ServiceAccount token, for
    /// `private_key_jwt`. It is read at each call.
    #[serde(default)]
    pub(crate) client_assertion_file: Option<PathBuf>,
    /// The scopes that are asked for; `openid` is always sent. Absent: `openid email profile`, and `groups` where the
    /// provider's `scopes_supported` lists it.
    #[serde(default)]
    pub(crate) scopes: Option<Vec<String>>,
    /// Further parameters of the authorization request, such as `prompt` or `hd`.
    #[serde(default)]
    pub(crate) authorization_parameters: BTreeMap<String, String>,
    /// What the provider may sign tokens with. Absent: what its `id_token_signing_alg_values_supported` lists; RS256 where it
    /// lists nothing.
    #[serde(default)]
    pub(crate) id_token_signing_algorithms: Option<Vec<String>>,
    /// The proxy through which the provider is called: `http://host:port`. Absent: none, whatever the environment says.
    #[serde(default)]
    pub(crate) proxy: Option<String>,
    /// The file of further certificate authorities, PEM, beside the system's.
    #[serde(default)]
    pub(crate) ca_file: Option<PathBuf>,
    /// Lets the issuer and its endpoints be `http://`: for tests and demonstrations.
    #[serde(default)]
    pub(crate) allow_http: bool,
    /// How long one call to the provider may take.
    #[serde(default = "five_seconds")]
    pub(crate) timeout: DurationText,
    /// The claim that holds the user id. `email` is the address, which counts only when the provider says that it is
    /// verified.
    #[serde(default = "default_userid_claim")]
    pub(crate) userid_claim: String,
    /// In which case an address is the user id: in lower case, or as the provider writes it. Rules compare addresses without
    /// their case all the same.
    #[serde(default)]
    pub(crate) userid_case: UseridCase,
    /// What is put in front of every user id of this provider.
    #[serde(default)]
    pub(crate) userid_prefix: String,
    /// The claim that is the address. Another one than `email` needs `trust_unverified_email`, and an issuer of one tenant.
    #[serde(default = "default_userid_claim")]
    pub(crate) email_claim: String,
    /// The claim that holds the groups: its name, or a path such as `realm_access.roles`.
    #[serde(default = "default_groups_claim")]
    pub(crate) groups_claim: String,
    /// Takes the names of an object's members for groups (`{"admin": {...}}`).
    #[serde(default)]
    pub(crate) groups_of_objects: bool,
    /// Whether userinfo is asked for what the ID token lacks.
    #[serde(default)]
    pub(crate) userinfo: UserinfoUse,
    /// Claims that the ID token must have, each with the values of which one must be there: `{hd: [example.com]}`.
    #[serde(default)]
    pub(crate) required_claims: BTreeMap<String, Vec<String>>,
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

/// Endpoints of a provider that are written down.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProviderEndpoints {
    /// Where browsers are sent to sign in.
    pub(crate) authorization: Option<String>,
    /// Where codes and refresh tokens are exchanged.
    pub(crate) token: Option<String>,
    /// Where the provider's keys are.
    pub(crate) jwks: Option<String>,
    /// Userinfo.
    pub(crate) userinfo: Option<String>,
    /// Where browsers are sent to be signed out.
    pub(crate) end_session: Option<String>,
    /// Where tokens are revoked.
    pub(crate) revocation: Option<String>,
    /// Where the state of a token is asked for.
    pub(crate) introspection: Option<String>,
}

/// In which case an address is the user id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UseridCase {
    /// In lower case: one person has one name, however the provider writes it.
    #[default]
    Lower,
    /// As the provider writes it, for services that compare names to the byte (Kubeflow's profiles).
    Keep,
}

/// How the client says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientAuthentication {
    /// A secret in the `Authorization` header.
    ClientSecretBasic,
    /// A secret in the body.
    ClientSecretPost,
    /// A signed token (RFC 7523): made with `client_key`, or read from `client_assertion_file`.
    PrivateKeyJwt,
    /// Not at all: a public client.
    None,
}

/// Whether userinfo is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UserinfoUse {
    /// For what the ID token lacks.
    #[default]
    WhenNeeded,
    /// Never.
    Never,
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
    /// The name of the parameter with the address to come back to: `logout_uri` at Cognito, `returnTo` at Auth0's own
    /// endpoint.
    pub(crate) redirect_parameter: String,
    /// Sends the ID token as a hint.
    pub(crate) id_token_hint: bool,
    /// Sends a state, for providers that bring it back.
    pub(crate) state: bool,
    /// Revokes the tokens of sessions that end by a sign-out, where the provider has a `revocation_endpoint`.
    pub(crate) revoke_tokens: bool,
    /// Lets the provider end sessions: `POST /backchannel-logout/<name>` on the `http` listener.
    pub(crate) back_channel: bool,
    /// Takes logout tokens without `exp`, for two minutes from their `iat`.
    pub(crate) logout_token_without_exp: bool,
    /// Lets the provider's own page end sessions through the browser: `<origin>/portcullis/frontchannel-logout` in a frame.
    /// Nothing is signed there, so that back-channel logout is better where both sides have it.
    pub(crate) front_channel: bool,
}

impl Default for ProviderLogout {
    fn default() -> Self {
        Self {
            at_provider: true,
            redirect_parameter: "post_logout_redirect_uri".to_owned(),
            id_token_hint: true,
            state: true,
            revoke_tokens: true,
            back_channel: true,
            logout_token_without_exp: false,
            front_channel: false,
        }
    }
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
