//! A configuration that was found good: values that were read, parsed and checked against each other.

use std::{collections::BTreeSet, fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use http::HeaderName;
use rustls::{RootCertStore, sign::CertifiedKey};
use url::Url;

use crate::{
    principal::{Email, Group, ProviderName},
    secret::{RootKeyRing, SecretBytes, SecretString},
};

/// Everything that the configuration says, checked. Secrets do not print.
#[derive(Debug)]
pub struct Settings {
    /// The three listeners.
    pub listeners: Listeners,
    /// How the process ends.
    pub drain: Drain,
    /// Where keys come from.
    pub keys: Keys,
    /// Sessions and their store.
    pub sessions: Sessions,
    /// Identity providers; names are unique.
    pub providers: Vec<Provider>,
    /// Where browsers sign in; every one names a provider of the list.
    pub origins: Vec<Origin>,
    /// Every host that is served: those of the origins and the further ones.
    pub hosts: BTreeSet<String>,
    /// ServiceAccount tokens, where they are accepted.
    pub service_accounts: Option<ServiceAccounts>,
    /// The trusted headers.
    pub identity: Identity,
    /// The signed assertion.
    pub assertion: Assertion,
    /// The rules, in their order; names are unique.
    pub rules: Vec<Rule>,
    /// Who may pass where no rule matches: never `Public` or `Optional`.
    pub default_access: Access,
    /// The log.
    pub logging: crate::logging::Config,
}

/// The three listeners.
#[derive(Debug)]
pub struct Listeners {
    /// The check service.
    pub check: CheckListener,
    /// JWKS and discovery.
    pub http: HttpListener,
    /// Health and metrics.
    pub operations: SocketAddr,
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Bind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "{address}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// The check service's listener.
#[derive(Debug)]
pub struct CheckListener {
    /// Where it listens.
    pub bind: Bind,
    /// TLS with client certificates.
    pub tls: Option<ServerTls>,
    /// The URI SANs of which a caller's certificate must have one; empty only where there is no TLS, or any caller of
    /// the CA is allowed by the explicit word.
    pub allowed_sans: BTreeSet<String>,
}

/// The listener of JWKS and discovery.
#[derive(Debug)]
pub struct HttpListener {
    /// Where it listens.
    pub bind: SocketAddr,
    /// TLS.
    pub tls: Option<ServerTls>,
}

/// A certificate with its key, and whose client certificates are taken.
#[derive(Clone)]
pub struct ServerTls {
    /// Our chain and its key, which belong together.
    pub certified_key: Arc<CertifiedKey>,
    /// The authorities of client certificates; without them none is asked for.
    pub client_roots: Option<Arc<RootCertStore>>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ServerTls")
            .field("client_certificates", &self.client_roots.is_some())
            .finish_non_exhaustive()
    }
}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long checks are taken after SIGTERM.
    pub delay: Duration,
    /// How long running checks may take after that.
    pub timeout: Duration,
}

/// Where keys come from.
#[derive(Debug)]
pub struct Keys {
    /// Files, or a folder of our own.
    pub source: KeySource,
    /// How long a key is published before it signs.
    pub publish_ahead: Duration,
}

/// Files, or a folder of our own.
#[derive(Debug)]
pub enum KeySource {
    /// Portcullis makes its own keys in this folder.
    Directory(PathBuf),
    /// Keys from files.
    Files {
        /// The root keys; the first seals.
        root: Arc<RootKeyRing>,
        /// EC P-256 private keys, PKCS#8 PEM; the first signs.
        assertion: Vec<SecretBytes>,
    },
}

/// Sessions and their store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// Where they are kept.
    pub store: Store,
    /// When a session ends, however it is used.
    pub absolute_lifetime: Duration,
    /// When a session ends that is not used; at most the absolute lifetime.
    pub idle_lifetime: Duration,
}

/// Where sessions are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// In memory.
    Memory,
    /// In one file.
    Embedded(PathBuf),
}

