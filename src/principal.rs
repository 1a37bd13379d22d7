//! Who was authenticated, and the rules that names must keep.
//!
//! What a provider says never lands in a namespace that is not its own: `system:` is Kubernetes' in any case.

mod names;
mod service_account;

pub use names::{Email, Group, Groups, NameError, ProviderName, Userid, escape_unseen, is_unseen};
pub use service_account::{KubernetesNameError, Namespace, ServiceAccountName};

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::memory;

/// Who was authenticated. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A person, signed in at an identity provider.
    User(Arc<User>),
    /// A Kubernetes service account.
    ServiceAccount(Arc<ServiceAccount>),
}

/// A person, as an identity provider knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The provider's name in the configuration.
    pub provider: ProviderName,
    /// The provider's issuer identifier (OpenID Connect Core section 2, `iss`).
    pub issuer: String,
    /// The subject identifier at that issuer (`sub`).
    pub subject: String,
    /// The name that services know the person by, with the provider's prefix.
    pub userid: Userid,
    /// The e-mail address, where the provider vouches for it.
    pub email: Option<Email>,
    /// The groups that may be used.
    pub groups: Groups,
}

/// A Kubernetes service account, as TokenReview told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The pod that the token is bound to, where there is one.
    pub pod: Option<BoundPod>,
    /// The token's id (`authentication.kubernetes.io/credential-id`), for example `JTI=…`.
    pub credential_id: Option<String>,
    /// The groups that the API server told.
    pub groups: Groups,
    /// Further attributes that the API server told, the pod and the token's id among them: what it is asked about the
    /// account names them again.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// The pod that a ServiceAccount token is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundPod {
    /// The pod's name.
    pub name: String,
    /// The pod's uid.
    pub uid: String,
}

/// How a principal was authenticated: by which kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Method {
    name: &'static str,
    header: &'static str,
}

impl Method {
    /// By a session's cookie.
    pub const SESSION: Self = Self::new("session", "cookie");
    /// By a bearer token.
    pub const BEARER: Self = Self::new("bearer", "header");

    /// By another kind of credential. Both words are contracts: `name` stands in assertions and explanations, `header` in
    /// the method header, whose words oidc-authservice's clients know.
    #[must_use]
    pub const fn new(name: &'static str, header: &'static str) -> Self {
        Self { name, header }
    }

    /// The kind's name, as assertions and explanations say it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The value of the method header.
    #[must_use]
    pub const fn header(self) -> &'static str {
        self.header
    }
}

impl User {
    /// About how many bytes it takes in memory, shared as it is.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let email = self.email.as_ref().map_or("", Email::as_str);
        let texts = [self.provider.as_str(), &self.issuer, &self.subject, self.userid.as_str(), email];
        memory::shared::<Self>()
            + self.groups.heap_bytes()
            + texts.iter().map(|text| memory::block(text.len())).sum::<usize>()
    }
}

impl ServiceAccount {
    /// About how many bytes it takes in memory, shared as it is.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let pod = self.pod.iter().flat_map(|pod| [&pod.name, &pod.uid]);
        let texts = [&self.namespace, &self.name, &self.uid].into_iter().chain(pod).chain(&self.credential_id);
        let extra = self.extra.iter().flat_map(|(name, values)| std::iter::once(name).chain(values));
        let texts = texts.chain(extra).map(|text| memory::block(size_of::<String>() + text.len()));
        memory::shared::<Self>() + self.groups.heap_bytes() + texts.sum::<usize>()
    }

    /// The Kubernetes user name, `system:serviceaccount:<namespace>:<name>`.
    #[must_use]
    pub fn username(&self) -> String {
        self.shown().to_string()
    }

    fn shown(&self) -> impl fmt::Display {
        fmt::from_fn(|formatter| write!(formatter, "system:serviceaccount:{}:{}", self.namespace, self.name))
    }
}

impl Principal {
    /// The name that services know this principal by.
    #[must_use]
    pub fn userid(&self) -> Cow<'_, str> {
        match self {
            Self::User(user) => user.userid.as_str().into(),
            Self::ServiceAccount(account) => account.username().into(),
        }
    }

    /// The same name, where it is only shown.
    #[must_use]
    pub fn shown(&self) -> impl fmt::Display {
        fmt::from_fn(|formatter| match self {
            Self::User(user) => formatter.write_str(user.userid.as_str()),
            Self::ServiceAccount(account) => write!(formatter, "{}", account.shown()),
        })
    }

    /// The subject of the assertion: unlike the user id, it never means two principals, as long as a provider's name
    /// stands for one issuer. It holds the name, which operators choose and services can read.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::User(user) => format!("user:{}:{}", user.provider.as_str(), user.subject),
            Self::ServiceAccount(account) => account.username(),
        }
    }

    /// The principal's groups.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        match self {
            Self::User(user) => &user.groups,
            Self::ServiceAccount(account) => &account.groups,
        }
    }

    /// The e-mail address, of people only.
    #[must_use]
    pub fn email(&self) -> Option<&Email> {
        match self {
            Self::User(user) => user.email.as_ref(),
            Self::ServiceAccount(_) => None,
        }
    }
}
