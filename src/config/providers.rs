//! Identity providers, one by one and against each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use super::{
    provider_client, provider_requests, tls,
    written::{optional, visible},
};
use crate::{
    config_file::{FieldError, FieldPath, forms},
    config_values::{
        Context,
        context::{MINUTE, SECOND},
        names::{self, PlainHttp},
    },
    principal::ProviderName,
    providers::{ClaimsConfig, LogoutConfig, Outbound, ProviderConfig, RefreshConfig, StrictAsk, StrictConfig},
};

const EMAIL: &str = "email";
/// Entra ID's tenant of everybody's private accounts.
const CONSUMERS_TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

pub(super) fn resolve(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &[forms::Provider],
) -> Option<Vec<ProviderConfig>> {
    let mut taken = BTreeSet::new();
    for (index, provider) in written.iter().enumerate() {
        if !taken.insert(&provider.name) {
            context.report(
                FieldError::new(&at.index(index).key("name"), "two providers cannot share a name")
                    .found(&provider.name)
                    .write("write another name"),
            );
        }
    }
    let providers: Vec<Option<ProviderConfig>> =
        written.iter().enumerate().map(|(index, written)| provider(context, &at.index(index), written)).collect();
    let providers: Option<Vec<ProviderConfig>> = providers.into_iter().collect();
    if let Some(providers) = &providers {
        refuse_shared_userids(context, at, providers);
    }
    providers
}

fn provider(context: &mut Context<'_>, at: &FieldPath, written: &forms::Provider) -> Option<ProviderConfig> {
    let name = names::name(context, &at.key("name"), &written.name).and_then(|name| ProviderName::parse(&name).ok());
    let plain_http = if written.allow_http { PlainHttp::Allowed } else { PlainHttp::Unless("allow_http: true") };
    let issuer = names::url(context, &at.key("issuer"), &written.issuer, plain_http);
    let client_id = visible(context, &at.key("client_id"), &written.client_id);
    let discovery_url = optional(written.discovery_url.as_ref(), |url| {
        provider_requests::endpoint(context, &at.key("discovery_url"), url, plain_http)
    });
    let endpoints = provider_requests::endpoints(context, &at.key("endpoints"), &written.endpoints, plain_http);
    let authentication = provider_client::authentication(context, at, written);
    let scopes = provider_requests::scopes(context, &at.key("scopes"), written.scopes.as_deref());
    let parameters = &at.key("authorization_parameters");
    let parameters = provider_requests::parameters(context, parameters, &written.authorization_parameters);
    let algorithms = optional(written.id_token_signing_algorithms.as_ref(), |names| {
        provider_requests::algorithms(context, &at.key("id_token_signing_algorithms"), names)
    });
    let proxy = optional(written.proxy.as_ref(), |proxy| {
        names::url(context, &at.key("proxy"), proxy, PlainHttp::Allowed).map(|_| proxy.clone())
    });
    let logout = logout(context, &at.key("logout"), &written.logout);
    let ca_pem = optional(written.ca_file.as_ref(), |path| authorities(context, &at.key("ca_file"), path));
    let timeout = context.duration(&at.key("timeout"), &written.timeout, Duration::from_millis(100)..=MINUTE);
    let claims = claims(context, at, written);
    let refresh = optional(written.refresh.as_ref(), |refresh| {
        let ahead = context.duration(&at.key("refresh").key("ahead"), &refresh.ahead, SECOND..=60 * MINUTE);
        ahead.map(|ahead| RefreshConfig { ahead })
    });
    let strict = optional(written.strict.as_ref(), |strict| {
        let every = context.duration(&at.key("strict").key("every"), &strict.every, SECOND..=60 * MINUTE);
        every.map(|every| StrictConfig { every, ask: ask(strict.ask) })
    });
    Some(ProviderConfig {
        name: name?,
        issuer: issuer.map(|_| written.issuer.clone())?,
        client_id: client_id?,
        discovery_url: discovery_url?,
        endpoints: endpoints?,
        authentication: authentication?,
        scopes: scopes?,
        authorization_parameters: parameters?,
        signing_algorithms: algorithms?,
        timeout: timeout?,
        allow_http: written.allow_http,
        claims: claims?,
        refresh: refresh?,
        strict: strict?,
        logout: logout?,
        outbound: Outbound::Own { ca_pem: ca_pem?, proxy: proxy? },
    })
}

fn authorities(context: &mut Context<'_>, at: &FieldPath, path: &Path) -> Option<Vec<u8>> {
    tls::certificates(context, at, path)?;
    context.file(at, path).map(|pem| pem.expose().to_vec())
}

/// How a person's names are read of the claims.
fn claims(context: &mut Context<'_>, at: &FieldPath, written: &forms::Provider) -> Option<ClaimsConfig> {
    let userid_claim = visible(context, &at.key("userid_claim"), &written.userid_claim);
    let userid_prefix = prefix(context, &at.key("userid_prefix"), &written.userid_prefix);
    let groups_claim = visible(context, &at.key("groups_claim"), &written.groups_claim);
    let email_domains = domains(context, &at.key("email_domains"), &written.email_domains);
    let email_claim = visible(context, &at.key("email_claim"), &written.email_claim);
    let required_claims = required_claims(context, &at.key("required_claims"), &written.required_claims);
    if written.trust_unverified_email && written.email_domains.is_empty() {
        context.report(
            FieldError::new(
                &at.key("email_domains"),
                "it is missing beside `trust_unverified_email`: the provider could name anybody",
            )
            .write("list the domains whose addresses this provider may tell"),
        );
    }
    if written.email_claim != EMAIL {
        refuse_careless_email_claim(context, at, written);
    }
    Some(ClaimsConfig {
        userid_claim: userid_claim?,
        keep_case: written.userid_case == forms::UseridCase::Keep,
        userid_prefix: userid_prefix?,
        email_claim: email_claim?,
        groups_claim: Some(groups_claim?),
        groups_of_objects: written.groups_of_objects,
        userinfo: written.userinfo == forms::UserinfoUse::WhenNeeded,
        required_claims: required_claims?,
        trust_unverified_email: written.trust_unverified_email,
        email_domains: email_domains?.into_iter().collect(),
    })
}

