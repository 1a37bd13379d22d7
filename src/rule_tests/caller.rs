//! Who sends a case's request: somebody that the configuration could really let in, or the table is wrong.

use std::time::Duration;

use serde_json::{Value, json};

use super::form;
use crate::{
    claims::{Claims, Identified},
    clock::Timestamp,
    config::Settings,
    config_file::{FieldError, FieldPath},
    kubernetes::ReviewedUser,
    origin::Origin,
    principal::{ServiceAccountName, User},
    providers::ProviderConfig,
    request::HostName,
    secret::encode,
    session::Login,
};

const EMAIL: &str = "email";
/// The subject identifier of every person: a case has one.
const SUBJECT: &str = "table";
/// How long a token is good.
const TOKEN_SECONDS: u64 = 3600;

/// Who sends a request.
#[derive(Debug)]
pub(super) enum Caller {
    /// Nobody is known.
    Nobody,
    /// A person who is signed in.
    Person(Box<Person>),
    /// A service account.
    Account(Account),
}

/// A person, as the provider's claims make one, and where the session is.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) user: User,
    pub(super) client_id: String,
    pub(super) origin: String,
    pub(super) session_cookie: String,
    pub(super) sign_in: SignIn,
}

/// What the provider told of a person's sign-in.
#[derive(Debug)]
pub(super) struct SignIn {
    age: Duration,
    context: Option<String>,
    methods: Vec<String>,
}

impl SignIn {
    /// The login behind the session.
    pub(super) fn login(&self, now: Timestamp) -> Login {
        Login::new(Some(now.minus(self.age)), self.context.as_deref(), self.methods.iter().map(String::as_str))
    }
}

/// A service account with a token.
#[derive(Debug)]
pub(super) struct Account {
    name: ServiceAccountName,
    pub(super) audience: String,
    issuer: String,
}

impl Caller {
    pub(super) fn read(
        at: &FieldPath,
        written: &form::Caller,
        settings: &Settings,
        host: &HostName,
    ) -> Result<Self, FieldError> {
        let form::Caller { user, email, groups, service_account, audience, signed_in, acr, amr } = written;
        let has_signed_in = signed_in.is_some() || acr.is_some() || !amr.is_empty();
        match (user, service_account) {
            (Some(user), None) if audience.is_none() => {
                let origin = origin(at, settings, host)?;
                let sign_in = sign_in(at, written)?;
                person(at, &Written { user, email: email.as_deref(), groups }, settings, origin, sign_in)
            }
            (None, Some(_)) if has_signed_in => {
                Err(FieldError::new(at, "`signed_in`, `acr` and `amr` are a person's: a token is no login")
                    .write("write `{service_account: NAMESPACE/NAME}`"))
            }
            (None, Some(name)) if email.is_none() && groups.is_empty() => {
                account(at, name, audience.as_deref(), settings)
            }
            (Some(_), None) => {
                Err(FieldError::new(&at.key("audience"), "sessions have no audience").write("remove it"))
            }
            (None, Some(_)) => {
                Err(FieldError::new(at, "`email` and `groups` are a person's: the API server names a token's")
                    .write("write `{service_account: NAMESPACE/NAME}`"))
            }
            _ => Err(FieldError::new(at, "it names nobody, or two").write(
                "write `{user: NAME, groups: [...]}` or `{service_account: NAMESPACE/NAME}`, or leave `who` out",
            )),
        }
    }
}

struct Written<'a> {
    user: &'a str,
    email: Option<&'a str>,
    groups: &'a [String],
}

/// Where the person is signed in.
fn origin<'a>(at: &FieldPath, settings: &'a Settings, host: &HostName) -> Result<&'a Origin, FieldError> {
    settings.origins.iter().find(|origin| origin.host == *host).ok_or_else(|| {
        FieldError::new(&at.key("user"), "nobody is signed in at this host: it is none of `origins`")
            .found(host.as_str())
    })
}

/// What a session keeps of the sign-in: all that is written, or the table is wrong.
fn sign_in(at: &FieldPath, written: &form::Caller) -> Result<SignIn, FieldError> {
    let age = match &written.signed_in {
        None => Duration::ZERO,
        Some(text) => humantime::parse_duration(&text.0).map_err(|_| {
            FieldError::new(&at.key("signed_in"), "it is no duration")
                .found(&text.0)
                .write("write how long ago that was, such as `42m`")
        })?,
    };
    let sign_in = SignIn { age, context: written.acr.clone(), methods: written.amr.clone() };
    let kept = sign_in.login(Timestamp::from_unix_seconds(0));
    let too_much = |field: &str| FieldError::new(&at.key(field), "no session keeps this: it is empty, or too much");
    if kept.context() != written.acr.as_deref() {
        return Err(too_much("acr"));
    }
    if !kept.methods().eq(written.amr.iter().map(String::as_str)) {
        return Err(too_much("amr"));
    }
    Ok(sign_in)
}