/// An identity provider.
#[derive(Debug)]
pub struct Provider {
    /// Its name.
    pub name: ProviderName,
    /// Its issuer identifier, byte for byte.
    pub issuer: String,
    /// Our client identifier there.
    pub client_id: String,
    /// Our client secret there; a public client has none.
    pub client_secret: Option<SecretString>,
    /// The scopes to ask for, `openid` among them, none twice.
    pub scopes: Vec<String>,
    /// Further authorities, PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Whether `http://` is allowed for it.
    pub allow_http: bool,
    /// How long one call may take.
    pub timeout: Duration,
    /// The claim that holds the user id.
    pub userid_claim: String,
    /// What is put in front of user ids.
    pub userid_prefix: String,
    /// The claim that holds the groups.
    pub groups_claim: String,
    /// Whether an unverified e-mail address is taken; only with `email_domains`.
    pub trust_unverified_email: bool,
    /// The only domains that may sign in, in lower case; empty for all.
    pub email_domains: BTreeSet<String>,
}

/// Where browsers sign in.
#[derive(Clone, Debug)]
pub struct Origin {
    /// `https://host[:port]`, as [`url::Origin`] writes it.
    pub origin: String,
    /// The host, in lower case and without a port.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The provider.
    pub provider: ProviderName,
    /// The session cookie's whole name, `__Host-…`.
    pub session_cookie: String,
    /// The login cookie's whole name, `__Host-…-login`.
    pub login_cookie: String,
    /// Where our endpoints are: `/portcullis`, no slash at its end.
    pub path_prefix: String,
    /// Where the browser goes after logout: a path or an `https://` URL.
    pub after_logout_url: String,
    /// Further paths of the logout endpoint.
    pub logout_aliases: Vec<String>,
    /// Further paths of the callback.
    pub callback_aliases: Vec<String>,
    /// Further paths that start a sign-in.
    pub login_aliases: Vec<String>,
}

/// ServiceAccount tokens.
#[derive(Clone, Debug)]
pub struct ServiceAccounts {
    /// The audiences of which a token must name one.
    pub audiences: Vec<String>,
    /// The cluster's issuers.
    pub issuers: Vec<String>,
    /// A kubeconfig file instead of the pod's own account.
    pub kubeconfig: Option<PathBuf>,
    /// How long an accepted token is not reviewed again.
    pub cache_ttl: Duration,
    /// How long a rejected one is not; at most 10 s.
    pub negative_cache_ttl: Duration,
    /// How many reviews may run at once; one at least.
    pub max_concurrent_reviews: usize,
    /// How long one review may take.
    pub timeout: Duration,
    /// Whether signatures are verified first, where the API server serves its keys.
    pub verify_signatures: bool,
}

/// The trusted headers. No two names are variants of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user id.
    pub user: HeaderName,
    /// The groups.
    pub groups: HeaderName,
    /// How the caller was authenticated.
    pub method: HeaderName,
    /// The assertion.
    pub assertion: HeaderName,
    /// Further headers that are removed from every request.
    pub strip: Vec<HeaderName>,
}

/// The signed assertion.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// Its `iss`, without a slash at its end.
    pub issuer: Url,
    /// Its `aud`, where a rule names no other.
    pub audience: String,
    /// How long it is valid; at most 10 minutes.
    pub lifetime: Duration,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Its hosts, all of them served; empty for every one.
    pub hosts: BTreeSet<String>,
    /// Its methods; empty for all.
    pub methods: Vec<http::Method>,
    /// Its paths; empty for all.
    pub paths: Vec<PathPattern>,
    /// Who may pass.
    pub access: Access,
    /// Members of any of these groups …
    pub groups: BTreeSet<Group>,
    /// … or people of any of these addresses, where one of the two lists is not empty.
    pub emails: Vec<Email>,
    /// The service accounts that may pass; empty for all.
    pub service_accounts: Vec<AccountPattern>,
    /// Whether a judged bearer travels on.
    pub keep_bearer: bool,
    /// The assertion's `aud`.
    pub audience: Option<String>,
    /// Further origins whose pages may use the session.
    pub allowed_origins: BTreeSet<String>,
    /// Whether a CORS preflight passes to the service.
    pub allow_preflight: bool,
}

/// A path pattern: byte-clean, begins with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// This path.
    Exact(String),
    /// This path and those below it, by whole segments.
    Prefix(String),
}

/// Service accounts of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountPattern {
    /// The namespace.
    pub namespace: String,
    /// The account's name; none for every account of the namespace.
    pub name: Option<String>,
}

/// Who may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody; credentials are not looked at.
    Public,
    /// Everybody; who is signed in is known.
    Optional,
    /// Whoever is authenticated.
    Authenticated,
    /// Nobody.
    Deny,
}