/// Nobody vouches for such a claim but the operator, who knows whose accounts a tenant holds. Where anybody may have an
/// account, anybody names themselves.
fn refuse_careless_email_claim(context: &mut Context<'_>, at: &FieldPath, written: &forms::Provider) {
    if !written.trust_unverified_email {
        context.report(
            FieldError::new(&at.key("email_claim"), "the provider vouches for `email` alone")
                .found(&written.email_claim)
                .write("write `trust_unverified_email: true` and `email_domains` beside it, or leave it out"),
        );
    }
    let of_all = ["/common/", "/organizations/", "/consumers/", "{tenantid}", CONSUMERS_TENANT];
    if of_all.iter().any(|part| format!("{}/", written.issuer).contains(part)) {
        context.report(
            FieldError::new(&at.key("email_claim"), "this issuer is of many tenants: each could name anybody")
                .found(&written.issuer)
                .write("write the issuer of one tenant"),
        );
    }
}

fn required_claims(
    context: &mut Context<'_>,
    at: &FieldPath,
    written: &BTreeMap<String, Vec<String>>,
) -> Option<Vec<(String, Vec<String>)>> {
    let before = context.errors();
    for (claim, values) in written {
        if visible(context, &at.key(claim), claim).is_some() && values.is_empty() {
            context.report(
                FieldError::new(&at.key(claim), "no value is named, so that nobody could sign in")
                    .write("list the values of which one must be there"),
            );
        }
    }
    (context.errors() == before).then(|| written.clone().into_iter().collect())
}

const fn ask(written: forms::StrictAsk) -> StrictAsk {
    match written {
        forms::StrictAsk::Introspection => StrictAsk::Introspection,
        forms::StrictAsk::Userinfo => StrictAsk::Userinfo,
    }
}

fn logout(context: &mut Context<'_>, at: &FieldPath, written: &forms::ProviderLogout) -> Option<LogoutConfig> {
    let name = visible(context, &at.key("redirect_parameter"), &written.redirect_parameter)?;
    Some(LogoutConfig {
        at_provider: written.at_provider,
        redirect_parameter: name,
        id_token_hint: written.id_token_hint,
        state: written.state,
        revoke_tokens: written.revoke_tokens,
        back_channel: written.back_channel,
        logout_token_without_exp: written.logout_token_without_exp,
        front_channel: written.front_channel,
    })
}

fn prefix(context: &mut Context<'_>, at: &FieldPath, text: &str) -> Option<String> {
    let reserved = text.to_ascii_lowercase().starts_with("system:");
    if text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic()) && !reserved {
        return Some(text.to_owned());
    }
    context.refuse(
        FieldError::new(at, "it is no prefix of a user id").found(text).write(
            "write at most 64 visible ASCII characters that do not begin with `system:`, which is Kubernetes' own",
        ),
    )
}

fn domains(context: &mut Context<'_>, at: &FieldPath, written: &[String]) -> Option<BTreeSet<String>> {
    let before = context.errors();
    let mut domains = BTreeSet::new();
    for (index, domain) in written.iter().enumerate() {
        if let Some(domain) = names::host(context, &at.index(index), domain) {
            domains.insert(domain.as_str().to_owned());
        }
    }
    (context.errors() == before).then_some(domains)
}

/// Nobody must be able to become somebody else by signing in at the other provider.
fn refuse_shared_userids(context: &mut Context<'_>, at: &FieldPath, providers: &[ProviderConfig]) {
    for (index, later) in providers.iter().enumerate() {
        if let Some(earlier) = providers.iter().take(index).find(|earlier| may_share(earlier, later)) {
            context.report(
                FieldError::new(
                    &at.index(index).key("userid_prefix"),
                    format!(
                        "a person of this provider could have the user id of a person of `{}`",
                        earlier.name.as_str()
                    ),
                )
                .write(
                    "write a `userid_prefix` for both (neither the beginning of the other), \
                     or `email_domains` for both that do not overlap",
                ),
            );
        }
    }
}

fn may_share(one: &ProviderConfig, other: &ProviderConfig) -> bool {
    let same_authority = one.issuer == other.issuer;
    let (one, other) = (&one.claims, &other.claims);
    // The same authority may be named twice, for two clients.
    if same_authority && one.userid_claim == other.userid_claim && one.userid_prefix == other.userid_prefix {
        return false;
    }
    let prefixed =
        !one.userid_prefix.starts_with(&other.userid_prefix) && !other.userid_prefix.starts_with(&one.userid_prefix);
    let by_domain = [one, other].iter().all(|claims| claims.userid_claim == EMAIL && !claims.email_domains.is_empty())
        && !one.email_domains.iter().any(|domain| other.email_domains.contains(domain));
    !prefixed && !by_domain
}