/// The person that an ID token of the provider would make, by the provider's own settings.
fn person(
    at: &FieldPath,
    written: &Written<'_>,
    settings: &Settings,
    origin: &Origin,
    sign_in: SignIn,
) -> Result<Caller, FieldError> {
    let at_user = at.key("user");
    let none = || FieldError::new(&at_user, "the host's origin has no provider");
    let provider =
        settings.providers.iter().find(|provider| provider.name == origin.login.provider).ok_or_else(none)?;
    let prefix = &provider.claims.userid_prefix;
    let name = written.user.strip_prefix(prefix.as_str()).ok_or_else(|| {
        let told = format!("user ids of the provider `{}` begin with `{prefix}`", provider.name.as_str());
        FieldError::new(&at_user, told).found(written.user)
    })?;
    let claims = claims(provider, name, written);
    let identified = Identified {
        provider: &provider.name,
        issuer: &provider.issuer,
        subject: SUBJECT,
        id_token: &claims,
        userinfo: None,
    };
    let user = identified.user(&provider.claims).map_err(|error| {
        let told = format!("the provider `{}` signs in nobody of this name: {error}", provider.name.as_str());
        FieldError::new(&at_user, told).found(written.user)
    })?;
    if user.userid.as_str() != written.user {
        let told = "services know this person by another spelling, by the provider's settings";
        return Err(FieldError::new(&at_user, told)
            .found(written.user)
            .write(format!("write `{}`", user.userid.as_str())));
    }
    if let Some((index, group)) = written.groups.iter().enumerate().find(|(_, group)| !user.groups.contains(group)) {
        let told = "no provider can tell this group: it is Kubernetes' own, or no name";
        return Err(FieldError::new(&at.key("groups").index(index), told).found(group));
    }
    Ok(Caller::Person(Box::new(Person {
        user,
        client_id: provider.client_id.clone(),
        origin: origin.login.url.clone(),
        session_cookie: origin.session_cookie.clone(),
        sign_in,
    })))
}

/// What the provider says of the person.
fn claims(provider: &ProviderConfig, name: &str, written: &Written<'_>) -> Claims {
    let config = &provider.claims;
    let is_address = config.userid_claim == EMAIL;
    let email = written.email.or_else(|| (is_address || name.contains('@')).then_some(name));
    let mut claims = Claims::new();
    if let Some(email) = email {
        claims.insert(config.email_claim.clone(), email.into());
        claims.insert("email_verified".to_owned(), Value::Bool(true));
    }
    if !is_address {
        claims.insert(config.userid_claim.clone(), name.into());
    }
    if let Some(claim) = &config.groups_claim {
        claims.insert(claim.clone(), written.groups.into());
    }
    claims
}

fn account(at: &FieldPath, name: &str, audience: Option<&str>, settings: &Settings) -> Result<Caller, FieldError> {
    let at = at.key("service_account");
    let name = ServiceAccountName::parse(name).map_err(|error| FieldError::new(&at, error.to_string()).found(name))?;
    let tokens = settings.service_accounts.as_ref();
    let refused = || FieldError::new(&at, "the configuration accepts no tokens: it has no `service_accounts`");
    let (first, issuer) =
        tokens.and_then(|tokens| tokens.audiences.first().zip(tokens.issuers.first())).ok_or_else(refused)?;
    let audience = audience.unwrap_or(first).to_owned();
    Ok(Caller::Account(Account { name, audience, issuer: issuer.clone() }))
}

impl Account {
    /// A token of the account, which the API server of the case accepts.
    pub(super) fn token(&self, now: Timestamp) -> String {
        let part = |value: &Value| encode(value.to_string().as_bytes());
        let issued_at = now.as_unix_seconds();
        let ReviewedUser { username, uid, .. } = self.reviewed();
        let (namespace, name) = (self.name.namespace().as_str(), self.name.name());
        let claims = json!({
            "iss": self.issuer,
            "aud": [self.audience],
            "sub": username,
            "iat": issued_at,
            "exp": issued_at + TOKEN_SECONDS,
            "kubernetes.io": { "namespace": namespace, "serviceaccount": { "name": name, "uid": uid } },
        });
        format!("{}.{}.{}", part(&json!({ "alg": "ES256", "kid": "assumed" })), part(&claims), encode(b"assumed"))
    }

    /// What the API server says of the account.
    pub(super) fn reviewed(&self) -> ReviewedUser {
        let (namespace, name) = (self.name.namespace().as_str(), self.name.name());
        ReviewedUser {
            username: format!("system:serviceaccount:{namespace}:{name}"),
            uid: format!("uid-of-{name}"),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
            ..ReviewedUser::default()
        }
    }
}
