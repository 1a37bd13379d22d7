//! Its alpha configuration: the same settings under other names, in YAML.

use serde_json::{Map, Value as Tree};

use crate::{
    gatekeepers::{Value, text_of},
    migrate::work::Work,
};

/// Fields of a provider, and the settings that they are.
const PROVIDER: [(&str, &str); 45] = [
    ("ADFSConfig.skipScope", "adfs_skip_scope"),
    ("allowedGroups", "allowed_groups"),
    ("authRequestResponseMode", "auth_request_response_mode"),
    ("azureConfig.graphGroupField", "azure_graph_group_field"),
    ("azureConfig.tenant", "azure_tenant"),
    ("backendLogoutURL", "backend_logout_url"),
    ("bitbucketConfig.repository", "bitbucket_repository"),
    ("bitbucketConfig.team", "bitbucket_team"),
    ("bitbucketConfig.workspace", "bitbucket_workspace"),
    ("caFiles", "provider_ca_files"),
    ("clientID", "client_id"),
    ("clientSecret", "client_secret"),
    ("clientSecretFile", "client_secret_file"),
    ("code_challenge_method", "code_challenge_method"),
    ("githubConfig.org", "github_org"),
    ("githubConfig.repo", "github_repo"),
    ("githubConfig.team", "github_team"),
    ("githubConfig.users", "github_users"),
    ("gitlabConfig.group", "gitlab_groups"),
    ("gitlabConfig.projects", "gitlab_projects"),
    ("googleConfig.adminEmail", "google_admin_email"),
    ("googleConfig.group", "google_groups"),
    ("googleConfig.serviceAccountJson", "google_service_account_json"),
    ("keycloakConfig.groups", "keycloak_groups"),
    ("keycloakConfig.roles", "allowed_roles"),
    ("loginURL", "login_url"),
    ("microsoftEntraIDConfig.allowedTenants", "entra_id_allowed_tenants"),
    ("microsoftEntraIDConfig.federatedTokenAuth", "entra_id_federated_token_auth"),
    ("name", "provider_display_name"),
    ("oidcConfig.audienceClaims", "oidc_audience_claims"),
    ("oidcConfig.emailClaim", "oidc_email_claim"),
    ("oidcConfig.enabledSigningAlgs", "oidc_enabled_signing_algs"),
    ("oidcConfig.extraAudiences", "oidc_extra_audiences"),
    ("oidcConfig.groupsClaim", "oidc_groups_claim"),
    ("oidcConfig.insecureAllowUnverifiedEmail", "insecure_oidc_allow_unverified_email"),
    ("oidcConfig.insecureSkipIssuerVerification", "insecure_oidc_skip_issuer_verification"),
    ("oidcConfig.insecureSkipNonce", "insecure_oidc_skip_nonce"),
    ("oidcConfig.issuerURL", "oidc_issuer_url"),
    ("oidcConfig.jwksURL", "oidc_jwks_url"),
    ("oidcConfig.publicKeyFiles", "oidc_public_key_files"),
    ("oidcConfig.skipDiscovery", "skip_oidc_discovery"),
    ("oidcConfig.userIDClaim", "user_id_claim"),
    ("provider", "provider"),
    ("redeemURL", "redeem_url"),
    ("profileURL", "profile_url"),
];
/// Those that are named as the settings are, but for capitals.
const ALIKE: [(&str, &str); 5] = [
    ("resource", "resource"),
    ("scope", "scope"),
    ("skipClaimsFromProfileURL", "skip_claims_from_profile_url"),
    ("useSystemTrustStore", "use_system_trust_store"),
    ("validateURL", "validate_url"),
];

/// Adds the settings of an alpha configuration.
pub(super) fn add(work: &mut Work, tree: &Tree, place: &str) {
    let Some(fields) = tree.as_object() else { return };
    for (key, value) in fields {
        match key.as_str() {
            "providers" => providers(work, value, place),
            "injectRequestHeaders" | "injectResponseHeaders" => headers(work, key, value, place),
            "upstreamConfig" => upstreams(work, value, place),
            "server" | "metricsServer" => {
                let name = if key == "server" { "http_address" } else { "metrics_address" };
                work.add(name, key, Value::text("alpha"), place);
            }
            key => work.add(key, key, value_of(value), place),
        }
    }
}

fn providers(work: &mut Work, tree: &Tree, place: &str) {
    let providers = tree.as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, provider) in providers.iter().enumerate() {
        let Some(fields) = provider.as_object() else { continue };
        if index > 0 {
            let told = format!("`providers[{index}]` ({place})");
            work.report.dropped(&told, "oauth2-proxy itself serves the first provider alone");
            continue;
        }
        provider_fields(work, fields, "", place);
    }
}

fn provider_fields(work: &mut Work, fields: &Map<String, Tree>, before: &str, place: &str) {
    for (key, value) in fields {
        let path = format!("{before}{key}");
        let known = PROVIDER.iter().chain(&ALIKE).find(|(field, _)| *field == path);
        match (known, value, path.as_str()) {
            (Some((field, name)), value, _) => work.add(name, field, value_of(value), place),
            (None, _, "id") => {}
            (None, Tree::Array(parameters), "loginURLParameters") => login_parameters(work, parameters, place),
            (None, Tree::Object(inner), _) if before.is_empty() => {
                provider_fields(work, inner, &format!("{path}."), place);
            }
            (None, value, path) => work.add(&format!("providers.{path}"), path, value_of(value), place),
        }
    }
}

/// Parameters of the authorization request with what is sent unless a browser says otherwise.
fn login_parameters(work: &mut Work, parameters: &[Tree], place: &str) {
    for parameter in parameters {
        let Some(name) = parameter.get("name").and_then(Tree::as_str) else { continue };
        let value = parameter.get("default").map_or(Value::text(""), value_of);
        work.add(&format!("login_parameter.{name}"), &format!("loginURLParameters: {name}"), value, place);
        if parameter.get("allow").is_some() {
            let told = format!("`loginURLParameters: {name}: allow` ({place})");
            work.report.dropped(told, "a browser chooses no parameters of a sign-in");
        }
    }
}

/// Each header as `Name=claim`.
fn headers(work: &mut Work, key: &str, tree: &Tree, place: &str) {
    let mut items = Vec::new();
    for header in tree.as_array().into_iter().flatten() {
        let name = header.get("name").and_then(Tree::as_str).unwrap_or_default();
        for value in header.get("values").and_then(Tree::as_array).into_iter().flatten() {
            let claim = value.get("claim").or_else(|| value.pointer("/claimSource/claim")).and_then(Tree::as_str);
            items.push(format!("{name}={}", claim.unwrap_or_default()));
        }
    }
    work.add(&format!("inject.{key}"), key, Value::list(items), place);
}

fn upstreams(work: &mut Work, tree: &Tree, place: &str) {
    let each = tree.get("upstreams").and_then(Tree::as_array).into_iter().flatten();
    let urls = each.map(|upstream| upstream.get("uri").and_then(Tree::as_str).unwrap_or("static://"));
    work.add("upstreams", "upstreamConfig.upstreams", Value::list(urls), place);
}

fn value_of(tree: &Tree) -> Value {
    match tree {
        Tree::Array(items) => Value::list(items.iter().map(text_of)),
        tree => Value::text(text_of(tree)),
    }
}
